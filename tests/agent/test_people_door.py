"""The socket for people at the computer: who may ask what, and callers who mean no good."""

import asyncio
import json
import os
import socket
import stat
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sopwith_agent import cli
from sopwith_agent.adapters.people import door as door_module
from sopwith_agent.adapters.people.door import SOCKET_FILE, Counter, Door, ask, run_folder
from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import NotDeferrableError

UPDATE = {"purpose": "install", "what": "hello 2", "until_time": "2026-06-01T12:00:00Z", "deferrals_left": 1}


class Desk:
    """Grants everything, until it is told to refuse."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.refuses: NotDeferrableError | None = None
        self.users: set[int] = set()
        self.clock = 0.0

    def put_off(self, seconds: int | None) -> dict[str, Any]:
        if self.refuses:
            raise self.refuses
        self.asked.append(seconds)
        return UPDATE

    def counter(self) -> Counter:
        return Counter(
            put_off=self.put_off,
            agree=lambda: UPDATE,
            feedback=self.asked.append,
            status=lambda: {"name": "pc1"},
            logged_in=lambda: self.users,
        )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    # Longer than an address of a socket may be.
    folder = tmp_path / ("a" * 90)
    folder.mkdir()
    return folder


@asynccontextmanager
async def opened(state: Path, desk: Desk):
    door = Door(run_folder(state), desk.counter(), lambda: desk.clock)
    task = asyncio.create_task(door.run())
    try:
        async with asyncio.timeout(10):
            await door.opened.wait()
        yield door
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def typed(state: Path, *arguments: str) -> int:
    return await asyncio.to_thread(cli.main, [*arguments, "--state", str(state)])


async def test_defer_says_until_when_and_exits_0(state, capsys):
    desk = Desk()
    async with opened(state, desk):
        assert await typed(state, "defer", "--for", "2h") == 0
        assert await typed(state, "defer") == 0
        assert await typed(state, "install-now") == 0

    assert desk.asked == [7200, None]
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("The update hello 2 is put off until ")
    assert out[0].endswith("You can put it off 1 more time.")
    assert out[2] == "The update hello 2 begins as soon as nothing else stands in its way."


@pytest.mark.parametrize(("refused", "code"), [(True, 4), (False, 1)])
async def test_refusals_have_their_own_exit_code(state, capsys, refused, code):
    desk = Desk()
    desk.refuses = NotDeferrableError("It may not.", remedy="save your work", refused=refused)
    async with opened(state, desk):
        assert await typed(state, "defer") == code

    assert capsys.readouterr().err == "sopwith-agent: It may not. (save your work)\n"


@pytest.mark.parametrize("time", ["0s", "soon", "367d", "-1h"])
async def test_times_that_are_none_are_usage_errors(state, time):
    with pytest.raises(SystemExit) as ended:
        cli.main(["defer", "--for", time, "--state", str(state)])
    assert ended.value.code == 2


async def test_feedback_arrives_as_one_harmless_line(state):
    desk = Desk()
    async with opened(state, desk):
        assert await typed(state, "feedback", "the update", "closed\x1b[2J my\neditor") == 0
        assert await typed(state, "feedback", "x" * 2001) == 2
        assert await typed(state, "feedback", " ") == 2

    assert desk.asked == ["the update closed [2J my editor"]


async def test_feedback_without_end_has_to_wait(state):
    desk = Desk()
    async with opened(state, desk):
        for _ in range(limits.feedback_per_hour_max):
            assert await typed(state, "feedback", "again", "-o", "json") == 0
        assert await typed(state, "feedback", "again") == 4
        desk.clock = limits.feedback_window_seconds
        assert await typed(state, "feedback", "again") == 0


async def test_only_who_is_logged_in_may_decide(state, monkeypatch, capsys):
    desk = Desk()
    monkeypatch.setattr(door_module, "_caller", lambda _writer: 4242)
    async with opened(state, desk):
        assert await typed(state, "defer") == 4
        assert await typed(state, "install-now") == 4
        assert await typed(state, "feedback", "may I?") == 0
        desk.users = {4242}
        assert await typed(state, "defer") == 0

    assert "Only who is logged in on this computer" in capsys.readouterr().err


async def test_kernel_tells_who_calls(state):
    desk = Desk()
    seen: list[int] = []
    async with opened(state, desk) as door:
        door._check = seen.append
        await typed(state, "defer")

    assert seen == [os.getuid()]


async def test_nobody_answers_where_no_agent_runs(state, capsys):
    assert await typed(state, "defer") == 1

    assert "No running agent answers" in capsys.readouterr().err


async def test_status_of_somebody_who_may_not_read_the_state_folder_comes_through_the_door(state):
    async with opened(state, Desk()):
        answer = await asyncio.to_thread(ask, run_folder(state), {"ask": "status"})

    assert answer == {"result": "done", "answer": {"name": "pc1"}}


@pytest.mark.parametrize(
    "request_line",
    [
        b"\n",
        b"{}\n",
        b"[]\n",
        b'{"ask": "reboot"}\n',
        b'{"ask": "defer", "seconds": true}\n',
        b"\xff\xfe\n",
        b"x" * 70_000,
    ],
)
async def test_broken_requests_are_answered_or_hung_up_on_and_the_door_stays_open(state, request_line):
    desk = Desk()

    def say() -> bytes:
        with socket.socket(socket.AF_UNIX) as connection, door_module._short(run_folder(state)) as near:
            connection.settimeout(10)
            connection.connect(f"{near}/{SOCKET_FILE}")
            try:
                connection.sendall(request_line)
                connection.shutdown(socket.SHUT_WR)
                return connection.recv(4096)
            except ConnectionError:
                return b""

    async with opened(state, desk):
        answer = await asyncio.to_thread(say)
        assert await typed(state, "defer") == 0

    assert not answer or json.loads(answer)["result"] == "failed"
    assert desk.asked == [None]


async def test_caller_who_says_nothing_is_hung_up_on(state, monkeypatch):
    monkeypatch.setattr(limits, "door_timeout_seconds", 0.05)

    def wait() -> bytes:
        with socket.socket(socket.AF_UNIX) as connection, door_module._short(run_folder(state)) as near:
            connection.settimeout(10)
            connection.connect(f"{near}/{SOCKET_FILE}")
            return connection.recv(4096)

    async with opened(state, Desk()):
        assert await asyncio.to_thread(wait) == b""


async def test_socket_is_open_to_everybody_and_its_folder_to_the_agent_alone(state):
    async with opened(state, Desk()):
        folder = run_folder(state)

        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        assert stat.S_IMODE((folder / SOCKET_FILE).stat().st_mode) == 0o666


async def test_folder_that_cannot_be_used_costs_the_door_only(tmp_path):
    (tmp_path / "run").write_text("a file")
    door = Door(tmp_path / "run", Desk().counter(), lambda: 0.0)

    task = asyncio.create_task(door.run())
    await asyncio.sleep(0.05)

    assert not task.done()
    task.cancel()


def test_agent_of_the_system_has_the_systems_run_folder():
    assert run_folder(Path("/var/lib/sopwith-agent")) == Path("/run/sopwith-agent")
