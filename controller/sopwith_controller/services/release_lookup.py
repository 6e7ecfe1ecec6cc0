"""Finding the release that a rollout brings, and what is signed about it.

Decides only that the reserved release of reboots is always there, although nobody published it; everything else comes
from the tables.
"""

from datetime import UTC, datetime

from sopwith_controller.domain.entities import Release, ReleaseState
from sopwith_controller.services.ports import UnitOfWork
from sopwith_formats import reboot_only
from sopwith_formats.manifest import Manifest, read_manifest, split_release

REBOOT = Release(
    reboot_only.NAME,
    reboot_only.VERSION,
    ReleaseState.PUBLISHED,
    reboot_only.MANIFEST.to_json().decode(),
    reboot_only.MANIFEST_SHA256,
    published_by="",
    published_time=datetime(1970, 1, 1, tzinfo=UTC),
)


async def find_release(unit: UnitOfWork, release: str) -> Release | None:
    """Return the release of name@version; raise FormatError for anything else."""
    if reboot_only.is_reboot_only(release):
        return REBOOT
    return await unit.releases.get(*split_release(release))


def manifest_of(release: Release) -> Manifest:
    """Return what is signed about a release."""
    if reboot_only.is_reboot_only(release.release):
        return reboot_only.MANIFEST
    return read_manifest(release.manifest_json.encode())
