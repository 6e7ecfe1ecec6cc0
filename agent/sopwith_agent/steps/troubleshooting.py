"""The SOP's answer to each symptom (clause V.D), on the computer itself, before anybody is asked.

Decides from symptom, state and counters what follows a failed step: again after a pause, deferred, refused, failed, or
rolled back. It knows no details of installers or networks, and does nothing itself; the runner does what it says and
records it as a step, so that the record shows the remedies in the SOP's order with their results.

Rules: whatever may have changed the computer is rolled back; every remedy is bounded, by `attempts_max` of the warrant
(download and install tries together) and by its own number; a computer that only has to wait (power, load, a lock, a
full disk) is deferred without spending a try, until the deadline; the first pause is at most a second.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

from sopwith_agent.domain import limits
from sopwith_agent.domain.record import Record
from sopwith_formats.vocabulary import AssignmentState, Symptom


class Remedy(StrEnum):
    """What follows a failed step."""

    RETRY = "retry"
    DEFER = "defer"
    """Back to PREPARING: measure again, and try again when the computer is ready."""
    WAIT = "wait"
    """Deferred without spending a try."""
    REFUSE = "refuse"
    FAIL = "fail"
    ROLL_BACK = "roll back"


@dataclass(frozen=True)
class Answer:
    """The remedy, and the pause before it is tried."""

    remedy: Remedy
    pause_seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class _Row:
    """One line of the catalogue: `retries` tries of `remedy`, then `then`."""

    remedy: Remedy
    then: Remedy = Remedy.FAIL
    retries: int = limits.deferrals_max


_WAITS = _Row(Remedy.WAIT)
_REFUSES = _Row(Remedy.REFUSE, then=Remedy.REFUSE, retries=0)
_FAILS = _Row(Remedy.FAIL, retries=0)

CATALOGUE: dict[Symptom, _Row] = {
    Symptom.NET_SOURCE_UNREACHABLE: _Row(Remedy.DEFER),
    Symptom.DOWNLOAD_DIGEST_MISMATCH: _Row(Remedy.RETRY, retries=1),
    Symptom.SIGNATURE_INVALID: _REFUSES,
    Symptom.METADATA_EXPIRED: _REFUSES,
    Symptom.METADATA_ROLLBACK: _REFUSES,
    Symptom.SOURCE_NOT_DESIGNATED: _REFUSES,
    Symptom.NOT_AUTHORISED_BY_SOURCE: _REFUSES,
    Symptom.WARRANT_REFUSED: _REFUSES,
    Symptom.VERSION_POLICY: _REFUSES,
    Symptom.CONTENT_REFUSED: _FAILS,
    Symptom.DISK_FULL: _WAITS,
    Symptom.PACKAGE_LOCK_HELD: _WAITS,
    Symptom.PENDING_REBOOT: _WAITS,
    Symptom.POWER_LOW: _WAITS,
    Symptom.LOAD_HIGH: _WAITS,
    Symptom.USER_BUSY: _WAITS,
    Symptom.CLOCK_SKEWED: _WAITS,
    Symptom.MEMORY_LOW: _WAITS,
    Symptom.METERED_LINK: _WAITS,
    Symptom.DO_NOT_DISTURB: _WAITS,
    Symptom.CONTROLLER_UNREACHABLE: _WAITS,
    Symptom.FILE_OR_SERVICE_IN_USE: _Row(Remedy.DEFER),
    Symptom.INSTALLER_EXIT_NONZERO: _Row(Remedy.RETRY, retries=1),
    Symptom.BACKUP_FAILED: _Row(Remedy.RETRY, retries=1),
    Symptom.TIMEOUT: _Row(Remedy.RETRY, retries=1),
    Symptom.PACKAGE_DATABASE_BROKEN: _FAILS,
    Symptom.DEPENDENCY_CONFLICT: _FAILS,
    Symptom.PERMISSION_DENIED: _FAILS,
    Symptom.NOT_APPLICABLE: _FAILS,
    Symptom.UNKNOWN: _FAILS,
}
"""What a failed download or install calls for while nothing was changed; symptoms that are not listed fail."""

_TRIES = frozenset({Remedy.RETRY, Remedy.DEFER})
_STAGED = frozenset({AssignmentState.STAGED, AssignmentState.INSTALLING})
_REFUSABLE = frozenset({AssignmentState.PREPARING, AssignmentState.DOWNLOADING, AssignmentState.STAGED})


def troubleshoot(symptom: Symptom, record: Record, *, changed: bool, attempts_max: int) -> Answer:
    """Return what follows a step of the record that failed with the symptom.

    `changed` tells whether the computer may have been changed by this try.
    """
    if changed:
        return Answer(Remedy.ROLL_BACK, detail="the computer may have been changed")
    row = CATALOGUE.get(symptom, _FAILS)
    remedy = row.remedy if _tried(row, record) < row.retries else row.then
    if remedy in _TRIES and record.attempts >= attempts_max:
        return Answer(Remedy.FAIL, detail=f"all {attempts_max} tries are spent")
    if remedy is Remedy.REFUSE and record.state not in _REFUSABLE:
        remedy = Remedy.FAIL
    if remedy is Remedy.RETRY and symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH and record.state in _STAGED:
        remedy = Remedy.DEFER  # the staged file has to be fetched anew
    if remedy is Remedy.WAIT:
        pause = min(limits.defer_seconds, 2 ** min(record.deferrals, 16))
        return Answer(remedy, pause, "waits without spending a try")
    if remedy in _TRIES:
        return Answer(remedy, back_off_seconds(record.attempts), f"try {record.attempts + 1} of {attempts_max}")
    return Answer(remedy)


def back_off_seconds(tries: int) -> float:
    """Return a pause with full jitter: at most 1 s after the first try, doubling, at most a minute."""
    ceiling = min(limits.retry_cap_seconds, limits.retry_first_seconds * 2 ** max(0, min(tries, 16) - 1))
    return random.uniform(0, ceiling)  # noqa: S311  spreads load, guards nothing


def _tried(row: _Row, record: Record) -> int:
    return record.retries if row.remedy is Remedy.RETRY else record.deferrals
