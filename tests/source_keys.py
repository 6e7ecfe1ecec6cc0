"""A source's keys for tests: what an owner and a release manager hold, and what they sign with it."""

import hashlib
from collections.abc import AsyncIterator
from datetime import datetime

from tuf.api.metadata import TargetFile

from sopwith_certs.source_set import SourceSet, read_source_set
from sopwith_controller.desk.source_keys import key_pem, new_signer
from sopwith_controller.desk.source_signing import NewKeys, new_source, with_new_keys, with_targets
from sopwith_controller.services.ports import SourceStore


class Keys:
    """All keys of one source, and the set that they signed last."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.root, self.backup, self.targets, self.online = (new_signer() for _ in range(4))
        self.source = new_source([self.root, self.backup], self.targets, self.online.public_key, now)
        self.current: SourceSet = read_source_set(self.source.files, self.source.root_json, now)

    @property
    def online_pem(self) -> bytes:
        return key_pem(self.online)

    def signed(self, *add: str, remove: tuple[str, ...] = (), content: bytes = b"") -> dict[str, bytes]:
        """Sign targets in and out; each one's content is its name unless another is given."""
        listed = {name: target_of(name, content or name.encode()) for name in add}
        return self.take(with_targets(self.current, listed, remove, self.targets, self.now))

    def new_release_key(self) -> dict[str, bytes]:
        """Put a new release key into force by the backup key."""
        self.targets = new_signer()
        return self.take(with_new_keys(self.current, self.backup, NewKeys(self.targets), self.now))

    def take(self, files: dict[str, bytes]) -> dict[str, bytes]:
        """Let what was signed be what is signed upon."""
        self.current = read_source_set({**self.current.files, **files}, self.source.root_json, None)
        return files


def target_of(name: str, content: bytes) -> TargetFile:
    return TargetFile(len(content), {"sha256": hashlib.sha256(content).hexdigest()}, name)


async def upload(store: SourceStore, name: str, content: bytes | None = None) -> bool:
    """Upload a target whose content is its name unless another is given."""
    data = name.encode() if content is None else content
    return await store.store_target(name, len(data), hashlib.sha256(data).hexdigest(), pieces_of(data))


async def pieces_of(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 5):
        yield data[start : start + 5]
