"""`sopwith freeze`: no computer starts to install while a freeze is in force."""

from datetime import UTC, datetime, timedelta

import click

from sopwith.v1 import fleet_service_pb2 as pb
from sopwith_controller.cli.output import Column, emit, time_text
from sopwith_controller.cli.verbs import agree, connected, duration, noun, reasoned, state, verb

group = noun("freeze", "Forbid and allow installing on the whole fleet.")

_COLUMNS = [
    Column("ID", lambda freeze: freeze.id),
    Column("ACTIVE", lambda freeze: "yes" if freeze.active else "no"),
    Column("FROM", lambda freeze: time_text(freeze, "start_time")),
    Column("UNTIL", lambda freeze: time_text(freeze, "end_time")),
    Column("STARTED BY", lambda freeze: freeze.started_by),
    Column("ENDED BY", lambda freeze: freeze.ended_by),
    Column("REASON", lambda freeze: freeze.reason),
]
_yes_option = click.option("--yes", is_flag=True, help="Answer the question with yes.")
_reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")


@verb(group, "start", example='sopwith freeze start --yes --reason "end of the quarter" --until 2026-12-31T23:00:00Z')
@_yes_option
@_reason_option
@click.option("--until", default="", metavar="TIME", help="When it ends by itself: RFC 3339, or a duration such as 8h.")
@click.option("--request-id", default="", help="Repeat a request safely: the same id gives the same freeze.")
def start(yes: bool, reason: str, until: str, request_id: str) -> None:
    """Forbid every new install of the whole fleet."""
    agree("Forbid every new install of the whole fleet?", yes=yes)
    request = pb.StartFreezeRequest(reason=reason, request_id=request_id)
    if until:
        request.end_time.FromDatetime(_time(until))
    with connected() as connection:
        reply = reasoned(connection, connection.fleet.StartFreeze, request)
    emit(state().output, reply.freeze, _COLUMNS, name=lambda freeze: freeze.id)


@verb(group, "end", example='sopwith freeze end --yes --reason "quarter closed"')
@click.argument("freeze", required=False, default="")
@_yes_option
@_reason_option
def end(freeze: str, yes: bool, reason: str) -> None:
    """End a freeze, or without its id every open one."""
    agree(f"End {freeze or 'every freeze'} and allow installing again?", yes=yes)
    with connected() as connection:
        reply = connection.call(connection.fleet.EndFreeze, pb.EndFreezeRequest(id=freeze, reason=reason))
    emit(state().output, reply.freezes, _COLUMNS, name=lambda row: row.id, empty="No freeze was in force.")


@verb(group, "list", example="sopwith freeze list")
def list_freezes() -> None:
    """List freezes, newest first, ended ones too."""
    with connected() as connection:
        reply = connection.call(connection.fleet.ListFreezes, pb.ListFreezesRequest())
    emit(state().output, reply.freezes, _COLUMNS, name=lambda row: row.id, empty="No freeze yet.")


def _time(text: str) -> datetime:
    from sopwith_formats.errors import FormatError
    from sopwith_formats.units import parse_time

    if text[0].isdigit() and "T" in text:
        try:
            return parse_time(text)
        except FormatError as error:
            raise click.UsageError(f"--until: {error}") from error
    return datetime.now(UTC) + timedelta(seconds=duration(text, "--until"))
