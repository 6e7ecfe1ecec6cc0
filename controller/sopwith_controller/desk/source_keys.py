"""The source's private keys, as files in a folder of the person who holds them.

This module decides how keys lie on disk and how they are opened; what is signed with them is `source_signing`'s. A keys
folder holds `root.json` (the first root: where trust begins, what contexts and join strings pin), `targets_key.pem`
and, where its holder may change keys, `root_key.pem`. The backup folder holds the second root key and `root.json`.

Rules: keys are ed25519 in PKCS#8 PEM, mode 0600, encrypted where a passphrase was given; a folder that holds keys is
never written over; no passphrase and no key is ever part of a message.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from sopwith_controller.desk.errors import DeskError
from sopwith_formats.durable import durable_write, make_private_folder

ROOT_FILE = "root.json"
ROOT_KEY_FILE = "root_key.pem"
TARGETS_KEY_FILE = "targets_key.pem"
SEEN_FILE = "seen_versions"

Passphrase = Callable[[Path], bytes]
"""Asks for the passphrase of a key file."""


@dataclass(frozen=True)
class KeysFolder:
    """A folder that holds keys of a source."""

    path: Path

    def first_root(self) -> bytes:
        """Return the first root; raise DeskError where the folder has none."""
        return self._read(ROOT_FILE)

    def root_signer(self, passphrase: Passphrase) -> CryptoSigner:
        """Open the root key."""
        return self._open(ROOT_KEY_FILE, passphrase)

    def targets_signer(self, passphrase: Passphrase) -> CryptoSigner:
        """Open the release manager's key."""
        return self._open(TARGETS_KEY_FILE, passphrase)

    def refuse_if_used(self) -> None:
        """Raise DeskError when keys lie here already."""
        for name in (ROOT_FILE, ROOT_KEY_FILE, TARGETS_KEY_FILE):
            if (self.path / name).exists():
                raise DeskError(f"{self.path / name} exists already", remedy="name a new folder; keys are not replaced")

    def write(self, first_root: bytes, keys: dict[str, CryptoSigner], passphrase: bytes) -> None:
        """Write the first root and keys by file name; an empty passphrase leaves them unencrypted."""
        make_private_folder(self.path)
        durable_write(self.path / ROOT_FILE, first_root, 0o644)
        for name, signer in keys.items():
            durable_write(self.path / name, key_pem(signer, passphrase), 0o600)

    def remove(self) -> None:
        """Take back what `write` wrote, after a designation that was refused."""
        for name in (ROOT_FILE, ROOT_KEY_FILE, TARGETS_KEY_FILE):
            (self.path / name).unlink(missing_ok=True)

    def seen_versions(self) -> dict[str, int]:
        """Return the highest version of each role that was signed or seen with these keys."""
        try:
            seen: Any = json.loads((self.path / SEEN_FILE).read_bytes())
        except (OSError, ValueError):
            return {}
        return {str(role): int(version) for role, version in seen.items()} if isinstance(seen, dict) else {}

    def note_versions(self, versions: dict[str, int]) -> None:
        """Remember them, so that no controller can offer an older state to sign upon."""
        durable_write(self.path / SEEN_FILE, json.dumps(versions, sort_keys=True).encode(), 0o600)

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise DeskError(
                f"{self.path / name} cannot be read: {error.strerror}",
                remedy="name the folder that `sopwith source init --keys` or `source keys` wrote",
            ) from error

    def _open(self, name: str, passphrase: Passphrase) -> CryptoSigner:
        path, data = self.path / name, self._read(name)
        try:
            key = serialization.load_pem_private_key(data, None)
        except TypeError:
            key = _decrypt(path, data, passphrase(path))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise DeskError(f"{path} holds no private key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise DeskError(f"{path} holds a key of another kind", remedy="the source's keys are ed25519")
        return CryptoSigner(key)


def new_signer() -> CryptoSigner:
    """Return a new ed25519 key."""
    return CryptoSigner.generate_ed25519()


def key_pem(signer: CryptoSigner, passphrase: bytes = b"") -> bytes:
    """Return the private key as PKCS#8 PEM, encrypted where a passphrase is given."""
    key = serialization.load_pem_private_key(signer.private_bytes, None)
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def different_folders(keys: Path, backup: Path) -> None:
    """Raise DeskError where the backup would lie inside the keys folder or be the same: it would be lost with it."""
    one, two = keys.resolve(), backup.resolve()
    if one == two or one in two.parents or two in one.parents:
        raise DeskError(
            f"--backup-keys {backup} is not elsewhere than --keys {keys}",
            remedy="name another folder, best on another medium",
        )


def _decrypt(path: Path, data: bytes, passphrase: bytes) -> Any:
    try:
        return serialization.load_pem_private_key(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DeskError(f"the passphrase does not open {path}", remedy="try again") from error
