"""What to do with an assignment that the journal holds when the agent starts again.

Decides from the record alone; what lies on disk is asked by the step that follows (`installer.recover`). Rules, state
by state (architecture, section 4): what changed nothing is simply done again; an install that was cut short before its
commit point is resumed and counted as a try; after the commit point it is never begun again, so that it is committed at
most once: whole goes on to be confirmed, anything else goes back; a rollback goes on, counted; an outcome that was not
yet handed to the outbox is handed over now.
"""

from enum import StrEnum

from sopwith_agent.domain.record import Record
from sopwith_formats.vocabulary import AssignmentState


class Resumption(StrEnum):
    """What a restarted agent does first."""

    CONTINUE = "CONTINUE"
    """Run the state's step again; nothing in it was or is counted anew."""
    RESUME_INSTALL = "RESUME_INSTALL"
    """Install again, as a new try."""
    GIVE_UP_INSTALL = "GIVE_UP_INSTALL"
    """Tries are spent and nothing was changed."""
    INSPECT = "INSPECT"
    """The commit point was announced: ask the installer what is on disk."""
    REPORT = "REPORT"
    """Ended, but the receipt is not in the outbox."""
    NOTHING = "NOTHING"
    """Ended and reported."""


_CONTINUED = frozenset(
    {
        AssignmentState.PENDING,
        AssignmentState.PREPARING,
        AssignmentState.DOWNLOADING,
        AssignmentState.STAGED,
        AssignmentState.AWAITING_REBOOT,
        AssignmentState.REBOOTING,
        AssignmentState.CONFIRMING,
        AssignmentState.ROLLING_BACK,
    }
)


def resumption(record: Record, attempts_max: int) -> Resumption:
    """Return what follows for a record as it was found on disk."""
    if record.state is AssignmentState.ENDED:
        return Resumption.NOTHING if record.reported else Resumption.REPORT
    if record.state in _CONTINUED:
        return Resumption.CONTINUE
    if record.commits:
        return Resumption.INSPECT
    return Resumption.RESUME_INSTALL if record.attempts < attempts_max else Resumption.GIVE_UP_INSTALL
