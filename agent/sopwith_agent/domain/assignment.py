"""One assignment on this computer: which states follow which events, and how it can end.

This module decides nothing but that: the table below is the whole machine (architecture, section 4), the guards stand
in the steps, which are the only ones that raise events. What happens after a restart is `recovery`'s.

Rules: an event that the table does not list for a state is a mistake in the program and raises
`TransitionNotAllowedError`; an outcome ends the assignment for good; once INSTALLING was entered nothing from outside
takes the assignment back.

>>> transition(AssignmentState.STAGED, Event.START_ALLOWED)
<AssignmentState.INSTALLING: 'INSTALLING'>
"""

from enum import StrEnum

from sopwith_formats.vocabulary import AssignmentState, Outcome


class Event(StrEnum):
    """What a step found out, in the past tense."""

    OFFERED = "OFFERED"
    READY = "READY"
    NOT_READY = "NOT_READY"
    NOT_NEEDED = "NOT_NEEDED"
    """Already installed, or not applicable to this computer."""
    REFUSED = "REFUSED"
    """The warrant, the source or the version policy forbids it."""
    VERIFIED = "VERIFIED"
    RETRIED = "RETRIED"
    """A remedy asks for the same state once more, after a pause."""
    ATTEMPTS_SPENT = "ATTEMPTS_SPENT"
    START_ALLOWED = "START_ALLOWED"
    DEFERRED = "DEFERRED"
    FAILED_UNCHANGED = "FAILED_UNCHANGED"
    """Failed before the commit point; nothing of the computer changed."""
    APPLIED = "APPLIED"
    REBOOT_NEEDED = "REBOOT_NEEDED"
    FAILED_CHANGED = "FAILED_CHANGED"
    """Failed after the commit point, or at a point that cannot be told apart from it."""
    REBOOT_STARTED = "REBOOT_STARTED"
    REBOOT_FORBIDDEN = "REBOOT_FORBIDDEN"
    """Deadline or deferrals are spent and the SOP forbids a forced reboot."""
    REBOOT_UNABLE = "REBOOT_UNABLE"
    """The computer was told to reboot, as often as allowed, and did not."""
    CAME_BACK = "CAME_BACK"
    CAME_BACK_WITHOUT = "CAME_BACK_WITHOUT"
    """The computer booted, but not into the new version."""
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    RESTORED = "RESTORED"
    RESTORE_FAILED = "RESTORE_FAILED"
    NOTHING_TO_RESTORE = "NOTHING_TO_RESTORE"
    """Only a reboot was asked for."""
    WITHDRAWN = "WITHDRAWN"
    DEADLINE_PASSED = "DEADLINE_PASSED"
    """The deadline passed although the computer had been ready."""
    DEADLINE_PASSED_UNREADY = "DEADLINE_PASSED_UNREADY"


class TransitionNotAllowedError(Exception):
    """The table lists no such event for the state."""

    def __init__(self, state: AssignmentState, event: Event) -> None:
        self.state = state
        self.event = event
        super().__init__(f"{event.value} cannot happen in {state.value}")


_S = AssignmentState
_E = Event

TABLE: dict[tuple[AssignmentState, Event], AssignmentState | Outcome] = {
    (_S.PENDING, _E.OFFERED): _S.PREPARING,
    (_S.PREPARING, _E.READY): _S.DOWNLOADING,
    (_S.PREPARING, _E.NOT_READY): _S.PREPARING,
    (_S.PREPARING, _E.RETRIED): _S.PREPARING,
    (_S.PREPARING, _E.NOT_NEEDED): Outcome.SKIPPED,
    (_S.PREPARING, _E.REFUSED): Outcome.FAILED,
    (_S.DOWNLOADING, _E.NOT_NEEDED): Outcome.SKIPPED,
    (_S.DOWNLOADING, _E.VERIFIED): _S.STAGED,
    (_S.DOWNLOADING, _E.RETRIED): _S.DOWNLOADING,
    (_S.DOWNLOADING, _E.DEFERRED): _S.PREPARING,
    (_S.DOWNLOADING, _E.REFUSED): Outcome.FAILED,
    (_S.DOWNLOADING, _E.ATTEMPTS_SPENT): Outcome.FAILED,
    (_S.STAGED, _E.START_ALLOWED): _S.INSTALLING,
    (_S.STAGED, _E.DEFERRED): _S.PREPARING,
    (_S.STAGED, _E.REFUSED): Outcome.FAILED,
    (_S.INSTALLING, _E.RETRIED): _S.INSTALLING,
    (_S.INSTALLING, _E.DEFERRED): _S.PREPARING,
    (_S.INSTALLING, _E.FAILED_UNCHANGED): Outcome.FAILED,
    (_S.INSTALLING, _E.APPLIED): _S.CONFIRMING,
    (_S.INSTALLING, _E.REBOOT_NEEDED): _S.AWAITING_REBOOT,
    (_S.INSTALLING, _E.FAILED_CHANGED): _S.ROLLING_BACK,
    (_S.AWAITING_REBOOT, _E.REBOOT_STARTED): _S.REBOOTING,
    (_S.AWAITING_REBOOT, _E.REBOOT_FORBIDDEN): Outcome.FAILED,
    (_S.AWAITING_REBOOT, _E.CAME_BACK): _S.CONFIRMING,
    (_S.AWAITING_REBOOT, _E.CAME_BACK_WITHOUT): _S.ROLLING_BACK,
    (_S.REBOOTING, _E.CAME_BACK): _S.CONFIRMING,
    (_S.REBOOTING, _E.CAME_BACK_WITHOUT): _S.ROLLING_BACK,
    (_S.REBOOTING, _E.REBOOT_UNABLE): _S.ROLLING_BACK,
    (_S.CONFIRMING, _E.HEALTHY): Outcome.SUCCEEDED,
    (_S.CONFIRMING, _E.UNHEALTHY): _S.ROLLING_BACK,
    (_S.ROLLING_BACK, _E.RESTORED): Outcome.ROLLED_BACK,
    (_S.ROLLING_BACK, _E.RESTORE_FAILED): Outcome.FAILED,
    (_S.ROLLING_BACK, _E.NOTHING_TO_RESTORE): Outcome.FAILED,
    (_S.PREPARING, _E.WITHDRAWN): Outcome.CANCELLED,
    (_S.DOWNLOADING, _E.WITHDRAWN): Outcome.CANCELLED,
    (_S.STAGED, _E.WITHDRAWN): Outcome.CANCELLED,
    (_S.PREPARING, _E.DEADLINE_PASSED): Outcome.NOT_STARTED,
    (_S.DOWNLOADING, _E.DEADLINE_PASSED): Outcome.NOT_STARTED,
    (_S.STAGED, _E.DEADLINE_PASSED): Outcome.NOT_STARTED,
    (_S.PREPARING, _E.DEADLINE_PASSED_UNREADY): Outcome.NOT_READY,
}
"""The machine: where an event leads, to a state or to the outcome that ends the assignment."""


def transition(state: AssignmentState, event: Event) -> AssignmentState | Outcome:
    """Return what follows; raise TransitionNotAllowedError for what the table does not list."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise TransitionNotAllowedError(state, event) from None
