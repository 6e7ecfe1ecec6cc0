"""Package changes that others made, read from the real dpkg's log and the real rpm's database: each told once."""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sopwith_agent.adapters import package_watch
from sopwith_agent.adapters.package_watch import FilePackageWatch
from sopwith_agent.domain import limits
from sopwith_formats.durable import durable_replace
from sopwith_formats.observation import PackageChange
from tests.agent.packages import build_package, make_database
from tests.agent.rpms import build_rpm, rpm_below

Told = list[tuple[str, str, str, str]]


class Computer:
    """A root, a state folder, and what was signed."""

    def __init__(self, folder: Path) -> None:
        self.state, self.root = folder / "state", folder / "root"
        self.state.mkdir()
        (self.root / "var/log").mkdir(parents=True)
        self.log = self.root / "var/log/dpkg.log"
        self.signed: dict[str, tuple[PackageChange, ...]] = {}
        self.gaps: list[str] = []
        self.left_out = 0
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.watch = self.start()

    def start(self) -> FilePackageWatch:
        self.watch = FilePackageWatch(self.state, self.root, self.sign, self.now)
        return self.watch

    def sign(self, mark: str, changes: tuple[PackageChange, ...], left_out: int, gap: str) -> None:
        if mark not in self.signed:
            self.signed[mark] = changes
            self.left_out += left_out
            self.gaps += [gap] if gap else []

    def dpkg(self, *arguments: str | Path) -> None:
        command = ["dpkg", f"--root={self.root}", f"--log={self.log}", "--force-not-root", *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True)

    def told(self) -> Told:
        changes = [change for batch in self.signed.values() for change in batch]
        return [(one.action, one.package, one.version_before, one.version_after) for one in changes]

    def wrote(self, *acts: str) -> None:
        with self.log.open("a") as file:
            file.writelines(f"2026-11-30 12:00:00 {act}\n" for act in acts)

    def installed(self, package: str) -> None:
        self.wrote(f"install {package}:all <none> 1", f"status installed {package}:all 1")


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


@pytest.mark.needs_tool("dpkg-deb")
def test_administrator_with_dpkg_is_seen_and_history_is_not(computer: Computer, tmp_path: Path) -> None:
    make_database(computer.root)
    computer.dpkg("--install", build_package(tmp_path, "1.0", name="older"))
    computer.watch.look()

    computer.dpkg("--install", build_package(tmp_path, "1.0"))
    computer.watch.look()
    computer.dpkg("--install", build_package(tmp_path, "2.0"))
    computer.dpkg("--purge", "hello")
    computer.start().look()
    computer.start().look()

    assert computer.told() == [
        ("INSTALLED", "hello", "", "1.0"),
        ("CHANGED", "hello", "1.0", "2.0"),
        ("REMOVED", "hello", "2.0", ""),
    ]
    [first, *_] = (change for batch in computer.signed.values() for change in batch)
    assert abs(first.time - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.needs_tool("rpm", "rpmbuild")
def test_administrator_with_rpm_is_seen_and_history_is_not(computer: Computer, tmp_path: Path) -> None:
    packages = {version: build_rpm(tmp_path, version) for version in ("1.0-1", "2.0-1")}
    rpm_below(computer.root, "-U", "--nosignature", build_rpm(tmp_path, "1.0-1", name="older"))
    computer.watch.look()

    rpm_below(computer.root, "-U", "--nosignature", packages["1.0-1"])
    computer.watch.look()
    rpm_below(computer.root, "-U", "--nosignature", packages["2.0-1"])
    computer.start().look()
    rpm_below(computer.root, "-e", "hello")
    computer.start().look()
    computer.watch.look()

    assert computer.told() == [
        ("INSTALLED", "hello", "", "1.0-1"),
        ("CHANGED", "hello", "1.0-1", "2.0-1"),
        ("REMOVED", "hello", "2.0-1", ""),
    ]


def test_own_changes_are_not_told_and_what_came_before_them_is(computer: Computer) -> None:
    computer.watch.look()

    computer.installed("theirs")
    computer.watch.begin_own()
    computer.installed("ours")
    computer.watch.end_own()
    computer.installed("theirs-again")
    computer.watch.look()

    assert [package for _, package, _, _ in computer.told()] == ["theirs", "theirs-again"]


def test_own_change_that_was_cut_off_is_still_the_agents_after_a_restart(computer: Computer) -> None:
    computer.watch.look()
    computer.watch.begin_own()
    computer.installed("ours")

    computer.start().begin_own()
    computer.installed("ours-too")
    computer.watch.end_own()
    computer.installed("theirs")
    computer.watch.look()
    computer.watch.begin_own()
    computer.installed("ours-abandoned")
    computer.start().look()

    assert [package for _, package, _, _ in computer.told()] == ["theirs"]


def test_rotated_log_is_read_to_its_end(computer: Computer) -> None:
    computer.installed("history")
    computer.watch.look()
    computer.installed("before")
    computer.wrote("install across:all <none> 1")
    computer.log.rename(computer.log.with_name("dpkg.log.1"))
    computer.wrote("status installed across:all 1")
    computer.installed("after")

    computer.watch.look()
    computer.installed("later")
    computer.start().look()

    assert [package for _, package, _, _ in computer.told()] == ["before", "across", "after", "later"]
    assert computer.gaps == []


def test_log_that_was_rotated_away_is_a_gap_and_said_to_be_one(computer: Computer) -> None:
    computer.installed("history")
    computer.watch.look()
    computer.log.unlink()
    computer.log.with_name("dpkg.log.1").write_text("2026-11-30 13:00:00 startup of another log\n")
    computer.log.write_text("2026-11-30 14:00:00 startup\n")

    computer.watch.look()
    computer.watch.look()

    assert computer.told() == []
    assert computer.gaps == ["dpkg's log was rotated away before it was read"]


def test_log_that_was_cut_short_in_place_is_noticed(computer: Computer) -> None:
    computer.installed("history")
    computer.watch.look()
    os.truncate(computer.log, 10)

    computer.watch.look()

    assert len(computer.gaps) == 1


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_cut_at_any_write_tells_everything_once(
    computer: Computer, monkeypatch: pytest.MonkeyPatch, at: int, *, before: bool
) -> None:
    class PowerCutError(BaseException):
        pass

    computer.watch.look()
    computer.installed("theirs")
    original, calls = durable_replace, [0]

    def cut(path: Path, data: bytes, mode: int) -> None:
        calls[0] += 1
        if calls[0] == at and before:
            raise PowerCutError
        original(path, data, mode)
        if calls[0] == at:
            raise PowerCutError

    monkeypatch.setattr(package_watch, "durable_replace", cut)
    with pytest.raises(PowerCutError):
        computer.watch.look()
    monkeypatch.setattr(package_watch, "durable_replace", original)
    computer.installed("theirs-too")
    computer.start().look()
    computer.watch.look()

    assert [package for _, package, _, _ in computer.told()] == ["theirs", "theirs-too"]


def test_too_many_changes_are_counted_and_not_listed(computer: Computer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "package_changes_at_once", 4)
    monkeypatch.setattr(limits, "package_changes_max", 10)
    computer.watch.look()
    for number in range(13):
        computer.installed(f"p{number}")

    computer.watch.look()

    assert [len(batch) for batch in computer.signed.values()] == [4, 4, 2]
    assert computer.left_out == 3


def test_half_a_line_waits_for_its_end(computer: Computer) -> None:
    computer.watch.look()
    computer.installed("whole")
    with computer.log.open("a") as file:
        file.write("2026-11-30 12:00:00 install ha")
    computer.watch.look()

    with computer.log.open("a") as file:
        file.write("lf:all <none> 1\n2026-11-30 12:00:00 status installed half:all 1\n")
    computer.watch.look()

    assert [package for _, package, _, _ in computer.told()] == ["whole", "half"]


def test_bytes_that_are_no_text_hold_nothing_back(computer: Computer) -> None:
    computer.watch.look()
    computer.log.write_bytes(b"2026-11-30 12:00:00 install \xff\xfe:all <none> 1\n\x00\x00\n")
    computer.installed("fine")

    computer.now = lambda: datetime.now(UTC) + timedelta(days=3650)
    computer.start().look()

    assert ("INSTALLED", "fine", "", "1") in computer.told()


def test_nothing_new_writes_nothing(computer: Computer) -> None:
    computer.installed("history")
    computer.watch.look()
    before = (computer.state / "packages.json").stat()

    computer.watch.look()

    assert (computer.state / "packages.json").stat().st_mtime_ns == before.st_mtime_ns
