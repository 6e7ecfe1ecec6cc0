"""The way back from a release: what a plan can know of it before anything happens (SOP, clauses IV and V.C).

Decides from the signed manifest whether each of its files can be taken back, and in which way; what a single computer
really keeps is measured there, and without a way back its agent installs nothing (BACKUP_FAILED). Rules:

- a script has the way back that its release names (`options.rollback`), or none;
- every other installer keeps or packs what runs, or takes the source's older release;
- where the SOP wants a way back (`safety.backup` other than none), a plan without one is refused by
  `rollback_available`, which a deviation may open.
"""

from sopwith_controller.domain.deviation import GRANTED_BY
from sopwith_controller.domain.errors import Refusal
from sopwith_controller.domain.plan_inputs import Material, PlanInputs
from sopwith_formats.reboot_only import is_reboot_only

GATE, CLAUSE = "rollback_available", "V.C"
MATERIAL = "rollback material"
NO_BACKUP = "none"

_WAYS = {
    "archive": "the version that runs stays in its folder",
    "wheel": "the version that runs stays in its environment",
    "deb": "the source's older release, else what is installed is packed again",
    "apt": "the source's older releases, else what is installed is packed again",
    "rpm": "the kept package or the source's older release; a package of unknown origin has none",
    "script": "the script's own rollback",
}


def rollback_material(inputs: PlanInputs) -> Material:
    """Return what brings the version back that runs now."""
    if is_reboot_only(inputs.release.release):
        return Material(MATERIAL, present=True, message="nothing is installed, so nothing has to be taken back")
    without = _without(inputs)
    if without:
        wanted = inputs.policy.safety.backup != NO_BACKUP
        text = f"{', '.join(without)} cannot be taken back: the release names no options.rollback"
        return Material(MATERIAL, present=not wanted, message=text)
    installers = dict.fromkeys(artifact.installer for artifact in inputs.manifest.artifacts)
    return Material(
        MATERIAL, present=True, message="; ".join(_WAYS.get(one, "the installer's own") for one in installers)
    )


def check_way_back(inputs: PlanInputs) -> list[Refusal]:
    """Return the refusal of a release that cannot be taken back under an SOP that wants it."""
    material = rollback_material(inputs)
    if material.present:
        return []
    remedy = "give the release options.rollback in its manifest and publish it anew"
    return [Refusal(GATE, CLAUSE, material.message, remedy, GRANTED_BY)]


def _without(inputs: PlanInputs) -> list[str]:
    return [
        artifact.file
        for artifact in inputs.manifest.artifacts
        if artifact.installer == "script" and not artifact.options.get("rollback")
    ]
