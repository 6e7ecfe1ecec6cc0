"""`sopwith freeze`: no computer starts to install while a freeze is in force."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from sopwith.v1 import fleet_service_pb2 as pb
from sopwith_controller.cli.output import Column, emit, tell, time_text
from sopwith_controller.cli.verbs import agree, connected, duration, noun, reasoned, state, verb

group = noun("freeze", "Forbid and allow installing on the whole fleet.")

_STATES = {
    pb.FREEZE_STATE_COMING: "coming",
    pb.FREEZE_STATE_IN_FORCE: "in force",
    pb.FREEZE_STATE_OVER: "over",
}
_COLUMNS = [
    Column("ID", lambda freeze: freeze.id),
    Column("STATE", lambda freeze: _STATES.get(freeze.state, "")),
    Column("FROM UTC", lambda freeze: _minute(freeze, "start_time")),
    Column("UNTIL UTC", lambda freeze: _minute(freeze, "end_time")),
    Column("REASON", lambda freeze: freeze.reason, flows=True),
    Column("STARTED BY", lambda freeze: freeze.started_by, wide=True),
    Column("ENDED BY", lambda freeze: freeze.ended_by, wide=True),
    Column("FROM CALENDAR", lambda freeze: freeze.origin, wide=True),
]


def _minute(freeze: pb.FreezeWindow, field_name: str) -> str:
    return time_text(freeze, field_name)[:16].replace("T", " ")


_yes_option = click.option("--yes", is_flag=True, help="Answer the question with yes.")
_reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")


@verb(group, "start", example='sopwith freeze start --yes --reason "end of the quarter" --until 2026-12-31T23:00:00Z')
@_yes_option
@_reason_option
@click.option(
    "--at", "begins", default="", metavar="TIME", help="When it begins, written like --until; now by default."
)
@click.option("--until", default="", metavar="TIME", help="When it ends by itself: RFC 3339, or a duration such as 8h.")
@click.option("--request-id", default="", help="Repeat a request safely: the same id gives the same freeze.")
def start(yes: bool, reason: str, begins: str, until: str, request_id: str) -> None:
    """Forbid every new install of the whole fleet, from now or from a later time on."""
    agree(f"Forbid every new install of the whole fleet{f' from {begins} on' if begins else ''}?", yes=yes)
    request = pb.StartFreezeRequest(reason=reason, request_id=request_id)
    if begins:
        request.start_time.FromDatetime(_time(begins, "--at"))
    if until:
        request.end_time.FromDatetime(_time(until, "--until"))
    with connected() as connection:
        reply = reasoned(connection, connection.fleet.StartFreeze, request)
    emit(state().output, reply.freeze, _COLUMNS, name=lambda freeze: freeze.id)


@verb(group, "import", example="sopwith freeze import company-holidays.ics --dry-run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--calendar", default="", metavar="NAME", help="Name of the calendar; the file's name by default.")
@click.option("--time-zone", default="", metavar="ZONE", help="Zone of times that name none: IANA; UTC by default.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@_yes_option
def import_calendar(file: Path, calendar: str, time_zone: str, dry_run: bool, yes: bool) -> None:
    """Bring freezes in line with an iCalendar file, two years ahead.

    An import replaces what an earlier one of the same calendar said: new times are added, moved ones changed, those
    that it does not name any more called off.
    """
    from tzlocal.windows_tz import win_tz

    from sopwith_formats.freeze_calendar import read_freeze_calendar
    from sopwith_formats.time_zones import find_zone

    if time_zone and find_zone(time_zone) is None:
        raise click.UsageError(f"--time-zone: {time_zone!r} is no time zone; write an IANA name such as Europe/Berlin")
    now = datetime.now(UTC)
    # Outlook writes Windows' names of zones; which IANA zones they are says CLDR, in a package that follows it.
    events = read_freeze_calendar(file.read_bytes(), str(file), now=now, zone=time_zone, other_names=win_tz)
    name = calendar or file.stem
    if not dry_run:
        agree(f"Let the calendar {name} freeze the whole fleet at {len(events)} times?", yes=yes)
    request = pb.ImportFreezesRequest(calendar=name, dry_run=dry_run)
    for event in events:
        added = request.freezes.add(uid=event.uid, reason=event.reason)
        added.start_time.FromDatetime(event.start)
        added.end_time.FromDatetime(event.end)
    with connected() as connection:
        reply = connection.call(connection.fleet.ImportFreezes, request)
    emit(state().output, reply.freezes, _COLUMNS, name=lambda row: row.id, empty="Nothing changed.")
    would = "would be " if dry_run else ""
    tell(
        f"{name}: {reply.added} {would}new, {reply.changed} {would}changed, {reply.removed} {would}called off, "
        f"{reply.unchanged} as before"
    )


@verb(group, "end", example='sopwith freeze end --yes --reason "quarter closed"')
@click.argument("freeze", required=False, default="")
@_yes_option
@_reason_option
@click.option(
    "--confirm-time", is_flag=True, help="Say that the controller's clock is right: ends the freeze of one that jumped."
)
def end(freeze: str, yes: bool, reason: str, confirm_time: bool) -> None:
    """End a freeze, call one off that is coming, or without its id end every one in force.

    The freeze of a controller whose clock jumped stays, until somebody says by --confirm-time that its time is right.
    """
    what = "the freeze of a clock that jumped, because its time is right," if confirm_time else "every freeze"
    agree(f"End {freeze or what} and allow installing again?", yes=yes)
    request = pb.EndFreezeRequest(id=freeze, reason=reason, confirm_time=confirm_time)
    with connected() as connection:
        reply = connection.call(connection.fleet.EndFreeze, request)
        now_known = connection.call(connection.fleet.ListFreezes, pb.ListFreezesRequest()).freezes
    emit(state().output, reply.freezes, _COLUMNS, name=lambda row: row.id, empty="No freeze was ended.")
    ended = {row.id for row in reply.freezes}
    for row in now_known:
        if row.active and row.id not in ended:
            tell(f"still in force: {row.id}, by {row.started_by}: {row.reason}")


@verb(group, "list", example="sopwith freeze list")
def list_freezes() -> None:
    """List freezes, newest first, ended ones too."""
    with connected() as connection:
        reply = connection.call(connection.fleet.ListFreezes, pb.ListFreezesRequest())
    emit(state().output, reply.freezes, _COLUMNS, name=lambda row: row.id, empty="No freeze yet.")


def _time(text: str, option: str) -> datetime:
    from sopwith_formats.errors import FormatError
    from sopwith_formats.units import parse_time

    if text[0].isdigit() and "T" in text:
        try:
            return parse_time(text)
        except FormatError as error:
            raise click.UsageError(f"{option}: {error}") from error
    return datetime.now(UTC) + timedelta(seconds=duration(text, option))
