"""The two roles that the controller signs itself: snapshot and timestamp.

They say which versions are in force together and that somebody is still there; they list no file, and the key that
signs them cannot make a computer accept one. It is made for the controller alone at the designation and lies nowhere
else. Rules: the timestamp lives one day and is renewed every hour; the snapshot lives seven days and is renewed when
half of that is over.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Timestamp

from sopwith_certs.source_set import SourceSet
from sopwith_controller.domain.errors import InvalidInputError, TrustError

TIMESTAMP_LIFE = timedelta(days=1)
SNAPSHOT_LIFE = timedelta(days=7)
TIMESTAMP_FILE = "timestamp.json"


@dataclass(frozen=True)
class OnlineRoles:
    """Snapshot and timestamp in force, with their exact bytes."""

    snapshot: Snapshot
    snapshot_bytes: bytes
    timestamp: Timestamp
    timestamp_bytes: bytes

    @property
    def snapshot_file(self) -> str:
        """Return the served name of the snapshot."""
        return f"{self.snapshot.version}.snapshot.json"

    def files(self) -> dict[str, bytes]:
        """Return both by served name."""
        return {self.snapshot_file: self.snapshot_bytes, TIMESTAMP_FILE: self.timestamp_bytes}

    def referenced(self) -> set[str]:
        """Return the served names that this snapshot speaks of, and its own."""
        names = {f"{meta.version}.{name}" for name, meta in self.snapshot.meta.items()}
        return {self.snapshot_file, *names}


def read_online_key(pem: bytes) -> CryptoSigner:
    """Return the key of an unencrypted PEM; raise InvalidInputError for anything else, without repeating it."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInputError("the online key is no unencrypted ed25519 key in PEM")
    return CryptoSigner(key)


def check_online_key(root: Root, signer: CryptoSigner) -> None:
    """Raise TrustError unless this key alone suffices for snapshot and timestamp."""
    for role in (Snapshot.type, Timestamp.type):
        delegation = root.roles[role]
        if signer.public_key.keyid not in delegation.keyids or delegation.threshold != 1:
            raise TrustError(
                f"the root does not let this controller sign the {role}", remedy="keep the online key in the root"
            )


def sign_online(
    source: SourceSet,
    before: OnlineRoles | None,
    signer: CryptoSigner,
    now: datetime,
    *,
    new_snapshot: bool,
    ahead: int = 1,
) -> OnlineRoles:
    """Return the next snapshot, unless the one before still holds, and the next timestamp, `ahead` versions on."""
    if before is None or new_snapshot:
        snapshot = Snapshot(
            version=before.snapshot.version + ahead if before else 1,
            expires=_end(now, SNAPSHOT_LIFE),
            meta={f"{role}.json": _meta(source, role) for role in source.roles},
        )
        snapshot_bytes = _sign(snapshot, signer)
    else:
        snapshot, snapshot_bytes = before.snapshot, before.snapshot_bytes
    timestamp = Timestamp(
        version=before.timestamp.version + ahead if before else 1,
        expires=_end(now, TIMESTAMP_LIFE),
        snapshot_meta=MetaFile(snapshot.version, len(snapshot_bytes), _digest(snapshot_bytes)),
    )
    return OnlineRoles(snapshot, snapshot_bytes, timestamp, _sign(timestamp, signer))


def read_online(timestamp_bytes: bytes, snapshot_bytes: bytes) -> OnlineRoles:
    """Return the roles of stored bytes."""
    timestamp: Metadata[Timestamp] = Metadata.from_bytes(timestamp_bytes)
    snapshot: Metadata[Snapshot] = Metadata.from_bytes(snapshot_bytes)
    return OnlineRoles(snapshot.signed, snapshot_bytes, timestamp.signed, timestamp_bytes)


def _meta(source: SourceSet, role: str) -> MetaFile:
    data = source.files[source.name_of(role)]
    return MetaFile(source.roles[role].version, len(data), _digest(data))


def _digest(data: bytes) -> dict[str, str]:
    return {"sha256": hashlib.sha256(data).hexdigest()}


def _sign(signed: Snapshot | Timestamp, signer: CryptoSigner) -> bytes:
    metadata: Metadata[Any] = Metadata(signed)
    metadata.sign(signer)
    return metadata.to_bytes()


def _end(now: datetime, life: timedelta) -> datetime:
    return now.astimezone(UTC).replace(microsecond=0) + life
