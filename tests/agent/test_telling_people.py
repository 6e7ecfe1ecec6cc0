"""People are really told: by a notification server on a real bus, on a real pseudo terminal, and who is told how."""

import os
import pty
import queue
import select
from pathlib import Path

import pytest

from sopwith_agent.adapters.people.announcer import SystemAnnouncer
from sopwith_agent.adapters.people.sessions import LoginSession, login_sessions
from sopwith_agent.adapters.people.terminals import write_to_terminals
from sopwith_agent.steps.announcer_port import Announcement
from tests.agent.buses import NotificationServer, bus_at, short_folder
from tests.agent.logins import log_in, log_in_by_record

ME = os.geteuid()
ASKED = Announcement("a-1/install", 1, "An update is ready", "hello 2 will be installed.", may_put_off=True)
LAST = Announcement("a-1/install", 2, "An update is ready", "hello 2 will be installed. Please save your work.")


@pytest.fixture
def root():
    with short_folder() as folder:
        yield folder


@pytest.fixture
def desktop(root: Path):
    with bus_at(root / f"run/user/{ME}/bus") as address:
        server = NotificationServer(address)
        try:
            yield server
        finally:
            server.close()


@pytest.fixture
def announcer(root: Path):
    announcer = SystemAnnouncer(root)
    yield announcer
    for key in ("a-1/install", "a-1/close"):
        announcer.dismiss(key)


def pressed(announcer: SystemAnnouncer) -> queue.Queue:
    answers: queue.Queue = queue.Queue()
    announcer.put_off = lambda key: answers.put(("later", key))
    announcer.agree = lambda key: answers.put(("now", key))
    return answers


def read_terminal(descriptor: int) -> str:
    ready, _, _ = select.select([descriptor], [], [], 5)
    return os.read(descriptor, 4096).decode() if ready else ""


@pytest.fixture
def terminal():
    """Give a pseudo terminal: what a person reads there, and its name below /dev."""
    reader, writer = pty.openpty()
    try:
        yield reader, os.ttyname(writer).removeprefix("/dev/")
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.needs_tool("dbus-daemon")
def test_desktop_shows_both_buttons_and_later_comes_back(root, desktop, announcer):
    log_in(root, "1", ME)
    answers = pressed(announcer)

    assert announcer.announce(ASKED) == "desktop"

    shown = desktop.shown()
    assert (shown["title"], shown["text"]) == (ASKED.title, ASKED.text)
    assert shown["actions"] == {"install-now": "Install now", "later": "Later"}
    assert shown["expires"] == 0
    desktop.press("later")
    assert answers.get(timeout=20) == ("later", "a-1/install")


@pytest.mark.needs_tool("dbus-daemon")
def test_last_notice_is_urgent_and_leaves_no_later(root, desktop, announcer):
    log_in(root, "1", ME)
    answers = pressed(announcer)

    announcer.announce(LAST)

    shown = desktop.shown()
    assert shown["actions"] == {"install-now": "Install now"}
    assert shown["hints"]["urgency"] == ("y", 2)
    desktop.press("install-now")
    assert answers.get(timeout=20) == ("now", "a-1/install")


@pytest.mark.needs_tool("dbus-daemon")
def test_nobody_is_told_twice_and_a_newer_notice_takes_the_older_back(root, desktop, announcer):
    log_in(root, "1", ME)

    announcer.announce(ASKED)
    announcer.announce(ASKED)
    announcer.announce(LAST)

    names = [desktop.calls.get(timeout=20)[0] for _ in range(3)]
    assert sorted(names) == ["CloseNotification", "Notify", "Notify"]


@pytest.mark.needs_tool("dbus-daemon")
def test_what_is_over_is_taken_back_and_a_dismissed_one_answers_nothing(root, desktop, announcer):
    log_in(root, "1", ME)
    answers = pressed(announcer)
    announcer.announce(ASKED)
    desktop.shown()

    desktop.dismiss()
    announcer.announce(LAST)
    desktop.shown()
    announcer.dismiss("a-1/install")

    assert desktop.called("CloseNotification") == (2,)
    assert answers.empty()


@pytest.mark.needs_tool("dbus-daemon")
def test_button_that_a_desktop_invents_is_no_answer(root, desktop, announcer):
    log_in(root, "1", ME)
    answers = pressed(announcer)
    announcer.announce(ASKED)
    desktop.shown()

    desktop.press("rm -rf /")
    announcer.announce(LAST)
    desktop.shown()
    desktop.press("install-now")

    assert answers.get(timeout=20) == ("now", "a-1/install")


@pytest.mark.needs_tool("dbus-daemon")
def test_bus_without_a_notification_server_leaves_the_terminal(root, terminal):
    reader, name = terminal
    log_in(root, "1", ME, kind="x11", terminal=name)
    announcer = SystemAnnouncer(root, devices=Path("/dev"))

    with bus_at(root / f"run/user/{ME}/bus"):
        assert announcer.announce(ASKED) == "terminal"

    assert "hello 2 will be installed." in read_terminal(reader)


def test_terminal_says_what_to_type(root, terminal):
    reader, name = terminal
    log_in_by_record(root, ("root", name))

    assert SystemAnnouncer(root, devices=Path("/dev")).announce(ASKED) == "terminal"

    text = read_terminal(reader)
    assert "An update is ready (Sopwith)" in text
    assert "sopwith-agent defer --for 4h" in text
    assert "sopwith-agent install-now" in text


def test_terminal_gets_no_control_characters_of_others(terminal):
    reader, name = terminal

    write_to_terminals(Path("/dev"), [name], "An update", ["evil\x1b[2J\x07name"])

    assert "evil\\x1b[2J\\x07name" in read_terminal(reader)


def test_only_terminals_are_written_to(root):
    devices = root / "dev"
    devices.mkdir()
    (devices / "file").write_text("")
    os.mkfifo(devices / "pipe")

    assert (
        write_to_terminals(devices, ["file", "pipe", "missing", "", "../file", "/etc/passwd"], "An update", ["x"]) == 0
    )
    assert (devices / "file").read_text() == ""


def test_person_who_logs_in_later_is_told_too(root, terminal):
    reader, name = terminal
    announcer = SystemAnnouncer(root, devices=Path("/dev"))
    log_in(root, "1", ME, kind="tty", terminal="pts/none")
    assert announcer.announce(ASKED) == ""

    log_in(root, "2", ME, kind="tty", terminal=name)

    assert announcer.announce(ASKED) == "terminal"
    assert "hello 2" in read_terminal(reader)


def test_sessions_are_people_who_are_there(root):
    log_in(root, "1", 1000, user="anna", kind="wayland")
    gone = log_in(root, "2", 1001)
    gone.write_text(gone.read_text().replace("active", "closing"))
    greeter = log_in(root, "3", 110)
    greeter.write_text(greeter.read_text().replace("CLASS=user", "CLASS=greeter"))

    assert login_sessions(root) == [LoginSession(1000, "", "wayland", "anna")]


def test_login_record_of_nobody_known_still_counts(root):
    log_in_by_record(root, ("root", "pts/1"), ("nobody-knows", ":0"))

    assert login_sessions(root) == [
        LoginSession(0, "pts/1", "", "root"),
        LoginSession(None, "", "x11", "nobody-knows"),
    ]
