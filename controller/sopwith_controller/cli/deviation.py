"""`sopwith deviation`: exceptions to single gates, asked for by one person and approved by another."""

import uuid
from datetime import UTC, datetime, timedelta

import click
from google.protobuf.message import Message

from sopwith.v1 import deviation_service_pb2 as pb
from sopwith_controller.cli.output import Column, emit, enum_name, tell, time_text
from sopwith_controller.cli.verbs import connected, duration, noun, state, verb

group = noun("deviation", "Ask for, approve and end exceptions to single gates of the SOP.")

_COLUMNS = [
    Column("ID", lambda one: one.id),
    Column("GATE", lambda one: one.gate),
    Column("STATE", lambda one: enum_name(one, "state")),
    Column("FOR", lambda one: one.rollout or one.computers or "every rollout"),
    Column("ASKED BY", lambda one: one.requester),
    Column("APPROVED BY", lambda one: one.approver),
    Column("UNTIL", lambda one: time_text(one, "closed_time") or time_text(one, "expires_time")),
    Column("REASON", lambda one: one.reason),
    Column("INSTEAD", lambda one: one.measure, wide=True),
]
_ENDED = ("EXPIRED", "CLOSED")


@verb(
    group,
    "open",
    example='sopwith deviation open --gate window --rollout r-7k2m9qx4 --reason "vendor is on site" '
    '--measure "two people watch the canary" --expires 2d',
)
@click.option("--gate", required=True, metavar="GATE", help="Gate to open, for example window or sop_bounds.")
@click.option("--rollout", default="", metavar="ROLLOUT", help="Only for this rollout and its present plan.")
@click.option("--computers", default="", metavar="SELECTOR", help="Only for rollouts to these computers.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
@click.option("--measure", default="", metavar="TEXT", help="What is done instead; it is recorded.")
@click.option("--expires", default="7d", metavar="DURATION", help="When it ends; at most 30d.", show_default=True)
@click.option("--request-id", default="", help="Repeat a request safely: the same id gives the same deviation.")
def open_deviation(
    gate: str, rollout: str, computers: str, reason: str, measure: str, expires: str, request_id: str
) -> None:
    """Ask for an exception to one gate; somebody else has to approve it."""
    request = pb.OpenDeviationRequest(
        gate=gate,
        rollout=rollout,
        computers=computers,
        reason=reason,
        measure=measure,
        request_id=request_id or str(uuid.uuid4()),
    )
    request.expires_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=duration(expires, "--expires")))
    with connected() as connection:
        reply = connection.call(connection.deviations.OpenDeviation, request)
    _emit(reply.deviation)
    if state().output == "table":
        tell(f"next: sopwith deviation approve {reply.deviation.id}, by the owner or the IT manager, not by you")


@verb(group, "approve", example="sopwith deviation approve d-7k2m9qx4")
@click.argument("deviation")
def approve(deviation: str) -> None:
    """Let an exception open its gate."""
    with connected() as connection:
        reply = connection.call(connection.deviations.ApproveDeviation, pb.ApproveDeviationRequest(id=deviation))
    _emit(reply.deviation)


@verb(group, "close", example='sopwith deviation close d-7k2m9qx4 --reason "no longer needed"')
@click.argument("deviation")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
def close(deviation: str, reason: str) -> None:
    """End an exception before its time."""
    with connected() as connection:
        request = pb.CloseDeviationRequest(id=deviation, reason=reason)
        reply = connection.call(connection.deviations.CloseDeviation, request)
    _emit(reply.deviation)


@verb(group, "list", example="sopwith deviation list --all")
@click.option("--all", "everything", is_flag=True, help="Also those that ended.")
def list_deviations(everything: bool) -> None:
    """List exceptions, newest first; with -o json ended ones too."""
    with connected() as connection:
        reply = connection.call(connection.deviations.ListDeviations, pb.ListDeviationsRequest())
    table = state().output in ("table", "wide")
    rows = [one for one in reply.deviations if everything or not table or enum_name(one, "state") not in _ENDED]
    emit(state().output, rows, _COLUMNS, name=lambda one: one.id, empty="No deviation.")


def _emit(deviation: Message) -> None:
    emit(state().output, deviation, _COLUMNS, name=lambda one: one.id)
