"""The verbs of `sopwith sop` that make a revision known and show who holds it."""

from datetime import UTC, datetime
from typing import Any

import click

from sopwith.v1 import sop_life_service_pb2 as pb
from sopwith_controller.cli.output import (
    Column,
    emit,
    emit_document,
    enum_name,
    print_facts,
    print_table,
    tell,
    time_text,
    to_document,
)
from sopwith_controller.cli.verbs import connected, state, verb
from sopwith_controller.desk.errors import DeskError

_NAMES_MAX = 10
CHANNELS = ("mail", "meeting", "training")
_COLUMNS = (
    Column("ID", lambda one: one.id),
    Column("REVISION", lambda one: str(one.revision)),
    Column("BY", lambda one: one.channel),
    Column("WHEN", lambda one: time_text(one, "held_time") or time_text(one, "created_time")),
    Column("TO", lambda one: ", ".join(one.recipients)),
    Column("CAME", lambda one: ", ".join(one.attendees)),
    Column("DELIVERED", lambda one: f"{one.delivered} of {len(one.recipients)}" if one.channel == "mail" else ""),
    Column("ANNOUNCED BY", lambda one: one.announced_by, wide=True),
    Column("NOTE", lambda one: one.note, wide=True),
)


def add_telling_verbs(group: click.Group) -> None:
    """Put the verbs into the noun's group."""
    verb(group, "announce", example="sopwith sop announce SU-SOP-001 --channel training --attendee operator")(announce)
    verb(group, "announcements", example="sopwith sop announcements SU-SOP-001")(announcements)
    verb(group, "distribution", example="sopwith sop distribution SU-SOP-001")(distribution)


@click.argument("sop")
@click.option("--revision", type=int, default=0, help="Revision; default: the effective one.")
@click.option("--channel", type=click.Choice(CHANNELS), default="mail", show_default=True, help="How it is told.")
@click.option("--to", "recipients", multiple=True, metavar="NAME", help="Recipient; default: everybody.")
@click.option("--attendee", "attendees", multiple=True, metavar="NAME", help="Who came; several times.")
@click.option("--held", metavar="TIME", help="When the meeting or session was.  [default: now]")
@click.option("--note", default="", metavar="TEXT", help="What you say besides.")
def announce(sop: str, *, channel: str, held: str | None, **words: Any) -> None:
    """Make a signed revision known: by mail, or as a record of a meeting or training session."""
    request = pb.AnnounceSopRequest(id=sop, channel=channel, **words)
    if held:
        request.held_time.FromDatetime(_past(held))
    with connected() as connection:
        reply = connection.call(connection.sop_life.AnnounceSop, request)
    emit(state().output, reply.announcement, _COLUMNS, name=lambda one: one.id)
    if reply.announcement.unreached:
        tell(f"no address is known of {', '.join(reply.announcement.unreached)}; they were not told")


@click.argument("sop")
def announcements(sop: str) -> None:
    """List how a SOP's revisions were made known, and to whom."""
    with connected() as connection:
        request = pb.ListSopAnnouncementsRequest(id=sop)
        reply = connection.call(connection.sop_life.ListSopAnnouncements, request)
    emit(state().output, reply.announcements, _COLUMNS, name=lambda one: one.id, empty="No announcement.")


@click.argument("sop")
@click.option("--revision", type=int, default=0, help="Revision; default: the effective one.")
def distribution(sop: str, revision: int) -> None:
    """Show which computers hold a revision and which people acknowledged it, and who lacks it."""
    with connected() as connection:
        request = pb.GetSopDistributionRequest(id=sop, revision=revision)
        reply = connection.call(connection.sop_life.GetSopDistribution, request)
    if state().output in ("json", "yaml"):
        emit_document(state().output, to_document(reply))
        return
    if state().output == "name":
        for one in reply.computers_lacking:
            print(one.computer)
        return
    print_facts(distribution_facts(reply))
    rows = [
        [one.computer, f"revision {one.revision}" if one.revision else "nothing yet"] for one in reply.computers_lacking
    ]
    if rows:
        print()
        print_table(("COMPUTER THAT LACKS IT", "HOLDS"), rows)


def distribution_facts(reply: Any) -> tuple[tuple[str, str], ...]:
    """Return who holds a revision in two lines, and who has not read it."""
    computers = len(reply.computers) + len(reply.computers_lacking)
    people = len(reply.people) + len(reply.people_lacking)
    return (
        ("Revision", f"{reply.id} revision {reply.revision}"),
        ("Held by", f"{len(reply.computers)} of {computers} computers"),
        ("Read by", f"{len(reply.people)} of {people} people: {', '.join(reply.people) or 'nobody'}"),
        ("Not yet by", ", ".join(reply.people_lacking)),
    )


def holding_of(connection: Any, sop: Any) -> tuple[tuple[str, str], ...]:
    """Return who holds the effective revision, nothing for another one or for who may not know."""
    if enum_name(sop, "state") != "EFFECTIVE":
        return ()
    try:
        request = pb.GetSopDistributionRequest(id=sop.id, revision=sop.revision)
        reply = connection.call(connection.sop_life.GetSopDistribution, request)
    except DeskError:
        return ()
    lacking = [one.computer for one in reply.computers_lacking]
    more = f" and {len(lacking) - _NAMES_MAX} more" if len(lacking) > _NAMES_MAX else ""
    return (
        *distribution_facts(reply)[1:2],
        ("Lacked by", ", ".join(lacking[:_NAMES_MAX]) + more),
        *distribution_facts(reply)[3:],
    )


def _past(text: str) -> datetime:
    from sopwith_formats.errors import FormatError
    from sopwith_formats.units import parse_time

    try:
        found = parse_time(text if "T" in text else f"{text}T00:00:00Z")
    except FormatError as error:
        raise click.UsageError(f"--held: {error}") from error
    return found.astimezone(UTC).replace(tzinfo=None)
