"""The controller's source without a disk: signed metadata and files in dictionaries, verified like the real one's.

It passes `tests/contracts/test_source_store.py` like the folder on disk does.
"""

import hashlib
import re
from collections.abc import AsyncIterator

from sopwith_certs.errors import TrustError as CertsTrustError
from sopwith_certs.source_set import SourceSet, is_served_name, read_source_set
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, NotFoundError, TrustError
from sopwith_controller.services.ports import Clock, SourceRole, SourceView

FIRST_ROOT = "1.root.json"


class FakeSource:
    """Implements the `SourceStore` port in memory; snapshot and timestamp are counted, not signed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._set: SourceSet | None = None
        self._files: dict[tuple[str, str], bytes] = {}
        self.renewals = 0
        self._snapshots = 0

    async def view(self) -> SourceView | None:
        return self._view() if self._set else None

    async def designate(self, root_json: bytes, metadata: dict[str, bytes], online_key_pem: bytes) -> SourceView:
        if self._set is not None:
            if self._set.files[FIRST_ROOT] != root_json:
                raise ConflictError("a source is designated already")
            return self._view()
        if b"PRIVATE KEY" not in online_key_pem:
            raise InvalidInputError("the online key is no key")
        self._set = self._read(metadata, root_json)
        self._snapshots = 1
        return self._view()

    async def store_target(self, target: str, length: int, sha256: str, pieces: AsyncIterator[bytes]) -> bool:
        if not re.fullmatch(r"(\w[\w.+~:-]*/){2}\w[\w.+~:-]*", target):
            raise InvalidInputError(f"{target!r} is no name of a target")
        if (target, sha256) in self._files:
            return False
        data = b"".join([piece async for piece in pieces])
        if len(data) != length or hashlib.sha256(data).hexdigest() != sha256:
            raise InvalidInputError("what arrived is not what was announced")
        self._files[target, sha256] = data
        return True

    async def commit(self, metadata: dict[str, bytes]) -> SourceView:
        before = self._set
        if before is None:
            raise NotFoundError("no source is designated")
        if any(before.files.get(name, data) != data for name, data in metadata.items()):
            raise TrustError("a version that is in force came with other bytes")
        after = self._read({**before.files, **metadata}, before.files[FIRST_ROOT])
        known = before.listed()
        for name, info in after.listed().items():
            if name in known and known[name].hashes != info.hashes:
                raise TrustError(f"{name} is published already with other content")
            if (name, info.hashes["sha256"]) not in self._files:
                raise InvalidInputError(f"{name} was not uploaded")
        if after.files != before.files:
            self._set = after
            self._snapshots += 1
        return self._view()

    async def read_target(self, target: str) -> bytes | None:
        info = self._set.find(target) if self._set else None
        return self._files.get((target, info.hashes["sha256"])) if info else None

    async def signed_targets(self, prefix: str) -> dict[str, tuple[int, str]]:
        listed = self._set.listed() if self._set else {}
        return {name: (info.length, info.hashes["sha256"]) for name, info in listed.items() if name.startswith(prefix)}

    async def renew(self) -> None:
        if self._set is not None:
            self.renewals += 1

    def _read(self, metadata: dict[str, bytes], root_json: bytes) -> SourceSet:
        if not all(is_served_name(name) for name in metadata):
            raise InvalidInputError("a file is no signed metadata")
        try:
            return read_source_set(metadata, root_json, self._clock.now())
        except CertsTrustError as error:
            raise TrustError(error.message) from error

    def _view(self) -> SourceView:
        assert self._set is not None
        now, held = self._clock.now(), self._set
        roles = [
            SourceRole("root", held.root.version, held.root.expires, tuple(held.root.roles["root"].keyids)),
            SourceRole("targets", held.targets.version, held.targets.expires, ()),
            SourceRole("bins", max(role.version for role in held.bins.values()), held.targets.expires, ()),
            SourceRole("snapshot", self._snapshots, now, ()),
            SourceRole("timestamp", self._snapshots + self.renewals, now, ()),
        ]
        metadata = {**held.files, "timestamp.json": str(roles[-1].version).encode()}
        digest = hashlib.sha256(held.files[FIRST_ROOT]).hexdigest()
        return SourceView(digest, metadata, tuple(roles), len(held.listed()))
