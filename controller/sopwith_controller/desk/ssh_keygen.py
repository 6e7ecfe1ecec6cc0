"""Signing with the person's own OpenSSH key, by the `ssh-keygen` of their machine.

Decides how the program is called; it asks for the passphrase, or for a touch of a security key, on the terminal itself,
anew for each signature, and no private key is ever read here. What is signed is `sop_signing`'s.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from sopwith_certs.ssh_signing import check_key
from sopwith_controller.desk.errors import DeskError
from sopwith_formats.errors import FormatError
from sopwith_formats.ssh_signature import NAMESPACE, SshPublicKey

SIGN_TIMEOUT_SECONDS = 120


def public_half(key: Path) -> SshPublicKey:
    """Return the public key that lies beside a private one; raise DeskError with the mend."""
    file = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    try:
        return check_key(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DeskError(f"{file} cannot be read: {error}", remedy=f"ssh-keygen -y -f {key} > {file}") from error
    except FormatError as error:
        raise DeskError(f"{file} {error.message}", remedy=error.remedy) from error


def sign_with_ssh_keygen(payload: bytes, key: Path) -> str:
    """Return the armoured signature over the payload; raise DeskError when it was not made."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise DeskError("ssh-keygen is not installed here", remedy="install OpenSSH, or use your context's key")
    with tempfile.TemporaryDirectory(prefix="sopwith-sign-") as folder:
        statement = Path(folder) / "statement.json"
        statement.write_bytes(payload)
        command = [program, "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(statement)]
        try:
            done = subprocess.run(
                command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=SIGN_TIMEOUT_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise DeskError("ssh-keygen was not answered in time; nothing was signed", remedy="try again") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise DeskError(f"ssh-keygen did not sign: {said[-1] if said else done.returncode}", remedy="try again")
        return statement.with_name("statement.json.sig").read_text(encoding="ascii")
