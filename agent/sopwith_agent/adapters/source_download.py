"""Fetching one file of the source: resumed where it broke off, never longer than signed, believed only when whole.

This module decides how bytes become a file under its final name; which file, how long and with which digest is what the
signed metadata says (`source_metadata`). Rules:

- one GET per file; a part is resumed by Range with If-Range, and only by a 206 whose Content-Range is exactly the rest;
  a 200 starts over in the same answer; 416, another ETag or another range starts over with one new GET;
- a part is kept when the transfer broke off, and discarded when its content is wrong; wrong content after a resumed
  transfer is fetched once more from the beginning, because the old part may have been the wrong half;
- mirrors are asked before the source itself, each once; whatever goes wrong there leads to the next place, with the
  part kept as far as it is still believed;
- a source that answers with a status from 400 to 499 is not asked again: it says that it will not give this file;
- the digest is taken from the open file, from its first byte to its last, whatever was believed before, and while the
  rest still comes (`source_digest`); then flush, then rename;
- parts lie in the source's own private folder, so that nothing unfinished is ever seen where files are delivered.
"""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import structlog
from tuf.api.metadata import TargetFile

from sopwith_agent.adapters.source_digest import KNOWN_DIGESTS, DigestBehind, digests_of
from sopwith_agent.adapters.source_metadata import classify_disk
from sopwith_agent.adapters.source_transport import PORTAL_REMEDY, Answer, TransferError, Transport
from sopwith_agent.adapters.source_ways import Brake
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_formats.durable import durable_move, durable_replace, flush_folder
from sopwith_formats.vocabulary import Symptom

SPACE_MARGIN_BYTES = 64 * 2**10
PART_AGE_MAX_SECONDS = 14 * 86_400
_PIECE = 256 * 2**10
_NAME_BYTES_MAX = 200
_BUFFER_MIN = 16 * 2**10
_CLIENT_ERRORS = (400, 500)
_PASSING_ERRORS = frozenset({407, 408, 416, 421, 425, 429})
"""Of the client errors those that a later try or another way may not meet."""
_OK, _PARTIAL, _RANGE_NOT_SATISFIABLE = 200, 206, 416
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")

_log = structlog.get_logger()

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Order:
    """What is wanted, and whom to tell."""

    target: TargetFile
    progress: Progress
    cancelled: Callable[[], bool]


class _StartOverError(Exception):
    """What lies in the part cannot be continued."""


@dataclass(frozen=True)
class Mirror:
    """Another place that serves the source's files, and how it is asked."""

    transport: Transport
    files_url: str


@dataclass(frozen=True)
class Downloader:
    """Fetches files from one address; `parts` is a private folder for what is on its way."""

    transport: Transport
    files_url: str
    parts: Path
    hash_prefixed: bool
    mirrors: tuple[Mirror, ...] = ()
    rate: Callable[[], int | None] = lambda: None
    """The bytes per second that are allowed at the moment, None where nothing is held back."""

    def fetch(self, target: TargetFile, destination: Path, progress: Progress, cancelled: Callable[[], bool]) -> str:
        """Bring a target to its destination unless it lies there whole; return its sha256; raise StepError."""
        wanted = known_digests(target)
        try:
            if digest := whole_digest(destination, target):
                progress(target.length, target.length)
                return digest
            self.parts.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._forget_old_parts()
            with self._part(sha256(repr(sorted(wanted.items())).encode()).hexdigest()) as part:
                part.need_space(target.length)
                return self._fetch_into(part, _Order(target, progress, cancelled), destination)
        except OSError as error:
            raise classify_disk(error) from error

    def _fetch_into(self, part: "_Part", order: _Order, destination: Path) -> str:
        for mirror in self.mirrors:
            try:
                digest = self._fetch_from(mirror, part, order)
            except StepError as error:
                if order.cancelled():
                    raise
                _log.warning("mirror_passed_over", mirror=mirror.files_url, reason=error.message)
                part.forget_etag()  # it names the mirror's writing, not the next place's
            else:
                part.deliver(destination)
                return digest
        digest = self._fetch_from(Mirror(self.transport, self.files_url), part, order)
        part.deliver(destination)
        return digest

    def _fetch_from(self, place: Mirror, part: "_Part", order: _Order) -> str:
        resumed = part.size() > 0
        try:
            return self._verified(part, order.target, self._receive(place, part, order))
        except (_StartOverError, TrustError):
            part.discard()
            if not resumed:
                raise
        return self._verified(part, order.target, self._receive(place, part, order))

    def _verified(self, part: "_Part", target: TargetFile, found: dict[str, str]) -> str:
        digest = _believed(part.descriptor, target, found)
        if not digest:
            part.discard()
            raise _wrong_content(target, "has another digest than the one signed")
        return digest

    def _receive(self, place: Mirror, part: "_Part", order: _Order) -> dict[str, str]:
        """Bring the part to the target's length; return the digests of all that then lies in it."""
        target = order.target
        offset = part.size()
        if offset > target.length:
            part.discard()
            offset = 0
        if offset and offset == target.length:
            return digests_of(part.descriptor, _digests_to_take(target))
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        if offset and (etag := part.etag()):
            headers["If-Range"] = etag
        url = file_url(place.files_url, target, hash_prefixed=self.hash_prefixed)
        deadline = time.monotonic() + 60 + target.length / place.transport.limits.floor_bytes_per_second
        brake = Brake(self.rate)
        with place.transport.get(url, headers, deadline=deadline) as answer:
            offset = _begin(answer, part, offset, target)
            if (rate := self.rate()) is not None:
                answer.hold_back(max(_BUFFER_MIN, rate // 2))
            return _copy(answer, part, offset, order, brake)

    @contextlib.contextmanager
    def _part(self, name: str) -> Iterator["_Part"]:
        path = self.parts / f"{name}.part"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield _Part(path, descriptor)
        except BlockingIOError as error:
            raise StepError(
                Symptom.TIMEOUT, "another process is fetching this file", remedy="try again later"
            ) from error
        finally:
            os.close(descriptor)

    def _forget_old_parts(self) -> None:
        for entry in self.parts.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - entry.stat().st_mtime > PART_AGE_MAX_SECONDS:
                    entry.unlink()


class _Part:
    """A file on its way, held open from the first byte to its delivery."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.descriptor = descriptor
        self._path = path
        self._etag = path.with_suffix(".etag")

    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def etag(self) -> str:
        try:
            return self._etag.read_text("latin-1")
        except OSError:
            return ""

    def begin(self, etag: str) -> None:
        """Empty the part and remember which writing of the file the server gives; a weak ETag promises no bytes."""
        os.ftruncate(self.descriptor, 0)
        if etag.startswith('"') and "\n" not in etag:
            durable_replace(self._etag, etag.encode("latin-1", "replace"), 0o600)
        else:
            self._etag.unlink(missing_ok=True)

    def forget_etag(self) -> None:
        self._etag.unlink(missing_ok=True)

    def discard(self) -> None:
        os.ftruncate(self.descriptor, 0)
        self._etag.unlink(missing_ok=True)

    def need_space(self, length: int) -> None:
        free = os.fstatvfs(self.descriptor)
        missing = length - self.size() + SPACE_MARGIN_BYTES - free.f_bavail * free.f_frsize
        if missing > 0:
            raise StepError(Symptom.DISK_FULL, f"{missing} bytes are missing for this file", remedy="free disk space")

    def deliver(self, destination: Path) -> None:
        """Give the verified content its final name."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.parent.stat().st_dev == os.fstat(self.descriptor).st_dev:
            durable_move(self._path, destination)
        else:
            self._deliver_across(destination)
            self._path.unlink()
        self._etag.unlink(missing_ok=True)
        flush_folder(self._path.parent)

    def _deliver_across(self, destination: Path) -> None:
        temporary = destination.parent / f".{self._path.name}"
        try:
            with temporary.open("wb") as copy:
                os.lseek(self.descriptor, 0, os.SEEK_SET)
                while piece := os.read(self.descriptor, _PIECE):
                    copy.write(piece)
            durable_move(temporary, destination)
        finally:
            temporary.unlink(missing_ok=True)


def known_digests(target: TargetFile) -> dict[str, str]:
    """Return the signed digests that can be computed here; raise TrustError when there is none."""
    known = {name: value for name, value in target.hashes.items() if name in KNOWN_DIGESTS}
    if not known:
        raise TrustError(
            Symptom.DOWNLOAD_DIGEST_MISMATCH,
            f"{target.path} is signed with unknown digests only ({', '.join(target.hashes)})",
            remedy="sign it with sha256",
        )
    return known


def file_url(files_url: str, target: TargetFile, *, hash_prefixed: bool) -> str:
    """Return the address of a target; with consistent snapshots its digest stands before the file's own name."""
    folder, slash, name = target.path.rpartition("/")
    if hash_prefixed:
        digest = next(iter(target.hashes.values()))
        if not re.fullmatch(r"[0-9A-Fa-f]{8,256}", digest):
            digest = next(iter(known_digests(target).values()))
        name = f"{digest}.{name}"
    return f"{files_url.rstrip('/')}/{folder}{slash}{name}"


def file_name(target: str) -> str:
    """Return the one file name under which a target lies in a folder of all targets; no two targets share one."""
    name = quote(target, safe="")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    return name if len(name) <= _NAME_BYTES_MAX else f"sha256%{sha256(target.encode()).hexdigest()}"


def whole_digest(path: Path, target: TargetFile) -> str:
    """Return the sha256 of a file that is the target, byte for byte; empty text for any other or none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return _check(descriptor, target)
    finally:
        os.close(descriptor)


def _check(descriptor: int, target: TargetFile) -> str:
    if os.fstat(descriptor).st_size != target.length:
        return ""
    return _believed(descriptor, target, digests_of(descriptor, _digests_to_take(target)))


def _digests_to_take(target: TargetFile) -> set[str]:
    return {*known_digests(target), "sha256"}


def _believed(descriptor: int, target: TargetFile, found: dict[str, str]) -> str:
    """Return the sha256 of an open file whose length and digests are the signed ones; empty text for any other."""
    if os.fstat(descriptor).st_size != target.length:
        return ""
    wanted = known_digests(target)
    return found["sha256"] if all(found[name] == value for name, value in wanted.items()) else ""


def _begin(answer: Answer, part: _Part, offset: int, target: TargetFile) -> int:
    """Return where the answer's body goes on; raise when it cannot be used."""
    if answer.status == _OK:
        announced = answer.content_length
        if answer.is_page and announced != target.length and not target.path.endswith((".html", ".htm")):
            raise TransferError(f"{target.path}: a web page comes instead of the file", remedy=PORTAL_REMEDY)
        if announced is not None and announced != target.length:
            raise _wrong_content(target, f"is announced with {announced} bytes; {target.length} are signed")
        part.begin(answer.header("ETag"))
        return 0
    if not offset:
        raise _not_given(answer, target)
    if answer.status == _PARTIAL:
        match = _CONTENT_RANGE.fullmatch(answer.header("Content-Range").strip())
        etag = answer.header("ETag")
        exact = match and (int(match[1]), int(match[2])) == (offset, target.length - 1)
        if exact and match and match[3] in ("*", str(target.length)) and (not part.etag() or etag in ("", part.etag())):
            return offset
        raise _StartOverError
    if answer.status == _RANGE_NOT_SATISFIABLE:
        raise _StartOverError
    raise _not_given(answer, target)


def _not_given(answer: Answer, target: TargetFile) -> TransferError:
    """Return what a status means: from 400 to 499 that asking again is of no use, but for those that say so."""
    final = _CLIENT_ERRORS[0] <= answer.status < _CLIENT_ERRORS[1] and answer.status not in _PASSING_ERRORS
    return TransferError(
        f"{target.path}: the source answers with status {answer.status}",
        remedy="publish the file, or correct the address of the files" if final else "",
        final=final,
    )


def _copy(answer: Answer, part: _Part, offset: int, order: _Order, brake: Brake) -> dict[str, str]:
    """Write the answer's body behind what lies in the part; return the digests of all of it."""
    target = order.target
    os.lseek(part.descriptor, offset, os.SEEK_SET)
    with DigestBehind(part.descriptor, _digests_to_take(target)) as behind:
        while offset < target.length:
            if order.cancelled():
                raise StepError(Symptom.UNKNOWN, f"fetching {target.path} was called off")
            piece = answer.read(brake.piece_bytes(min(_PIECE, target.length - offset + 1)))
            if not piece:
                break
            if offset + len(piece) > target.length:
                raise _wrong_content(target, f"is longer than the {target.length} bytes signed")
            _write(part.descriptor, piece)
            offset += len(piece)
            behind.written(offset)
            order.progress(offset, target.length)
            brake.moved(len(piece), order.cancelled)
        if offset < target.length:
            if answer.framed:
                raise _wrong_content(target, f"ends after {offset} bytes; {target.length} are signed")
            raise TransferError(f"{target.path}: the connection ended after {offset} of {target.length} bytes")
        if answer.more_follows(patience_seconds=1.0):
            raise _wrong_content(target, f"is longer than the {target.length} bytes signed")
        return behind.found()


def _write(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _wrong_content(target: TargetFile, what: str) -> TrustError:
    return TrustError(
        Symptom.DOWNLOAD_DIGEST_MISMATCH, f"{target.path} {what}", remedy="restore the file that was published"
    )
