"""`sopwith status`: one screen with what needs a person; exit 0 whenever the controller answers."""

import click

from sopwith.v1 import fleet_service_pb2
from sopwith_controller.cli.output import emit_document, escape, print_facts, tell, to_document
from sopwith_controller.cli.verbs import Verb, connected, state


@click.command("status", cls=Verb, example="sopwith status")
def command() -> None:
    """Show on one screen what needs a person."""
    with connected() as connection:
        reply = connection.call(connection.fleet.GetOverview, fleet_service_pb2.GetOverviewRequest())
    if state().output in ("json", "yaml"):
        emit_document(state().output, to_document(reply))
        return
    for banner in reply.banners:
        tell(f"!! {banner}")
    print_facts(
        [
            ("Organisation", f"{reply.organization} ({reply.profile})"),
            ("You", f"{reply.person} ({', '.join(reply.roles)})"),
            ("SOP", reply.sop or "none effective"),
            (
                "Computers",
                _numbers(
                    dict(reply.computers), ("total", "connected", "ready", "not_ready", "asleep", "offline", "pending")
                ),
            ),
            ("Rollouts", _numbers(dict(reply.rollouts), tuple(sorted(reply.rollouts)))),
            ("Incidents", _severities(dict(reply.incidents))),
        ]
    )
    print()
    if not reply.attention:
        print("Nothing needs a person.")
    for item in reply.attention:
        print(f"{'!' * (4 - min(max(item.severity, 1), 3)):3} {escape(item.message)}")
        if item.command:
            print(f"      {escape(item.command)}")


def _numbers(numbers: dict[str, int], order: tuple[str, ...]) -> str:
    parts = [f"{numbers[key]} {key.lower().replace('_', ' ')}" for key in order if numbers.get(key)]
    return ", ".join(parts) or "none"


def _severities(numbers: dict[str, int]) -> str:
    return (
        ", ".join(f"{count} of severity {severity}" for severity, count in sorted(numbers.items()) if count) or "none"
    )
