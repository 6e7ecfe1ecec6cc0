"""Health checks against real programs and a real HTTP server on loopback."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from sopwith_agent.adapters.health_checks import HealthChecks
from sopwith_agent.steps.health_port import HealthContext, HealthReport
from sopwith_formats.manifest import Artifact, HealthCheck, Manifest


class FakeTime:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def release(*checks: HealthCheck, settle: int = 0) -> Manifest:
    artifact = Artifact("hello.tar", "archive", 1, "0" * 64)
    return Manifest("hello", "1.0", (artifact,), health_checks=checks, settle_seconds=settle)


def script(root: Path, text: str, name: str = "check") -> str:
    path = root / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f"/{name}"


def ask(root: Path, *checks: HealthCheck, settle: int = 0) -> HealthReport:
    clock = FakeTime()
    watcher = HealthChecks(clock.monotonic, clock.sleep)
    return watcher.watch(release(*checks, settle=settle), HealthContext(root, "pc1", "confirm"))


def only_message(report: HealthReport) -> str:
    (failure,) = report.failures
    return failure.message


def test_release_without_checks_is_healthy(tmp_path: Path) -> None:
    assert ask(tmp_path).healthy


def test_program_below_the_root_passes_with_the_expected_text(tmp_path: Path) -> None:
    check = HealthCheck(exec=(script(tmp_path, "echo hello 2.10"),), expect="2.10")

    assert ask(tmp_path, check).healthy


def test_program_that_writes_something_else_fails_with_what_it_wrote(tmp_path: Path) -> None:
    check = HealthCheck(exec=(script(tmp_path, "echo hello 2.9"),), expect="2.10")

    assert only_message(ask(tmp_path, check)) == "did not write '2.10': hello 2.9"


def test_program_that_ends_with_an_error_fails_with_its_code(tmp_path: Path) -> None:
    check = HealthCheck(exec=(script(tmp_path, "echo oh no >&2; exit 7"),))

    assert only_message(ask(tmp_path, check)) == "ended with 7: oh no"


def test_missing_program_fails_and_names_the_path_below_the_root(tmp_path: Path) -> None:
    assert f"{tmp_path}/usr/bin/none" in only_message(ask(tmp_path, HealthCheck(exec=("/usr/bin/none",))))


def test_program_behind_an_absolute_link_is_found_below_the_root(tmp_path: Path) -> None:
    script(tmp_path, "echo inside", "real")
    (tmp_path / "link").symlink_to("/real")

    assert ask(tmp_path, HealthCheck(exec=("/link",), expect="inside")).healthy


def test_arguments_are_data_and_no_shell_reads_them(tmp_path: Path) -> None:
    check = HealthCheck(exec=(script(tmp_path, 'echo "<$1>"'), "; touch /tmp/x $(id) `id` --x\n"), expect="$(id)")

    assert ask(tmp_path, check).healthy


def test_environment_is_clean_and_tells_what_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "canary")
    names = "PATH|LANG|SOPWITH_(ROOT|COMPUTER|RELEASE|VERSION|STEP)"
    check = HealthCheck(
        exec=(script(tmp_path, f'pwd; env | grep -Ev "^({names}|PWD|SHLVL|_|OLDPWD)=" && exit 1; env; exit 0'),)
    )
    texts = [
        f"SOPWITH_ROOT={tmp_path}",
        "SOPWITH_COMPUTER=pc1",
        "SOPWITH_RELEASE=hello",
        "SOPWITH_VERSION=1.0",
        "SOPWITH_STEP=confirm",
        f"{tmp_path}\n",
    ]

    for text in texts:
        assert ask(tmp_path, HealthCheck(exec=check.exec, expect=text)).healthy


def test_program_that_never_returns_is_ended_with_everything_it_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    check = HealthCheck(exec=(script(tmp_path, f"sleep 300 & echo $! > {pid_file}; wait"),), timeout_seconds=1)

    report = ask(tmp_path, check)

    assert only_message(report) == "did not end within 1 s"
    assert ended(int(pid_file.read_text()))


def test_what_a_passing_check_left_running_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    check = HealthCheck(exec=(script(tmp_path, f"sleep 300 > /dev/null 2>&1 & echo $! > {pid_file}"),))

    assert ask(tmp_path, check).healthy
    assert ended(int(pid_file.read_text()))


def ended(process: int) -> bool:
    """Tell whether a process is gone or only waits to be collected, within a moment."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_output_is_cut_and_made_harmless(tmp_path: Path) -> None:
    endless = script(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' 'x'; printf '\\033[2J\\r\\nend'; exit 1")

    message = only_message(ask(tmp_path, HealthCheck(exec=(endless,))))

    assert len(message) < 500
    assert "\x1b" not in message
    assert "\\x1b[2J | end" in message


def test_check_may_fail_until_its_time_within_is_over(tmp_path: Path) -> None:
    count = tmp_path / "count"
    check = HealthCheck(
        exec=(script(tmp_path, f"echo x >> {count}; test $(wc -l < {count}) -ge 5"),), within_seconds=10
    )

    report = ask(tmp_path, check)

    assert report.healthy
    assert report.rounds == 5


def test_check_that_never_passes_fails_when_its_time_within_is_over(tmp_path: Path) -> None:
    report = ask(tmp_path, HealthCheck(exec=(script(tmp_path, "exit 1"),), within_seconds=3))

    assert not report.healthy
    assert report.rounds == 7


def test_checks_must_hold_for_the_time_to_settle(tmp_path: Path) -> None:
    count = tmp_path / "count"
    held = script(tmp_path, f"echo x >> {count}")

    report = ask(tmp_path, HealthCheck(exec=(held,)), settle=5)

    assert report.healthy
    assert report.rounds == 11
    assert len(count.read_text().split()) == 11


def test_check_that_breaks_while_settling_counts_at_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    breaks = script(tmp_path, f"echo x >> {count}; test $(wc -l < {count}) -le 3")

    report = ask(tmp_path, HealthCheck(exec=(breaks,), within_seconds=60), settle=60)

    assert not report.healthy
    assert report.rounds == 4


def test_every_failing_check_is_told(tmp_path: Path) -> None:
    bad = HealthCheck(exec=(script(tmp_path, "exit 1"),))
    good = HealthCheck(exec=(script(tmp_path, "exit 0", "good"),))

    report = ask(tmp_path, bad, good, bad)

    assert [failure.index for failure in report.failures] == [0, 2]


def test_withdrawn_watch_ends_without_a_verdict(tmp_path: Path) -> None:
    clock = FakeTime()
    watcher = HealthChecks(clock.monotonic, clock.sleep)
    manifest = release(HealthCheck(exec=(script(tmp_path, "exit 0"),)), settle=3600)

    report = watcher.watch(manifest, HealthContext(tmp_path, "pc1", "confirm"), cancelled=lambda: True)

    assert report.cancelled
    assert not report.healthy


def test_service_below_another_root_is_a_clear_failure(tmp_path: Path) -> None:
    assert "does not run" in only_message(ask(tmp_path, HealthCheck(service="hello.service")))


def test_service_without_systemd_is_a_clear_failure(tmp_path: Path) -> None:
    clock = FakeTime()
    watcher = HealthChecks(clock.monotonic, clock.sleep, running_systemd=tmp_path / "absent")

    report = watcher.watch(release(HealthCheck(service="hello.service")), HealthContext(Path("/"), "pc1", "confirm"))

    assert "systemd does not run on this computer" in only_message(report)


class Answers(BaseHTTPRequestHandler):
    broken_rounds: ClassVar[int] = 0
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        Answers.asked.append(self.path)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/health")
            self.end_headers()
            return
        if self.path == "/silent":
            time.sleep(3)
        body = b'{"status":"ok"}'
        self.send_response(503 if len(Answers.asked) <= Answers.broken_rounds else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def address() -> Iterator[str]:
    Answers.asked, Answers.broken_rounds = [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_address_that_answers_with_the_expected_text_passes(address: str, tmp_path: Path) -> None:
    assert ask(tmp_path, HealthCheck(http=f"{address}/health?deep=1", expect='"ok"')).healthy
    assert Answers.asked == ["/health?deep=1"]


def test_address_gets_its_time_to_come_up(address: str, tmp_path: Path) -> None:
    Answers.broken_rounds = 3

    report = ask(tmp_path, HealthCheck(http=address, within_seconds=60))

    assert report.healthy
    assert report.rounds == 4


def test_address_that_answers_with_an_error_or_elsewhere_fails(address: str, tmp_path: Path) -> None:
    assert only_message(ask(tmp_path, HealthCheck(http=f"{address}/moved"))).startswith("answers 302")
    Answers.broken_rounds = 99
    assert only_message(ask(tmp_path, HealthCheck(http=address))).startswith("answers 503")


def test_address_without_the_expected_text_fails(address: str, tmp_path: Path) -> None:
    assert "without 'ready'" in only_message(ask(tmp_path, HealthCheck(http=address, expect="ready")))


def test_address_that_stays_silent_fails_in_time(address: str, tmp_path: Path) -> None:
    started = time.monotonic()

    message = only_message(ask(tmp_path, HealthCheck(http=f"{address}/silent", timeout_seconds=1)))

    assert "does not answer: timed out" in message
    assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://", "http://[::1", "http://127.0.0.1:99999/", "nonsense"])
def test_address_that_is_none_fails_without_a_crash(url: str, tmp_path: Path) -> None:
    assert not ask(tmp_path, HealthCheck(http=url, timeout_seconds=1)).healthy
