"""AWAITING_REBOOT and REBOOTING: the release needs a reboot before it can be confirmed.

The steps decide whether this agent may reboot the computer, and notice that it was rebooted, by whom does not matter:
the kernel's boot id is another one. Rules: where the agent may not reboot (installing below a root of its own, or the
computer's settings leave it to people) it waits until somebody does; when the deadline passes first the assignment ends
FAILED with PENDING_REBOOT, the release in place but unconfirmed.
"""

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.workbench import Done, Wait, Workbench
from sopwith_formats.manifest import read_manifest
from sopwith_formats.vocabulary import Symptom


def await_reboot(record: Record, bench: Workbench) -> Done | Wait:
    """Return what follows: booted meanwhile, reboot now, give up, or go on waiting."""
    booted = _booted(record, bench)
    if booted:
        return booted
    if bench.clock.fleet_now() >= record.warrant.deadline_time:
        detail = "The deadline passed before the computer was rebooted, and no reboot may be forced here."
        return Done(record, Event.REBOOT_FORBIDDEN, Symptom.PENDING_REBOOT, detail)
    if bench.power.may_reboot():
        return Done(record, Event.REBOOT_STARTED)
    return Wait(record, limits.not_ready_retry_seconds, Symptom.PENDING_REBOOT, "Waits for a reboot by a person.")


def reboot(record: Record, bench: Workbench) -> Done | Wait:
    """Start the reboot, or notice that it happened. A boot that never comes is noticed by the controller."""
    booted = _booted(record, bench)
    if booted:
        return booted
    bench.power.reboot()
    return Wait(record, limits.reboot_grace_seconds, detail="The computer is rebooting.")


def _booted(record: Record, bench: Workbench) -> Done | None:
    if bench.clock.boot_id() == record.boot_id:
        return None
    manifest = read_manifest(record.manifest_json.encode())
    version = bench.installed_version(manifest)
    if version == manifest.version:
        return Done(record, Event.CAME_BACK)
    detail = f"After the reboot {version or 'nothing'} is installed instead of {manifest.version}."
    return Done(record, Event.CAME_BACK_WITHOUT, Symptom.REBOOT_FAILED, detail)
