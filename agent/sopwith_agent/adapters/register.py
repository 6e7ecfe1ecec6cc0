"""The register of releases that Sopwith brought to this computer: one manifest each, as it was signed.

It remembers what to ask the computer about, and never answers for it: the installed version is always read back. Its
records lie in `kept/`, beside the installers' rollback material.
"""

from pathlib import Path

import structlog

from sopwith_formats.durable import durable_remove, durable_replace, make_private_folder, sweep
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Manifest, read_manifest

_log = structlog.get_logger()
_SUFFIX = ".release.json"


class FileRegister:
    """Manifests below one private folder, by release name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_private_folder(folder)
        sweep(folder)

    def remember(self, manifest: Manifest) -> None:
        """Keep the manifest of the release that runs now, in place of an older version's."""
        durable_replace(self._path(manifest.name), manifest.to_json(), 0o600)

    def forget(self, name: str) -> None:
        """Forget a release that runs no more."""
        durable_remove(self._path(name))

    def manifest(self, name: str) -> Manifest | None:
        """Return the manifest of the version that was brought last, None for a release that never was."""
        return self._read(self._path(name))

    def manifests(self) -> list[Manifest]:
        """Return all of them, by name."""
        paths = sorted(self._folder.glob(f"*{_SUFFIX}"))
        return [manifest for path in paths if (manifest := self._read(path)) is not None]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _read(self, path: Path) -> Manifest | None:
        try:
            return read_manifest(path.read_bytes())
        except FileNotFoundError:
            return None
        except FormatError as error:
            _log.error("register_record_broken", path=str(path), error=error.message)
            return None
