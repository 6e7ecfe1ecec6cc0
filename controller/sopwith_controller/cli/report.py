"""`sopwith report`: figures of a period, and whether the SOP's objectives are met."""

from datetime import UTC, datetime, timedelta

import click

from sopwith.v1 import report_service_pb2 as pb
from sopwith_controller.cli.output import Column, emit, emit_document, tell, time_text, to_document
from sopwith_controller.cli.verbs import connected, duration, noun, state, verb

group = noun("report", "Read how well the fleet is looked after.")


def _value(kpi: pb.Kpi) -> str:
    if kpi.nothing_counted:
        return "-"
    number = f"{kpi.value:,.1f}".removesuffix(".0")
    return number if kpi.unit == "count" else f"{number} {kpi.unit}"


_COLUMNS = [
    Column("KPI", lambda one: one.id),
    Column("VALUE", _value),
    Column("COUNTED", lambda one: f"{one.numerator} of {one.denominator}" if one.denominator else ""),
    Column("WHAT IT COUNTS", lambda one: one.formula, flows=True),
    Column("BESIDE IT", lambda one: ", ".join(f"{k} {one.others[k]:g}" for k in sorted(one.others)), wide=True),
]
_OBJECTIVES = [
    Column("ID", lambda one: one.id),
    Column("OBJECTIVE", lambda one: one.text, flows=True),
    Column("KPI", lambda one: one.kpi),
    Column("TARGET", lambda one: one.target),
    Column("RESULT", lambda one: one.result.lower().replace("_", " ")),
]


@verb(group, "kpi", example="sopwith report kpi --since 30d --against-objectives")
@click.option(
    "--since", default="90d", metavar="DURATION", help="How far back; rollouts started since.", show_default=True
)
@click.option("--against-objectives", is_flag=True, help="Say of each objective of the SOP whether it is met.")
@click.argument("kpis", nargs=-1, metavar="[KPI]...")
def kpi(since: str, against_objectives: bool, kpis: tuple[str, ...]) -> None:
    """Show the figures of a period, with what each was counted from."""
    request = pb.GetKpisRequest()
    request.since_time.FromDatetime(datetime.now(UTC) - timedelta(seconds=duration(since, "--since")))
    with connected() as connection:
        reply = connection.call(connection.reports.GetKpis, request)
    unknown = sorted(set(kpis) - {one.id for one in reply.kpis})
    if unknown:
        known = ", ".join(one.id for one in reply.kpis)
        raise click.UsageError(f"there is no KPI {', '.join(unknown)}; one of {known}")
    chosen = [one for one in reply.kpis if not kpis or one.id in kpis]
    if state().output in ("json", "yaml"):
        document = to_document(reply)
        document["kpis"] = [one for one in document["kpis"] if not kpis or one["id"] in kpis]
        emit_document(state().output, document)
        return
    if against_objectives:
        emit(state().output, list(reply.objectives), _OBJECTIVES, name=lambda one: one.id, empty="No SOP is effective.")
        return
    if state().output == "table":
        tell(f"{time_text(reply, 'since_time')} to {time_text(reply, 'until_time')}")
    emit(state().output, chosen, _COLUMNS, name=lambda one: one.id)
