"""What a computer observed of its own packages becomes entries of the update log, apart from every outcome.

Decides how a signed observation is written down: one entry for each change while they are few, so that `log list` shows
package and versions, and one entry for all of them where they are many (a distribution's upgrade), with the list in
its details. Rules: an entry has the kind OBSERVED and no outcome, rollout or operator, so that nothing counts it as the
fleet's own doing; what may be missing is said.
"""

from hashlib import sha256

from sopwith_controller.domain.entities import Computer, LogDraft
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.agent_reports import ReceiptReported
from sopwith_controller.services.ports import UnitOfWork
from sopwith_formats.observation import Observation, PackageChange, change_document

EACH_MAX = 20
"""So many changes of one observation get entries of their own."""
_WORDS = {
    "INSTALLED": "{package} {after} was installed",
    "CHANGED": "{package} was changed from {before} to {after}",
    "REMOVED": "{package} {before} was removed",
    "UNFINISHED": "{package} was left unfinished",
}


async def log_observation(
    unit: UnitOfWork, computer: Computer, observation: Observation, content: ReceiptReported
) -> None:
    """Record an observation whose signature and place hold."""
    digest = sha256(content.payload).hexdigest()
    if len(observation.changes) <= EACH_MAX:
        for change in observation.changes:
            await unit.update_log.append(_entry(computer, observation, change, digest))
    else:
        listed = [change_document(change) for change in observation.changes]
        message = f"{computer.name}: {len(listed)} packages were changed by others; the first: {_said(listed[0])}"
        await unit.update_log.append(_draft(computer, observation, digest, message, {"changes": listed}))
    if observation.gap or observation.left_out:
        parts = [observation.gap, f"{observation.left_out} more changes are not listed" if observation.left_out else ""]
        message = f"{computer.name}: changes by others may be missing: {'; '.join(part for part in parts if part)}"
        details = {"left_out": observation.left_out, "gap": observation.gap}
        await unit.update_log.append(_draft(computer, observation, digest, message, details))


def _entry(computer: Computer, observation: Observation, change: PackageChange, digest: str) -> LogDraft:
    document = change_document(change)
    return LogDraft(
        kind=LogKind.OBSERVED,
        message=f"{computer.name}: {_said(document)} by others ({change.tool})",
        computer=computer.name,
        release=f"{change.package}@{change.version_after or change.version_before}",
        version_before=change.version_before,
        version_after=change.version_after,
        receipt_sha256=digest,
        local_offset_seconds=observation.utc_offset_seconds,
        details={**document, "receipt_number": observation.number, "boot_id": observation.boot_id},
    )


def _draft(
    computer: Computer, observation: Observation, digest: str, message: str, details: dict[str, object]
) -> LogDraft:
    return LogDraft(
        kind=LogKind.OBSERVED,
        message=message,
        computer=computer.name,
        receipt_sha256=digest,
        local_offset_seconds=observation.utc_offset_seconds,
        details={**details, "receipt_number": observation.number, "boot_id": observation.boot_id},
    )


def _said(change: dict[str, str]) -> str:
    words = _WORDS[change["action"]]
    return words.format(package=change["package"], before=change["version_before"], after=change["version_after"])
