"""The signed source in a folder: what people signed is verified, put beside what the controller signs, and served.

This module decides whether new metadata may take the place of the old, and in which order files change on disk so that
a kill at any point leaves a whole source. What holds as signed is `sopwith_certs.source_set`'s, snapshot and timestamp
are `online_roles`', the files `target_files`'.

Rules: trust begins at the first root that a person designated, once; a version never goes down and never gets other
bytes; a listed name never gets other content; nothing is listed whose file is missing or has another size. On disk:
`metadata/` and `targets/` are what is served, `online_key.pem` is the controller's own key. Versioned files are written
first, `timestamp.json` last, and only it brings a new state into force. A new root counts as soon as it lies there, so
a change of roots is written to `pending/` first and taken over from there, at the next start if need be.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Timestamp

from sopwith_certs.errors import TrustError as CertsTrustError
from sopwith_certs.source_set import SourceSet, is_served_name, read_root, read_source_set
from sopwith_controller.adapters.source.online_roles import (
    SNAPSHOT_LIFE,
    TIMESTAMP_FILE,
    OnlineRoles,
    check_online_key,
    read_online,
    read_online_key,
    sign_online,
)
from sopwith_controller.adapters.source.target_files import TargetFiles
from sopwith_controller.domain.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    TrustError,
    UnavailableError,
)
from sopwith_controller.services.ports import Clock, SourceRole, SourceView
from sopwith_formats.durable import durable_move, durable_replace, make_private_folder

FIRST_ROOT = "1.root.json"
LEAP_VERSIONS = 100_000
"""A timestamp every hour and one for each publication: more than ten years without a backup would be needed."""


@dataclass(frozen=True)
class _Served:
    """What is in force."""

    source: SourceSet
    online: OnlineRoles

    @property
    def files(self) -> dict[str, bytes]:
        return {**self.source.files, **self.online.files()}


class FolderSource:
    """The `SourceStore` of one controller process over `--data`'s folder `source`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._metadata = folder / "metadata"
        self._pending = folder / "pending"
        self._key_file = folder / "online_key.pem"
        self._clock = clock
        self._targets = TargetFiles(folder / "targets", folder / "uploads")
        self._lock = asyncio.Lock()
        self._served: _Served | None = None

    async def view(self) -> SourceView | None:
        """Return what is served, None before designation."""
        async with self._lock:
            served = await asyncio.to_thread(self._load)
        return _view(served) if served else None

    async def designate(self, root_json: bytes, metadata: dict[str, bytes], online_key_pem: bytes) -> SourceView:
        """Verify and install the first metadata; raise ConflictError when another source is designated already."""
        async with self._lock:
            return _view(await asyncio.to_thread(self._designate, root_json, metadata, online_key_pem))

    async def store_target(self, target: str, length: int, sha256: str, pieces: AsyncIterator[bytes]) -> bool:
        """Store one uploaded file under its digest; return False when it lay there already."""
        return await self._targets.store(target, length, sha256, pieces)

    async def commit(self, metadata: dict[str, bytes]) -> SourceView:
        """Verify new metadata against the trusted root, sign snapshot and timestamp, swap; raise TrustError."""
        async with self._lock:
            return _view(await asyncio.to_thread(self._commit, metadata))

    async def read_target(self, target: str) -> bytes | None:
        """Return a small signed target, checked against the metadata; None when not signed or not there."""
        async with self._lock:
            served = await asyncio.to_thread(self._load)
        info = served.source.find(target) if served else None
        if info is None:
            return None
        return await asyncio.to_thread(self._targets.read, target, info.length, info.hashes["sha256"])

    async def signed_targets(self, prefix: str) -> dict[str, tuple[int, str]]:
        """Return signed targets whose name begins so: name to (length, sha256)."""
        async with self._lock:
            served = await asyncio.to_thread(self._load)
        listed = served.source.listed() if served else {}
        return {name: (info.length, info.hashes["sha256"]) for name, info in listed.items() if name.startswith(prefix)}

    async def renew(self) -> None:
        """Sign a fresh timestamp, and snapshot when half of its life is over; nothing before designation."""
        async with self._lock:
            await asyncio.to_thread(self._renew)

    async def leap(self) -> None:
        """Sign snapshot and timestamp far ahead of any version that may have been served after a backup was made."""
        async with self._lock:
            await asyncio.to_thread(self._renew, ahead=LEAP_VERSIONS)

    def _load(self) -> _Served | None:
        if self._served is None:
            self._finish_pending()
            self._targets.sweep()
            self._served = self._read()
        return self._served

    def _read(self) -> _Served | None:
        try:
            timestamp = (self._metadata / TIMESTAMP_FILE).read_bytes()
        except FileNotFoundError:
            return None
        files = {path.name: path.read_bytes() for path in self._metadata.glob("*.json")}
        try:
            online = read_online(timestamp, _snapshot_of(timestamp, files))
            wanted = online.referenced()
            in_force = {name: data for name, data in files.items() if name in wanted or name.endswith(".root.json")}
            return _Served(read_source_set(in_force, files[FIRST_ROOT], None), online)
        except (CertsTrustError, KeyError, ValueError) as error:
            raise TrustError(
                f"the source on the controller's disk does not hold: {error}", remedy="restore DIR/source from a backup"
            ) from error

    def _designate(self, root_json: bytes, metadata: Mapping[str, bytes], online_key_pem: bytes) -> _Served:
        served = self._load()
        if served is not None:
            if served.source.files[FIRST_ROOT] == root_json:
                return served
            raise ConflictError("a source is designated already", remedy="sopwith source status")
        signer = read_online_key(online_key_pem)
        _check_names(metadata)
        try:
            if read_root(root_json).version != 1:
                raise TrustError("a source begins with root version 1")
            source = read_source_set(metadata, root_json, self._clock.now())
        except CertsTrustError as error:
            raise TrustError(error.message, remedy=error.remedy) from error
        check_online_key(source.root, signer)
        if source.listed():
            raise TrustError("a new source lists no file yet")
        make_private_folder(self._folder)
        durable_replace(self._key_file, online_key_pem, 0o600)
        online = sign_online(source, None, signer, self._clock.now(), new_snapshot=True)
        return self._install(_Served(source, online), source.files)

    def _commit(self, metadata: Mapping[str, bytes]) -> _Served:
        served = self._load()
        if served is None:
            raise NotFoundError("no source is designated", remedy="the owner runs `sopwith source init`")
        _check_names(metadata)
        source = self._verified(served, metadata)
        new = {name: data for name, data in source.files.items() if name not in served.source.files}
        if not new:
            return served
        _check_progress(served.source, source)
        self._check_listed(served.source, source)
        signer = self._signer(source.root)
        online = sign_online(source, served.online, signer, self._clock.now(), new_snapshot=True)
        installed = self._install(_Served(source, online), new)
        self._prune(served.online.referenced() | online.referenced())
        return installed

    def _verified(self, served: _Served, metadata: Mapping[str, bytes]) -> SourceSet:
        before = served.source.files
        if any(before.get(name, data) != data for name, data in metadata.items()):
            raise TrustError("a version that is in force came with other bytes")
        try:
            return read_source_set({**before, **metadata}, before[FIRST_ROOT], self._clock.now())
        except CertsTrustError as error:
            raise TrustError(error.message, remedy=error.remedy) from error

    def _check_listed(self, before: SourceSet, after: SourceSet) -> None:
        known = before.listed()
        for name, info in after.listed().items():
            sha256 = info.hashes.get("sha256", "")
            former = known.get(name)
            if former is not None and (former.length, former.hashes) != (info.length, info.hashes):
                raise TrustError(f"{name} is published already with other content", remedy="raise the version")
            if former is None and not self._targets.has(name, info.length, sha256):
                raise InvalidInputError(f"{name} was not uploaded with the size signed", remedy="publish again")

    def _renew(self, ahead: int = 1) -> None:
        served = self._load()
        if served is None:
            return
        now = self._clock.now()
        due = ahead > 1 or served.online.snapshot.expires - now < SNAPSHOT_LIFE / 2
        signer = self._signer(served.source.root)
        online = sign_online(served.source, served.online, signer, now, new_snapshot=due, ahead=ahead)
        self._install(_Served(served.source, online), {})

    def _signer(self, root: Root) -> CryptoSigner:
        signer = read_online_key(self._key_file.read_bytes())
        check_online_key(root, signer)
        return signer

    def _install(self, served: _Served, new: Mapping[str, bytes]) -> _Served:
        files = {**new, **served.online.files()}
        try:
            if _is_empty(self._metadata):
                self._begin(files)
            elif any(name.endswith(".root.json") for name in files):
                self._write_pending(files)
                self._finish_pending()
            else:
                self._take_over(files)
        except OSError as error:
            self._served = None  # what lies on disk decides, and is read again
            raise UnavailableError(
                f"the controller cannot write its source: {error.strerror}",
                remedy="free space on the controller's disk",
            ) from error
        self._served = served
        return served

    def _begin(self, files: Mapping[str, bytes]) -> None:
        """Let a whole new source appear in one step."""
        preparing = self._prepare(files)
        if self._metadata.exists():
            self._metadata.rmdir()
        durable_move(preparing, self._metadata)

    def _write_pending(self, files: Mapping[str, bytes]) -> None:
        durable_move(self._prepare(files), self._pending)

    def _prepare(self, files: Mapping[str, bytes]) -> Path:
        preparing = self._folder / "pending.new"
        rmtree(preparing, ignore_errors=True)
        preparing.mkdir(mode=0o700)
        for name, data in files.items():
            (preparing / name).write_bytes(data)
        return preparing

    def _finish_pending(self) -> None:
        if self._pending.is_dir():
            self._take_over({path.name: path.read_bytes() for path in self._pending.iterdir()})
            rmtree(self._pending)
        with suppress(FileNotFoundError):
            rmtree(self._folder / "pending.new")

    def _take_over(self, files: Mapping[str, bytes]) -> None:
        for name in sorted(files, key=lambda name: (name == TIMESTAMP_FILE, name.endswith(".root.json"), name)):
            path = self._metadata / name
            if not path.exists() or path.read_bytes() != files[name]:
                durable_replace(path, files[name], 0o644)

    def _prune(self, keep: set[str]) -> None:
        for path in self._metadata.glob("*.json"):
            if path.name not in keep and not path.name.endswith(".root.json") and path.name != TIMESTAMP_FILE:
                path.unlink(missing_ok=True)


def _is_empty(folder: Path) -> bool:
    return not folder.is_dir() or not any(folder.iterdir())


def _check_names(metadata: Mapping[str, bytes]) -> None:
    for name in metadata:
        if not is_served_name(name):
            raise InvalidInputError(f"{name!r} is no name of signed metadata")


def _check_progress(before: SourceSet, after: SourceSet) -> None:
    for role, signed in before.roles.items():
        if role not in after.roles or after.roles[role].version < signed.version:
            raise TrustError(f"{role} would go back from version {signed.version}", symptom="METADATA_ROLLBACK")


def _snapshot_of(timestamp: bytes, files: Mapping[str, bytes]) -> bytes:
    signed: Timestamp = Metadata[Timestamp].from_bytes(timestamp).signed
    return files[f"{signed.snapshot_meta.version}.snapshot.json"]


def _view(served: _Served) -> SourceView:
    source, online = served.source, served.online
    bins = source.bins.values()
    keys = {name: tuple(role.keyids) for name, role in source.root.roles.items()}
    roles = (
        SourceRole("root", source.root.version, source.root.expires, keys["root"]),
        SourceRole("targets", source.targets.version, source.targets.expires, keys["targets"]),
        SourceRole("bins", max(b.version for b in bins), min(b.expires for b in bins), keys["targets"]),
        SourceRole("snapshot", online.snapshot.version, online.snapshot.expires, keys["snapshot"]),
        SourceRole("timestamp", online.timestamp.version, online.timestamp.expires, keys["timestamp"]),
    )
    first = hashlib.sha256(source.files[FIRST_ROOT]).hexdigest()
    return SourceView(first, served.files, roles, len(source.listed()))
