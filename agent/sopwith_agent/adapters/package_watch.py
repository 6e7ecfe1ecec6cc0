"""Watching dpkg's log and rpm's database below the root: what changed since it was looked at last.

Decides where the watch stands and that nothing is told twice or passed over silently; what a line means is
`domain.package_changes`'s. Rules: what lies there at the first look is history; where the log was read to is kept with
the log's own beginning, so that a rotated log is found again and read to its end; one that cannot be found is a gap,
and said to be one; what is about to be reported is written down together with the new place, and signed once whatever
happens in between. Changes between `begin_own` and `end_own` are the agent's own: the mark outlives a crash. A change
that another program makes within these seconds is taken for the agent's.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from sopwith_agent.adapters.package_lock import rpm_database
from sopwith_agent.adapters.processes import run_program
from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.package_changes import UNFINISHED_AFTER, dpkg_changes, rpm_changes
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_replace
from sopwith_formats.errors import FormatError
from sopwith_formats.observation import PackageChange, change_document, read_change
from sopwith_formats.vocabulary import Symptom

_log = structlog.get_logger()
_DPKG_LOG = "var/log/dpkg.log"
_HEAD_BYTES = 120
_RPM_FIELDS = "%{NAME}.%{ARCH}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{INSTALLTIME}\\n"
_RPM_FILES = ("rpmdb.sqlite", "rpmdb.sqlite-wal", "Packages", "Packages.db")
_LOST = "dpkg's log was rotated away before it was read"

Sign = Callable[[str, tuple[PackageChange, ...], int, str], None]
"""Signs changes under a mark: (mark, changes, how many are left out, why some may be missing)."""


@dataclass(frozen=True)
class _Place:
    """Where dpkg's log was read to."""

    offset: int = 0
    head: str = ""
    """The log's first bytes, hexadecimal: they tell it from the one before the rotation."""
    rotated: bool = False
    """The lines up to here come from two logs."""


@dataclass(frozen=True)
class _State:
    dpkg: _Place
    rpm_stamp: str = ""
    rpm: dict[str, list[str]] | None = None
    """Packages when rpm was looked at last; None before there was a database."""
    own: bool = False
    pending: tuple[dict[str, Any], ...] = ()


class FilePackageWatch:
    """One computer's watch; used by the worker's thread alone."""

    def __init__(self, state: Path, root: Path, sign: Sign, now: Callable[[], datetime]) -> None:
        self._file = state / "packages.json"
        self._root = root
        self._sign = sign
        self._now = now
        self._state = self._read()

    def look(self) -> None:
        """Report what others changed since the last look; the rest of an own change that was cut off is passed over."""
        self._guarded(lambda: self._pass_over(own=False) if self._known().own else self._report(own=False))

    def begin_own(self) -> None:
        """Report what others changed until now; from here on changes are the agent's own, also over a crash."""
        self._guarded(lambda: self._pass_over(own=True) if self._known().own else self._report(own=True))

    def end_own(self) -> None:
        """Take what changed since `begin_own` as the agent's own."""
        self._guarded(lambda: self._pass_over(own=False))

    def _guarded(self, act: Callable[[], None]) -> None:
        """Never let the watch stand in the way of an update."""
        try:
            act()
        except (OSError, StepError, FormatError) as error:
            _log.error("packages_not_watched", error=str(error))

    def _known(self) -> _State:
        """Return where the watch stands; at the first look that is the present."""
        if self._state is None:
            self._state = _State(_Place())
            self._pass_over(own=False)
        return self._state

    def _report(self, *, own: bool) -> None:
        before = self._known()
        self._deliver(before)
        lines, place, gap = self._new_lines(before.dpkg)
        # What a rotated log left unfinished cannot be read again: it is told as it stands.
        now = self._now() + (UNFINISHED_AFTER if place.rotated else timedelta(0))
        changes, done = dpkg_changes([line.decode("utf-8", "replace") for line in lines], _local_to_utc, now)
        offset = place.offset - sum(len(line) + 1 for line in lines[done:])
        stamp, packages = self._rpm_now(before)
        if packages is not None and before.rpm is not None:
            changes += rpm_changes(before.rpm, packages, self._now())
        after = replace(
            before,
            dpkg=replace(place, offset=offset, rotated=False),
            rpm_stamp=stamp,
            rpm=before.rpm if packages is None else {key: list(versions) for key, (versions, _) in packages.items()},
            own=own,
            pending=tuple(_batches(changes, gap)),
        )
        if after != before:
            self._keep(after)
            self._deliver(after)

    def _pass_over(self, *, own: bool) -> None:
        before = self._state or _State(_Place())
        _, place, _ = self._new_lines(before.dpkg)
        stamp, packages = self._rpm_now(before)
        rpm = before.rpm if packages is None else {key: list(versions) for key, (versions, _) in packages.items()}
        after = replace(before, dpkg=replace(place, rotated=False), rpm_stamp=stamp, rpm=rpm, own=own)
        if after != before or not self._file.exists():
            self._keep(after)

    def _deliver(self, state: _State) -> None:
        """Sign what waits; the mark makes sure that a second time signs nothing."""
        for batch in state.pending:
            changes = tuple(read_change(change) for change in batch["changes"])
            self._sign(str(batch["mark"]), changes, int(batch["left_out"]), str(batch["gap"]))
        if state.pending:
            self._keep(replace(state, pending=()))

    def _new_lines(self, known: _Place) -> tuple[list[bytes], _Place, str]:
        """Return the whole lines behind a place, the place behind them, and why some may be missing."""
        log = self._root / _DPKG_LOG
        head = _head(log)
        if not head.startswith(known.head) or known.offset > _size(log):
            return self._over_the_rotation(known, log)
        whole = _whole_lines(_behind(log, known.offset))
        return whole.split(b"\n")[:-1], _Place(known.offset + len(whole), head), ""

    def _over_the_rotation(self, known: _Place, log: Path) -> tuple[list[bytes], _Place, str]:
        """Read the rest of the log that was rotated, and then the new one."""
        former = log.with_name(f"{log.name}.1")
        found = _head(former).startswith(known.head)
        rest = _whole_lines(_behind(former, known.offset)) if found else b""
        whole = _whole_lines(_behind(log, 0))
        place = _Place(len(whole), _head(log), rotated=True)
        return (rest + whole).split(b"\n")[:-1], place, "" if found else _LOST

    def _rpm_now(self, before: _State) -> tuple[str, dict[str, tuple[list[str], datetime]] | None]:
        """Return a stamp of rpm's database and what it holds; None where it is absent or as it was."""
        database = rpm_database(self._root)
        if database is None:
            return "", None
        folder = self._root / database.lstrip("/")
        if _stamp(folder) == before.rpm_stamp:
            return before.rpm_stamp, None
        where = ["--root", str(self._root), "--dbpath", database]
        finished = run_program(
            ["rpm", *where, "-qa", "--queryformat", _RPM_FIELDS],
            timeout_seconds=limits.package_query_seconds,
            environment={"LC_ALL": "C"},
            output_max=limits.package_query_max_bytes,
            raw_output=True,
        )
        if not finished.ok:
            raise StepError(Symptom.PACKAGE_DATABASE_BROKEN, f"rpm cannot read its database: {finished.line}")
        packages: dict[str, tuple[list[str], datetime]] = {}
        for line in finished.output.splitlines():
            columns = line.split("\t")
            if len(columns) == 3 and columns[2].isdigit():  # noqa: PLR2004  the columns of _RPM_FIELDS
                versions, newest = packages.get(columns[0], ([], datetime.fromtimestamp(0, UTC)))
                installed = datetime.fromtimestamp(int(columns[2]), UTC)
                packages[columns[0]] = (sorted([*versions, columns[1].removeprefix("0:")]), max(newest, installed))
        return _stamp(folder), packages

    def _keep(self, state: _State) -> None:
        document = {
            "dpkg": {"offset": state.dpkg.offset, "head": state.dpkg.head},
            "rpm_stamp": state.rpm_stamp,
            "rpm": state.rpm,
            "own": state.own,
            "pending": list(state.pending),
        }
        durable_replace(self._file, canonical_json.encode(document), 0o600)
        self._state = state

    def _read(self) -> _State | None:
        try:
            document = canonical_json.decode(self._file.read_bytes(), size_max=limits.package_state_max_bytes)
            return _State(
                _Place(int(document["dpkg"]["offset"]), str(document["dpkg"]["head"])),
                str(document["rpm_stamp"]),
                document["rpm"],
                bool(document["own"]),
                tuple(document["pending"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, FormatError, KeyError, TypeError, ValueError) as error:
            _log.error("package_watch_broken", error=str(error))
            return None


def _batches(changes: list[PackageChange], gap: str) -> list[dict[str, Any]]:
    """Return changes in the sizes in which they are signed; too many are counted and left out."""
    kept, left_out = changes[: limits.package_changes_max], max(0, len(changes) - limits.package_changes_max)
    size = limits.package_changes_at_once
    pieces = [kept[start : start + size] for start in range(0, len(kept), size)] or ([[]] if gap else [])
    batches = []
    for index, piece in enumerate(pieces):
        documents = [change_document(change) for change in piece]
        said = {"changes": documents, "left_out": left_out if index == len(pieces) - 1 else 0, "gap": gap}
        mark = hashlib.sha256(canonical_json.encode({**said, "index": index})).hexdigest()
        batches.append({**said, "mark": mark})
        gap = ""
    return batches


def _local_to_utc(text: str) -> datetime:
    """Return a time of dpkg's log, which is on the computer's own clock zone, in UTC."""
    return datetime.fromtimestamp(time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S")), UTC)


def _whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES).hex()
    except OSError:
        return ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _behind(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(limits.package_log_at_once_bytes)
    except FileNotFoundError:
        return b""


def _stamp(folder: Path) -> str:
    found = []
    for name in _RPM_FILES:
        try:
            status = (folder / name).stat()
        except OSError:
            continue
        if status.st_size:
            found.append(f"{name}:{status.st_size}:{status.st_mtime_ns}")
    return " ".join(found)
