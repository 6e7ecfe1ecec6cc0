"""Keeping verified update files for the way back, and the note that says what an install replaces.

Decides how a staged file comes into the agent's private `kept/` (copied and hashed in one go, so that what was checked
is what is installed) and how the note survives a crash; what is noted is each installer's.
"""

import hashlib
import os
import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.domain.retention import KeptVersion, Retention, to_drop
from sopwith_agent.steps.installer_port import InstallWork
from sopwith_agent.steps.ports import StagedFile
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_replace, make_private_folder
from sopwith_formats.errors import FormatError
from sopwith_formats.vocabulary import Symptom

_CHUNK = 2**17


def copy_staged(staged: StagedFile, folder: Path) -> Path:
    """Copy a staged file into a private folder under a passing name; refuse it when it changed since verification."""
    make_private_folder(folder)
    incoming = folder / f"incoming-{staged.sha256[:16]}.part"
    digest = hashlib.sha256()
    descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with staged.path.open("rb") as source, os.fdopen(descriptor, "wb") as target:
        while piece := source.read(_CHUNK):
            digest.update(piece)
            target.write(piece)
    if digest.hexdigest() != staged.sha256:
        incoming.unlink()
        message = f"{staged.file} is no longer the file that was verified"
        remedy = "find out who changes files in the agent's staging folder"
        raise TrustError(Symptom.DOWNLOAD_DIGEST_MISMATCH, message, remedy=remedy)
    return incoming


def verified(path: Path, sha256: str) -> Path:
    """Return the kept file after hashing it once more; refuse one that changed."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            message = f"the kept copy {path.name} is no longer the file that was verified"
            remedy = "find out who changes files in the agent's folder"
            raise TrustError(Symptom.DOWNLOAD_DIGEST_MISMATCH, message, remedy=remedy)
    return path


def kept_version(path: Path, *, needed: bool) -> KeptVersion:
    """Return what `retention` wants to know of a kept file or folder."""
    status = path.lstat()
    sizes = (file.lstat().st_size for file in path.rglob("*")) if path.is_dir() else (status.st_size,)
    return KeptVersion(path.name, sum(sizes), status.st_ctime, needed)


def drop_files(kept: Iterable[Path], needed: Collection[str], retention: Retention) -> None:
    """Remove kept copies of one package that need not stay; `needed` names those that do."""
    paths = {path.name: path for path in kept}
    there = [kept_version(path, needed=name in needed) for name, path in paths.items()]
    for name in to_drop(there, retention, time.time()):
        paths[name].unlink()


def package_retention(work: InstallWork) -> Retention:
    """Return the bounds of a package's kept copies: among them is the new version's own, for the next way back."""
    return replace(work.retention, versions=work.retention.versions + 1)


def write_note(work: InstallWork, installer: str, note: dict[str, Any]) -> None:
    """Make the note of this very install durable, in place of the release's older one."""
    path = _note_path(work, installer)
    make_private_folder(path.parent)
    durable_replace(path, canonical_json.encode({**note, "version": work.manifest.version}), 0o600)


def read_note(work: InstallWork, installer: str) -> dict[str, Any] | None:
    """Return the note of this very install; None where it was never prepared."""
    path = _note_path(work, installer)
    try:
        note = canonical_json.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (FormatError, OSError) as error:
        message = f"the note {path} of what was installed before cannot be read: {error}"
        raise StepError(Symptom.BACKUP_FAILED, message) from error
    return note if isinstance(note, dict) and note.get("version") == work.manifest.version else None


def _note_path(work: InstallWork, installer: str) -> Path:
    return work.kept / installer / f"{work.manifest.name}.json"
