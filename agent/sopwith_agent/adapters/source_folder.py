"""What the computer knows of its source, on disk: the pinned root, the metadata as received, and a floor under it.

This module decides what is trusted before anything is fetched and what may never be taken back; fetching is left to
`source_metadata`. All that is known of a source lies in one folder:

- `pinned_root`: the root that a person or the join string named; trust begins there and nowhere else;
- `root.json timestamp.json snapshot.json targets.json <role>.json`, `root_history/`: as received, by python-tuf;
- `floor/`: second copies of the roots, the timestamp and the snapshot that were accepted, and the latest time seen;
- `parts/`: files on their way; `lock`: one process at a time.

Why a floor: python-tuf never flushes to the disk, and ignores a local file that it cannot read, so that a power cut or
a lost file would let an older, rightly signed repository in. Before each refresh the newest copy that still verifies is
put back. A copy that the present root no longer vouches for does not count: so recovers a source whose stolen key had
signed an absurdly high version.
"""

import contextlib
import fcntl
import functools
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from sopwith_agent.adapters.source_fetcher import check_keys
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_formats.durable import durable_replace, flush_folder, flush_tree, sweep
from sopwith_formats.vocabulary import Symptom

ROOT_BYTES_MAX = 512_000
LOCK_WAIT_SECONDS = 10.0
_GUARDED = ("timestamp", "snapshot")


class SourceFolder:
    """The folder of one source; `expected_sha256` names the pinned root from outside it, where that is known."""

    def __init__(self, path: Path, *, expected_sha256: str = "") -> None:
        self.path = path
        self._expected = expected_sha256.removeprefix("sha256:")
        self._pinned = path / "pinned_root"
        self._floor = path / "floor"
        self.parts = path / "parts"
        self._flushed: set[tuple[str, int, int]] = set()

    def trust(self, root: bytes) -> str:
        """Pin a root; return its digest. The same root, or one that the trusted root signed, may be pinned again."""
        signed = read_root(root)
        digest = sha256(root).hexdigest()
        if self._expected and digest != self._expected:
            raise TrustError(Symptom.SIGNATURE_INVALID, "this is not the root that was named at enrolment")
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.locked():
            if self._pinned.exists() and self._pinned.read_bytes() != root and not self._vouches_for(root):
                raise TrustError(
                    Symptom.SIGNATURE_INVALID,
                    f"{self.path} trusts another source already",
                    remedy="use another folder, or remove this one to begin anew",
                )
            durable_replace(self._pinned, root, 0o600)
            if not (self.path / "root.json").exists():
                durable_replace(self.path / "root.json", root, 0o600)
            durable_replace(self._floor_file(f"root.{signed.version}"), root, 0o600)
        return digest

    def pinned_root(self) -> bytes:
        """Return the root where trust begins; raise StepError where none is pinned or another one lies there."""
        try:
            root = self._pinned.read_bytes()
        except FileNotFoundError as error:
            raise StepError(
                Symptom.SOURCE_NOT_DESIGNATED, f"{self.path} trusts no source yet", remedy="trust its root first"
            ) from error
        if self._expected and sha256(root).hexdigest() != self._expected:
            raise TrustError(Symptom.SIGNATURE_INVALID, f"{self._pinned} is not the root that was named at enrolment")
        read_root(root)
        return root

    def trusted_root(self) -> Root:
        """Return the newest root that a chain of signatures from the pinned one leads to."""
        root = read_root(self.pinned_root())
        while True:
            following = self._next_root(root)
            if following is None:
                return root
            root = following

    def read(self, role: str) -> Metadata[Any] | None:
        """Return the metadata of a role as received, None where it is absent or unreadable."""
        return _parsed(self.path / f"{role}.json")

    def put_back(self) -> None:
        """Put the newest accepted copies back where the received ones were lost, spoiled or replaced by older ones."""
        root = self.trusted_root()
        history = self.path / "root_history"
        history.mkdir(exist_ok=True, mode=0o700)
        for copy in self._floor.glob("root.*"):
            received = history / f"{copy.name.removeprefix('root.')}.root.json"
            if not received.exists() or received.read_bytes() != copy.read_bytes():
                durable_replace(received, copy.read_bytes(), 0o600)
        for role in _GUARDED:
            kept, received = _parsed(self._floor / role), self.path / f"{role}.json"
            if kept is None or not _signed_by(root, role, kept):
                continue
            present = _parsed(received)
            if present is None or not _signed_by(root, role, present) or present.signed.version < kept.signed.version:
                durable_replace(received, (self._floor / role).read_bytes(), 0o600)

    def raise_floor(self) -> None:
        """Bring everything received to the disk, then remember it as the least that is accepted from now on."""
        self._flush_received()
        root = self.trusted_root()
        for version in range(read_root(self.pinned_root()).version, root.version + 1):
            received = self.path / "root_history" / f"{version}.root.json"
            copy = self._floor_file(f"root.{version}")
            if received.exists() and not copy.exists():
                durable_replace(copy, received.read_bytes(), 0o600)
        for role in _GUARDED:
            self._raise_floor_of(role, root)

    def _flush_received(self) -> None:
        """Bring files to the disk that this process has not brought there yet."""
        history = self.path / "root_history"
        received = [entry for entry in self.path.iterdir() if entry.suffix == ".json" and not entry.is_symlink()]
        for entry in [*received, *(history.iterdir() if history.is_dir() else ())]:
            state = entry.stat()
            mark = (entry.name, state.st_ino, state.st_mtime_ns)
            if mark not in self._flushed:
                flush_tree(entry)
                self._flushed.add(mark)
        if history.is_dir():
            flush_folder(history)
        flush_folder(self.path)

    def _raise_floor_of(self, role: str, root: Root) -> None:
        received = self.path / f"{role}.json"
        present, kept = _parsed(received), _parsed(self._floor / role)
        if present is None or not _signed_by(root, role, present):
            return
        if kept is not None and _signed_by(root, role, kept) and kept.signed.version >= present.signed.version:
            return
        durable_replace(self._floor_file(role), received.read_bytes(), 0o600)

    def latest_time(self) -> datetime:
        """Return the latest time at which a refresh succeeded; the clock was right then, for the source was fresh."""
        try:
            return datetime.fromtimestamp(int((self._floor / "clock").read_text("ascii")), UTC)
        except (OSError, ValueError, OverflowError):
            return datetime.fromtimestamp(0, UTC)

    def note_time(self, now: datetime) -> None:
        """Remember the time of a successful refresh."""
        durable_replace(self._floor_file("clock"), str(int(now.timestamp())).encode("ascii"), 0o600)

    def sweep(self) -> None:
        """Remove what killed processes left behind; only under the lock."""
        sweep(self.path)
        sweep(self._floor)
        for leftover in self.path.glob("tmp*"):  # python-tuf's own temporary files
            if leftover.is_file():
                leftover.unlink()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out of the folder; raise StepError when one does not leave within the wait."""
        if not self.path.is_dir():
            raise StepError(
                Symptom.SOURCE_NOT_DESIGNATED, f"{self.path} trusts no source yet", remedy="trust its root first"
            )
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            give_up = time.monotonic() + LOCK_WAIT_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > give_up:
                        raise StepError(
                            Symptom.TIMEOUT, f"another process is using {self.path}", remedy="try again later"
                        ) from error
                    time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)

    def _vouches_for(self, root: bytes) -> bool:
        with contextlib.suppress(StepError):
            trusted, new = self.trusted_root(), Metadata[Root].from_bytes(root)
            return new.signed.version >= trusted.version and _signed_by(trusted, Root.type, new)
        return False

    def _next_root(self, root: Root) -> Root | None:
        name = root.version + 1
        for path in (self._floor / f"root.{name}", self.path / "root_history" / f"{name}.root.json"):
            new = _parsed(path)
            if new is None or not isinstance(new.signed, Root) or new.signed.version != name:
                continue
            if _signed_by(root, Root.type, new) and _signed_by(new.signed, Root.type, new):
                return new.signed
        return None

    def _floor_file(self, name: str) -> Path:
        self._floor.mkdir(exist_ok=True, mode=0o700)
        return self._floor / name


@functools.lru_cache(maxsize=2)
def read_root(data: bytes) -> Root:
    """Return the root of metadata that is signed by its own keys; raise TrustError for anything else.

    What the same bytes say is remembered: each look into the folder begins with the pinned root, sixteen in an update.
    Nobody changes what is returned.
    """
    if len(data) > ROOT_BYTES_MAX:
        raise TrustError(Symptom.SIGNATURE_INVALID, f"a root has at most {ROOT_BYTES_MAX} bytes")
    try:
        metadata = Metadata[Root].from_bytes(data)
        if not isinstance(metadata.signed, Root):
            raise TrustError(Symptom.SIGNATURE_INVALID, "this is metadata of a source, but no root")
        check_keys(data)
        metadata.signed.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise TrustError(
            Symptom.SIGNATURE_INVALID, f"the root does not hold: {error}", remedy="fetch the source's root anew"
        ) from error
    return metadata.signed


def _parsed(path: Path) -> Metadata[Any] | None:
    try:
        return Metadata.from_bytes(path.read_bytes())
    except (OSError, RepositoryError, ValueError):
        return None


def _signed_by(root: Root, role: str, metadata: Metadata[Any]) -> bool:
    if metadata.signed.type != role:
        return False
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError):
        return False
    return True
