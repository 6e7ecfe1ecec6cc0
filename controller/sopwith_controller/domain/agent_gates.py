"""Gates that a computer asks by itself before it installs, and what a deviation from one changes.

Decides which of them a deviation opens, how the warrant's policy says so, and how a computer counts that is not ready
only for want of such a gate; measuring and refusing is the agent's. Rules (SOP, section 3):

- A deviation lets the gate warn where it would block; what was measured is reported all the same.
- A deviation from the way back (`backup` at the computer, `rollback_available` in the plan) lets an install go ahead
  that cannot be taken back.
- Integrity gates are not among them, and agents refuse a policy that lets one warn. What the signed release decides is
  not either: which computers it applies to, whether it may be older, how its health is checked.
"""

from collections.abc import Collection
from dataclasses import replace

from sopwith_controller.domain.entities import Readiness
from sopwith_controller.domain.readiness import NOT_READY, READY
from sopwith_formats.agent_policy import AgentPolicy
from sopwith_formats.reboot_only import is_reboot_only
from sopwith_formats.vocabulary import Symptom

READINESS_GATES = {
    "connected": Symptom.CONTROLLER_UNREACHABLE,
    "clock_skew": Symptom.CLOCK_SKEWED,
    "disk_free": Symptom.DISK_FULL,
    "memory": Symptom.MEMORY_LOW,
    "load": Symptom.LOAD_HIGH,
    "power": Symptom.POWER_LOW,
    "pending_reboot": Symptom.PENDING_REBOOT,
    "package_lock": Symptom.PACKAGE_LOCK_HELD,
    "blocking_process": Symptom.FILE_OR_SERVICE_IN_USE,
    "user_session": Symptom.USER_BUSY,
    "do_not_disturb": Symptom.DO_NOT_DISTURB,
    "metered": Symptom.METERED_LINK,
}
"""Checks of readiness that a deviation lets warn, called like their gates, with the symptom that each one reports."""
WAY_BACK_GATES = ("backup", "rollback_available")
AGENT_GATES = {**dict.fromkeys(READINESS_GATES, "V.A"), **dict.fromkeys(WAY_BACK_GATES, "V.C")}
"""Gate to clause."""


REBOOT_MENDS = ("pending_reboot", "disk_free", "metered")
"""Gates that say nothing against a reboot: it mends the first, and needs neither room nor a link."""


def opened_by(release: str) -> tuple[str, ...]:
    """Return the gates that a rollout of this release does not ask, because it brings no release but a reboot."""
    return REBOOT_MENDS if is_reboot_only(release) else ()


def relaxed(policy: AgentPolicy, gates: Collection[str]) -> AgentPolicy:
    """Return the policy of a warrant whose rollout deviates from these gates."""
    warn = {gate: "warn" for gate in READINESS_GATES if gate in gates}
    deviated = any(gate in gates for gate in WAY_BACK_GATES)
    return replace(
        policy,
        enforce={**policy.enforce, **warn},
        backup_required=policy.backup_required and not deviated,
        snapshot_required=policy.snapshot_required and not deviated,
    )


def despite(readiness: Readiness, gates: Collection[str]) -> Readiness:
    """Return a computer's readiness for a rollout that deviates from these gates: what only warns blocks nothing."""
    opened = {symptom for gate, symptom in READINESS_GATES.items() if gate in gates}
    blocked = {reason.code for reason in readiness.reasons}
    if readiness.verdict != NOT_READY or not blocked or blocked - opened:
        return readiness
    return replace(readiness, verdict=READY, reasons=())
