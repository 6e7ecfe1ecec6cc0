"""The release of a rollout that brings no release: it reboots computers that wait for a reboot.

Decides the reserved name by which rollouts, warrants and receipts speak of it, so that everything that names a release
goes on naming one; what such a rollout does is the agent's and the planner's. Rules: no person publishes a release of
this name; there is nothing to fetch, to install or to take back, so neither source nor files are asked.

>>> is_reboot_only("reboot@only"), is_reboot_only("hello@2")
(True, False)
"""

import hashlib

from sopwith_formats.manifest import Manifest

NAME, VERSION = "reboot", "only"
RELEASE = f"{NAME}@{VERSION}"
MANIFEST = Manifest(NAME, VERSION, (), summary="Reboots computers that wait for a reboot", reboot="always")
MANIFEST_SHA256 = hashlib.sha256(MANIFEST.to_json()).hexdigest()


def is_reboot_only(release: str) -> bool:
    """Tell whether name@version is the reserved one."""
    return release == RELEASE


def act_of(release: str) -> str:
    """Return what a computer begins to do for a release, for people: "to install hello@2", "to reboot"."""
    return "to reboot" if is_reboot_only(release) else f"to install {release}"
