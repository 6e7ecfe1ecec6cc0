"""The closed vocabularies that computers, controller and documents share: outcomes, assignment states, symptoms.

A word that is not listed here is written by nobody and refused by everybody; `docs/glossary.md` lists the same words,
and a test compares the two.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """How an assignment ended; every assignment ends in exactly one."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ROLLED_BACK = "ROLLED_BACK"
    SKIPPED = "SKIPPED"
    NOT_READY = "NOT_READY"
    NOT_STARTED = "NOT_STARTED"
    UNREACHABLE = "UNREACHABLE"
    CANCELLED = "CANCELLED"


class AssignmentState(StrEnum):
    """Where an assignment stands; ENDED goes with an outcome."""

    PENDING = "PENDING"
    PREPARING = "PREPARING"
    DOWNLOADING = "DOWNLOADING"
    STAGED = "STAGED"
    INSTALLING = "INSTALLING"
    AWAITING_REBOOT = "AWAITING_REBOOT"
    REBOOTING = "REBOOTING"
    CONFIRMING = "CONFIRMING"
    ROLLING_BACK = "ROLLING_BACK"
    ENDED = "ENDED"


BEFORE_INSTALLING = frozenset(
    {AssignmentState.PENDING, AssignmentState.PREPARING, AssignmentState.DOWNLOADING, AssignmentState.STAGED}
)
"""States in which nothing of the computer was changed yet and an assignment can still be taken back."""


class Symptom(StrEnum):
    """A classified failure (SOP clause V.D); SOPs map each to bounded remedies."""

    NET_SOURCE_UNREACHABLE = "NET_SOURCE_UNREACHABLE"
    DOWNLOAD_DIGEST_MISMATCH = "DOWNLOAD_DIGEST_MISMATCH"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    METADATA_EXPIRED = "METADATA_EXPIRED"
    METADATA_ROLLBACK = "METADATA_ROLLBACK"
    SOURCE_NOT_DESIGNATED = "SOURCE_NOT_DESIGNATED"
    NOT_AUTHORISED_BY_SOURCE = "NOT_AUTHORISED_BY_SOURCE"
    DISK_FULL = "DISK_FULL"
    PACKAGE_LOCK_HELD = "PACKAGE_LOCK_HELD"
    PACKAGE_DATABASE_BROKEN = "PACKAGE_DATABASE_BROKEN"
    DEPENDENCY_CONFLICT = "DEPENDENCY_CONFLICT"
    PENDING_REBOOT = "PENDING_REBOOT"
    FILE_OR_SERVICE_IN_USE = "FILE_OR_SERVICE_IN_USE"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    POWER_LOW = "POWER_LOW"
    LOAD_HIGH = "LOAD_HIGH"
    USER_BUSY = "USER_BUSY"
    CLOCK_SKEWED = "CLOCK_SKEWED"
    INSTALLER_EXIT_NONZERO = "INSTALLER_EXIT_NONZERO"
    TIMEOUT = "TIMEOUT"
    HEALTH_CHECK_FAILED = "HEALTH_CHECK_FAILED"
    VERSION_MISMATCH = "VERSION_MISMATCH"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    LOST_CONTACT = "LOST_CONTACT"
    AGENT_CRASH_LOOP = "AGENT_CRASH_LOOP"
    MEMORY_LOW = "MEMORY_LOW"
    METERED_LINK = "METERED_LINK"
    DO_NOT_DISTURB = "DO_NOT_DISTURB"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    CONTENT_REFUSED = "CONTENT_REFUSED"
    BACKUP_FAILED = "BACKUP_FAILED"
    REBOOT_FAILED = "REBOOT_FAILED"
    UNKNOWN = "UNKNOWN"
    # Refusals of the agent as the last gate, and waits that the controller names.
    WARRANT_REFUSED = "WARRANT_REFUSED"
    VERSION_POLICY = "VERSION_POLICY"
    CONTROLLER_UNREACHABLE = "CONTROLLER_UNREACHABLE"
    # Incidents that concern no computer.
    ROLLOUT_SUSPENDED = "ROLLOUT_SUSPENDED"
    LOG_INTEGRITY = "LOG_INTEGRITY"
    SOURCE_EXPIRING = "SOURCE_EXPIRING"
    APPROVAL_AGEING = "APPROVAL_AGEING"
    REVIEW_OVERDUE = "REVIEW_OVERDUE"


class GateResult(StrEnum):
    """What became of a gate's answer; a computer knows no deviations, and never says DEVIATED."""

    PASSED = "PASSED"
    DEVIATED = "DEVIATED"
    WARNED = "WARNED"
    REFUSED = "REFUSED"


SEVERITY_1 = frozenset(
    {
        Symptom.SIGNATURE_INVALID,
        Symptom.METADATA_EXPIRED,
        Symptom.METADATA_ROLLBACK,
        Symptom.SOURCE_NOT_DESIGNATED,
        Symptom.NOT_AUTHORISED_BY_SOURCE,
        Symptom.DOWNLOAD_DIGEST_MISMATCH,
        Symptom.ROLLBACK_FAILED,
        Symptom.LOST_CONTACT,
        Symptom.AGENT_CRASH_LOOP,
        Symptom.CONTENT_REFUSED,
        Symptom.WARRANT_REFUSED,
        Symptom.LOG_INTEGRITY,
        Symptom.SOURCE_EXPIRING,
    }
)
"""Symptoms whose incidents go to the IT manager at once on all channels."""
