"""Making a revision known: by mail, in a meeting, in a training session with attendees.

Decides what may be announced to whom; writing the mail is here too, delivering it is the outbox's. Rules:

- what is announced is signed: an APPROVED or EFFECTIVE revision;
- mail reaches who has an address; a recipient who was named and has none is an error, one of "everybody" is reported;
- a meeting or session has a time that is not in the future; who attended was a recipient, or becomes one;
- an announcement acknowledges nothing: everybody does that themselves.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sopwith_controller.domain.entities import Person, SopRevision, SopState
from sopwith_controller.domain.errors import InvalidInputError, TransitionNotAllowedError

MAIL = "mail"
CHANNELS = (MAIL, "meeting", "training")
NOTE_LENGTH_MAX = 4000
_CLOCK_TOLERANCE = timedelta(minutes=5)


def check_announced(
    revision: SopRevision, channel: str, *, attendees: Sequence[str], note: str, held: datetime | None, now: datetime
) -> None:
    """Raise an error unless this revision may be announced in this way."""
    if revision.state not in {SopState.APPROVED, SopState.EFFECTIVE}:
        raise TransitionNotAllowedError(
            f"{revision.id} revision {revision.revision} is {revision.state}; what is announced is signed",
            remedy=f"sopwith sop show {revision.id} says who still has to sign",
        )
    if channel not in CHANNELS:
        raise InvalidInputError(f"{channel!r} is no channel", remedy=f"use {', '.join(CHANNELS)}")
    if len(note) > NOTE_LENGTH_MAX:
        raise InvalidInputError(f"a note has at most {NOTE_LENGTH_MAX} characters", remedy="shorten it")
    if channel == MAIL and (attendees or held is not None):
        remedy = "leave --attendee and --held out, or say --channel meeting"
        raise InvalidInputError("nobody attends mail", remedy=remedy)
    if channel == "training" and not attendees:
        raise InvalidInputError("a training session has attendees", remedy="add --attendee NAME for each")
    if held is not None and held > now + _CLOCK_TOLERANCE:
        raise InvalidInputError(
            f"a session on {held:%Y-%m-%d %H:%M} UTC is still to come", remedy="announce it when it was held"
        )


def choose_recipients(
    people: Sequence[Person], named: Sequence[str], attendees: Sequence[str], channel: str
) -> tuple[tuple[Person, ...], tuple[str, ...]]:
    """Return who is told, and the names of those of everybody whom the channel does not reach."""
    known = {person.name: person for person in people if person.state != "REVOKED"}
    unknown = [name for name in (*named, *attendees) if name not in known]
    if unknown:
        raise InvalidInputError(f"nobody on the roster is called {unknown[0]}", remedy="sopwith person list")
    wanted = dict.fromkeys((*(named or (() if attendees else known)), *attendees))
    chosen = [known[name] for name in wanted]
    if channel != MAIL:
        return tuple(chosen), ()
    silent = tuple(person.name for person in chosen if not person.email)
    if named and silent:
        remedy = f"sopwith person invite {silent[0]} --email ADDR, or --channel meeting"
        raise InvalidInputError(f"no address is known of {', '.join(silent)}", remedy=remedy)
    reached = tuple(person for person in chosen if person.email)
    if not reached:
        remedy = "sopwith person invite NAME --email ADDR, or --channel meeting"
        raise InvalidInputError("mail would reach nobody: no address is known", remedy=remedy)
    return reached, silent


def mail_of(revision: SopRevision, organization: str, note: str) -> tuple[str, str]:
    """Return subject and body of the mail."""
    when = f" on {revision.effective_time:%Y-%m-%d %H:%M} UTC" if revision.effective_time else ""
    verb = "is in effect" if revision.state is SopState.EFFECTIVE else f"takes effect{when}"
    subject = f"{revision.id} revision {revision.revision} {verb}"
    lines = [
        f"{organization}: {revision.title}, {revision.id} revision {revision.revision}, {verb}.",
        f"What changed ({revision.change_kind}): {revision.change_description} (by {revision.revised_by})",
        *([note.strip()] if note.strip() else []),
        f"What it means for you:  sopwith sop diff {revision.id} --audience operator",
        f"Say that you read it:   sopwith sop acknowledge {revision.id}",
        f"Document sha256 {revision.document_sha256}",
    ]
    return subject, "\n\n".join(lines) + "\n"
