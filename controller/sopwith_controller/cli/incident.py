"""`sopwith incident`: what waits for a named person, who took it, how it ended."""

import click

from sopwith.v1 import incident_service_pb2 as pb
from sopwith.v1.incident_pb2 import Incident
from sopwith_controller.cli.output import Column, emit, enum_name, print_facts, print_table, tell, time_text
from sopwith_controller.cli.verbs import connected, noun, reason_asked, reasoned, state, verb

group = noun("incident", "Take and close incidents.")

_COMPUTERS_SHOWN = 3


def _computers(incident: Incident) -> str:
    names = list(incident.computers)
    rest = len(names) - _COMPUTERS_SHOWN
    return ", ".join(names[:_COMPUTERS_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


_COLUMNS = [
    Column("ID", lambda incident: incident.id),
    Column("SEVERITY", lambda incident: str(incident.severity)),
    Column("STATE", lambda incident: enum_name(incident, "state")),
    Column("SYMPTOM", lambda incident: incident.symptom),
    Column("RELEASE", lambda incident: incident.release),
    Column("COMPUTERS", _computers),
    Column("DETECTED", lambda incident: time_text(incident, "detected_time")),
    Column("TAKEN BY", lambda incident: incident.acknowledged_by),
    Column("LEVEL", lambda incident: str(incident.level), wide=True),
    Column("ROLLOUT", lambda incident: incident.rollout, wide=True),
    Column("CLIMBS", lambda incident: time_text(incident, "due_time"), wide=True),
]


@verb(group, "list", example="sopwith incident list --unresolved")
@click.option("--unresolved", is_flag=True, help="Leave resolved ones out.")
def list_incidents(unresolved: bool) -> None:
    """List incidents, newest first."""
    with connected() as connection:
        request = pb.ListIncidentsRequest(unresolved_only=unresolved)
        reply = connection.call(connection.incidents.ListIncidents, request)
    emit(state().output, reply.incidents, _COLUMNS, name=lambda incident: incident.id, empty="No incident.")


@verb(group, "show", example="sopwith incident show i-7k2m9qx4")
@click.argument("incident")
def show(incident: str) -> None:
    """Show one incident with its messages and notes."""
    with connected() as connection:
        reply = connection.call(connection.incidents.GetIncident, pb.GetIncidentRequest(id=incident))
    _print(reply.incident)


@verb(group, "acknowledge", example="sopwith incident acknowledge i-7k2m9qx4")
@click.argument("incident")
def acknowledge(incident: str) -> None:
    """Take an incident; taking it twice is no error."""
    with connected() as connection:
        request = pb.AcknowledgeIncidentRequest(id=incident)
        reply = connection.call(connection.incidents.AcknowledgeIncident, request)
    _print_row(reply.incident)
    if reply.incident.rollout:
        tell(f"next: sopwith rollout show {reply.incident.rollout}")


@verb(group, "note", example='sopwith incident note i-7k2m9qx4 "asked the vendor"')
@click.argument("incident")
@click.argument("text")
@click.option("--guidance", is_flag=True, help="Guide the operators with it; for the IT manager.")
def note(incident: str, text: str, guidance: bool) -> None:
    """Write down something about an incident."""
    with connected() as connection:
        request = pb.NoteIncidentRequest(id=incident, text=text, guidance=guidance)
        reply = connection.call(connection.incidents.NoteIncident, request)
    _print_row(reply.incident)


@verb(group, "resolve", example='sopwith incident resolve i-7k2m9qx4 --reason "release mended"')
@click.argument("incident")
@click.option("--reason", default="", metavar="TEXT", help="Why it is closed; it is recorded.")
@click.option("--ppe-acknowledged", is_flag=True, help="The protective equipment of the hands-on task was worn.")
def resolve(incident: str, reason: str, ppe_acknowledged: bool) -> None:
    """Close an incident with a reason."""
    with connected() as connection:
        why = reason_asked(reason, "Why is it closed? It is recorded")
        request = pb.ResolveIncidentRequest(id=incident, reason=why, ppe_acknowledged=ppe_acknowledged)
        reply = reasoned(connection, connection.incidents.ResolveIncident, request)
    _print_row(reply.incident)


def _print_row(incident: Incident) -> None:
    emit(state().output, incident, _COLUMNS, name=lambda row: row.id)


def _print(incident: Incident) -> None:
    if state().output not in ("table", "wide"):
        _print_row(incident)
        return
    taken = f"{incident.acknowledged_by} at {time_text(incident, 'acknowledged_time')}"
    print_facts(
        [
            ("Incident", incident.id),
            ("What", incident.summary),
            ("Severity", str(incident.severity)),
            ("State", enum_name(incident, "state")),
            ("Symptom", incident.symptom),
            ("Release", incident.release),
            ("Rollout", incident.rollout),
            ("Computers", ", ".join(incident.computers)),
            ("Detected", time_text(incident, "detected_time")),
            ("Taken by", taken if incident.acknowledged_by else ""),
            ("Climbs at", time_text(incident, "due_time")),
            ("Resolved", time_text(incident, "resolved_time")),
            ("Because", incident.resolution),
        ]
    )
    if incident.notifications:
        print()
        rows = [
            [one.channel, one.target, time_text(one, "dispatched_time"), "yes" if one.delivered else "no", one.error]
            for one in incident.notifications
        ]
        print_table(["CHANNEL", "TO", "SENT", "DELIVERED", "ERROR"], rows)
    for one in incident.notes:
        print()
        print_facts([(f"{time_text(one, 'time')} {one.person}{' (guidance)' if one.guidance else ''}", one.text)])
