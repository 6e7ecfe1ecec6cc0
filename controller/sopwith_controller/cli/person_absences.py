"""The verbs of `sopwith person` for who leaves, is away and comes back."""

from datetime import UTC, datetime, timedelta

import click

from sopwith.v1 import people_service_pb2 as pb
from sopwith.v1.people_pb2 import Person
from sopwith_controller.cli.output import emit, tell, time_text
from sopwith_controller.cli.verbs import agree, connected, reason_asked, reasoned, state, verb


def add_absence_verbs(group: click.Group) -> None:
    """Put the verbs into the noun's group."""
    verb(group, "leave", example='sopwith person leave manager --successor deputy --yes --reason "new post"')(leave)
    verb(group, "away", example="sopwith person away manager --until 14d --deputy deputy")(away)
    verb(group, "back", example="sopwith person back manager")(back)


@click.argument("name")
@click.option("--successor", default="", metavar="NAME", help="Who takes over what would be empty.")
@click.option("--yes", is_flag=True, help="Answer the question with yes.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
def leave(name: str, successor: str, *, yes: bool, reason: str) -> None:
    """Take somebody off the roster who leaves; no duty is left to nobody."""
    agree(f"Take {name} off the roster, with certificate and all roles?", yes=yes)
    with connected() as connection:
        request = pb.LeavePersonRequest(name=name, successor=successor, reason=reason_asked(reason))
        reply = reasoned(connection, connection.people.LeavePerson, request)
    _emit(reply.person, f"{reply.person.name} left the roster")
    if successor and state().output == "table":
        tell(f"next: name {successor} in the SOP's next revision, so that {successor} can sign it")


@click.argument("name")
@click.option("--until", required=True, metavar="TIME", help="Until when: a time, a date or a duration such as 14d.")
@click.option("--deputy", default="", metavar="NAME", help="Who is told and acts meanwhile.")
def away(name: str, until: str, deputy: str) -> None:
    """Let a deputy be told and act while somebody is away; a deputy signs no SOP."""
    request = pb.SetPersonAwayRequest(name=name, deputy=deputy)
    request.until_time.FromDatetime(moment(until, "--until").replace(tzinfo=None))
    with connected() as connection:
        reply = connection.call(connection.people.SetPersonAway, request)
    _emit(reply.person, f"{reply.person.name} is away until {time_text(reply.person, 'away_until_time')}")


@click.argument("name")
def back(name: str) -> None:
    """Let somebody act again before their time away is over."""
    with connected() as connection:
        reply = connection.call(connection.people.SetPersonAway, pb.SetPersonAwayRequest(name=name))
    _emit(reply.person, f"{reply.person.name} is back")


def moment(text: str, option: str) -> datetime:
    """Return the moment that a time, a date (its end, UTC) or a duration from now names."""
    from sopwith_formats.errors import FormatError
    from sopwith_formats.units import parse_duration, parse_time

    try:
        if "T" in text:
            return parse_time(text)
        if "-" in text:
            return parse_time(f"{text}T00:00:00Z") + timedelta(days=1)
        return datetime.now(UTC) + parse_duration(text)
    except FormatError as error:
        raise click.UsageError(f"{option}: {error}") from error


def _emit(person: Person, message: str) -> None:
    if state().output in ("table", "wide"):
        tell(message)
    else:
        emit(state().output, person, (), name=lambda row: row.name)
