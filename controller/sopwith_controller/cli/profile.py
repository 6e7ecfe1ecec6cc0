"""`sopwith profile`: how strictly signatures are asked for; it becomes stricter in place, never looser."""

import click

from sopwith.v1 import fleet_service_pb2
from sopwith.v1 import sop_life_service_pb2 as pb
from sopwith_controller.cli.output import emit_document, tell, to_document
from sopwith_controller.cli.verbs import agree, connected, noun, reason_asked, reasoned, state, verb

group = noun("profile", "Show the profile, and make it stricter.")


@verb(group, "show", example="sopwith profile show")
def show() -> None:
    """Show the profile in force."""
    with connected() as connection:
        reply = connection.call(connection.fleet.GetOverview, fleet_service_pb2.GetOverviewRequest())
    if state().output in ("json", "yaml"):
        emit_document(state().output, {"profile": reply.profile, "organization": reply.organization})
    else:
        print(reply.profile)


@verb(group, "convert", example='sopwith profile convert standard --yes --reason "the trial was good"')
@click.argument("profile", type=click.Choice(("standard", "regulated")))
@click.option("--yes", is_flag=True, help="Answer the question with yes.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
def convert(profile: str, *, yes: bool, reason: str) -> None:
    """Make the profile stricter, in place: evaluation to standard to regulated."""
    agree(f"Convert to {profile}? There is no way back.", yes=yes)
    with connected() as connection:
        request = pb.ConvertProfileRequest(profile=profile, reason=reason_asked(reason))
        reply = reasoned(connection, connection.sop_life.ConvertProfile, request)
    if state().output in ("json", "yaml"):
        emit_document(state().output, to_document(reply))
        return
    print(reply.profile)
    for sop in reply.recalled:
        tell(f"{sop.id} revision {sop.revision} was never signed and is in review now")
        tell(f"next: sopwith sop sign {sop.id}, by {', '.join(sop.signatures_missing)}")
