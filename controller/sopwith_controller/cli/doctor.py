"""`sopwith doctor`: checks the controller's set-up and prints the mend of each fault."""

import click

from sopwith.v1 import fleet_service_pb2
from sopwith_controller.cli.output import emit_document, escape, print_table, to_document
from sopwith_controller.cli.verbs import Verb, connected, state


@click.command("doctor", cls=Verb, example="sopwith doctor")
def command() -> None:
    """Check the controller's set-up; exit 1 when a fault was found."""
    with connected() as connection:
        reply = connection.call(connection.fleet.RunDoctor, fleet_service_pb2.RunDoctorRequest())
    if state().output in ("json", "yaml"):
        emit_document(state().output, to_document(reply))
    else:
        print_table(
            ["CHECK", "LEVEL", "FOUND", "MEND"], [[f.check, f.level, f.message, f.remedy] for f in reply.findings]
        )
        if reply.join:
            print(f"\nJoin string without a token (the computer waits for a person): {escape(reply.join)}")
    if any(finding.level == "fault" for finding in reply.findings):
        raise click.exceptions.Exit(1)
