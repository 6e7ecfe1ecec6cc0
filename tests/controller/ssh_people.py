"""People with OpenSSH keys of their own, for tests: the real `ssh-keygen`, its keys in a folder."""

import subprocess
from pathlib import Path

from sopwith_formats.ssh_signature import NAMESPACE


def keygen(*words: str | Path) -> str:
    """Run ssh-keygen."""
    done = subprocess.run(["ssh-keygen", *map(str, words)], check=True, capture_output=True, text=True)
    return done.stdout


def new_key(folder: Path, name: str, passphrase: str = "") -> Path:
    """Make a key; its public half lies beside it."""
    key = folder / name
    keygen("-q", "-t", "ed25519", "-N", passphrase, "-C", f"{name}@example.org", "-f", key)
    return key


def public(key: Path) -> str:
    """Return the line of the public half."""
    return Path(f"{key}.pub").read_text()


def signed(key: Path, payload: bytes, namespace: str = NAMESPACE) -> str:
    """Return the armoured signature over a payload, as a signatory makes it."""
    file = key.with_name(f"{key.name}-statement.json")
    file.write_bytes(payload)
    Path(f"{file}.sig").unlink(missing_ok=True)
    keygen("-Y", "sign", "-q", "-f", key, "-n", namespace, file)
    return Path(f"{file}.sig").read_text()
