"""`sopwith rollout`: plan, start, watch and stop rollouts."""

from pathlib import Path
from typing import Any

import click

from sopwith.v1 import rollout_service_pb2 as pb
from sopwith_controller.cli.assignments_view import show_assignments
from sopwith_controller.cli.explain_view import print_explanations
from sopwith_controller.cli.output import emit, emit_document, tell, to_document
from sopwith_controller.cli.plan_view import print_plan
from sopwith_controller.cli.report_view import print_report
from sopwith_controller.cli.rollout_views import COLUMNS, TRACE_COLUMNS, print_rollout, print_rollouts
from sopwith_controller.cli.rollout_watch import show_status
from sopwith_controller.cli.verbs import agree, connected, duration, noun, reasoned, state, verb

group = noun("rollout", "Plan, start, watch and stop rollouts.")

START_TIMEOUT_SECONDS = 20.0
file_option = click.option(
    "-f", "--file", "file", required=True, type=click.Path(path_type=Path), help="Rollout file (YAML)."
)
all_option = click.option("--all", "everything", is_flag=True, help="Every computer in a line of its own.")
yes_option = click.option("--yes", is_flag=True, help="Answer the question with yes.")
reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")


@verb(group, "plan", example="sopwith rollout plan -f rollout.yaml")
@file_option
@all_option
def plan(file: Path, everything: bool = False) -> None:
    """Compute a plan and change nothing."""
    with connected() as connection:
        request = pb.PlanRolloutRequest(rollout_json=read_rollout_file(file))
        reply = connection.call(connection.rollouts.PlanRollout, request)
    if state().output == "name":
        print(reply.plan.plan_sha256)
    elif state().output in ("json", "yaml"):
        emit_document(state().output, to_document(reply.plan))
    else:
        print_plan(reply.plan, everything=everything or state().output == "wide")


@verb(group, "create", example="sopwith rollout create -f rollout.yaml")
@file_option
@click.option("--request-id", default="", help="Repeat a request safely: the same id gives the same rollout.")
@click.option("--dry-run", is_flag=True, help="Only show the plan.")
def create(file: Path, request_id: str, dry_run: bool) -> None:
    """Store a draft with its provisional plan."""
    if dry_run:
        click.get_current_context().invoke(plan, file=file)
        return
    with connected() as connection:
        request = pb.CreateRolloutRequest(rollout_json=read_rollout_file(file), request_id=request_id)
        reply = connection.call(connection.rollouts.CreateRollout, request)
    if state().output != "table":
        _emit(reply.rollout)
        return
    print_rollout(reply.rollout)
    print()
    print_plan(reply.plan)
    tell(f"next: sopwith rollout submit {reply.rollout.id}")


@verb(group, "submit", example="sopwith rollout submit r-7k2m9qx4")
@click.argument("rollout")
def submit(rollout: str) -> None:
    """Freeze the plan and ask for what its change class needs."""
    with connected() as connection:
        reply = connection.call(connection.rollouts.SubmitRollout, pb.SubmitRolloutRequest(id=rollout))
    if state().output == "table":
        print_plan(reply.plan)
        print()
    _emit(reply.rollout)


@verb(group, "approve", example="sopwith rollout approve r-7k2m9qx4")
@click.argument("rollout")
@click.option("--plan-digest", default="", metavar="SHA256", help="Approve only if the plan still has this digest.")
@yes_option
def approve(rollout: str, plan_digest: str, yes: bool) -> None:
    """Sign the plan's digest as approved."""
    from sopwith_controller.desk.plan_approval import sign_plan

    with connected() as connection:
        found = connection.call(connection.rollouts.GetRollout, pb.GetRolloutRequest(id=rollout))
        digest = plan_digest or found.plan.plan_sha256
        if state().output == "table":
            print_plan(found.plan)
        agree(f"Approve the plan {digest[:12]} of {found.rollout.name}?", yes=yes)
        request = pb.ApproveRolloutRequest(
            id=found.rollout.id,
            plan_sha256=digest,
            envelope_json=sign_plan(connection.context, found.rollout.id, digest),
        )
        reply = connection.call(connection.rollouts.ApproveRollout, request)
    _emit(reply.rollout)


@verb(group, "reject", example='sopwith rollout reject r-7k2m9qx4 --reason "wrong week"')
@click.argument("rollout")
@reason_option
def reject(rollout: str, reason: str) -> None:
    """Send a rollout in review back to its draft."""
    with connected() as connection:
        request = pb.RejectRolloutRequest(id=rollout, reason=reason)
        reply = reasoned(connection, connection.rollouts.RejectRollout, request)
    _emit(reply.rollout)


@verb(group, "start", example='sopwith rollout start r-7k2m9qx4 --yes --reason "monthly update"')
@click.argument("rollout")
@yes_option
@reason_option
@click.option("--request-id", default="", help="Repeat a request safely.")
def start(rollout: str, yes: bool, reason: str, request_id: str) -> None:
    """Let an approved rollout run."""
    with connected() as connection:
        found = connection.call(connection.rollouts.GetRollout, pb.GetRolloutRequest(id=rollout))
        agree(f"Start {found.rollout.name} on {found.plan.forecast.computers} computers?", yes=yes)
        request = pb.StartRolloutRequest(id=found.rollout.id, reason=reason, request_id=request_id)
        reply = reasoned(connection, connection.rollouts.StartRollout, request, timeout_seconds=START_TIMEOUT_SECONDS)
    _emit(reply.rollout)
    for warning in reply.warnings:
        tell(f"note: {warning}")
    if state().output == "table":
        tell(f"next: sopwith rollout status {reply.rollout.id}")


@verb(group, "pause", example='sopwith rollout pause r-7k2m9qx4 --reason "complaints from Berlin"')
@click.argument("rollout")
@yes_option
@reason_option
def pause(rollout: str, yes: bool, reason: str) -> None:
    """Stop new starts; what runs goes on to its end."""
    agree("Pause the rollout?", yes=yes)
    with connected() as connection:
        request = pb.PauseRolloutRequest(id=rollout, reason=reason)
        reply = reasoned(connection, connection.rollouts.PauseRollout, request)
    _emit(reply.rollout)


@verb(group, "resume", example='sopwith rollout resume r-7k2m9qx4 --yes --reason "cause found and mended"')
@click.argument("rollout")
@yes_option
@reason_option
def resume(rollout: str, yes: bool, reason: str) -> None:
    """Go on after a pause or a suspension; what was counted is accepted."""
    agree("Go on? What failed so far is accepted, and all counters begin anew.", yes=yes)
    with connected() as connection:
        request = pb.ResumeRolloutRequest(id=rollout, reason=reason)
        reply = reasoned(connection, connection.rollouts.ResumeRollout, request)
    _emit(reply.rollout)


@verb(group, "abort", example='sopwith rollout abort r-7k2m9qx4 --yes --reason "release withdrawn"')
@click.argument("rollout")
@yes_option
@reason_option
def abort(rollout: str, yes: bool, reason: str) -> None:
    """End a rollout; installs past their point of no return finish."""
    agree("Abort the rollout? It cannot be taken up again.", yes=yes)
    with connected() as connection:
        request = pb.AbortRolloutRequest(id=rollout, reason=reason)
        reply = reasoned(connection, connection.rollouts.AbortRollout, request)
    _emit(reply.rollout)


@verb(group, "retry", example='sopwith rollout retry r-7k2m9qx4 --computer pc1 --reason "disk cleaned"')
@click.argument("rollout")
@click.option("--computer", "computers", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@yes_option
@reason_option
@click.option("--request-id", default="", help="Repeat a request safely.")
def retry(rollout: str, computers: tuple[str, ...], yes: bool, reason: str, request_id: str) -> None:
    """Begin anew on computers on which it failed, was skipped or did not start."""
    agree(f"Try again on {', '.join(computers) or 'every computer on which it did not succeed'}?", yes=yes)
    with connected() as connection:
        request = pb.RetryRolloutRequest(id=rollout, computers=computers, reason=reason, request_id=request_id)
        reply = reasoned(connection, connection.rollouts.RetryRollout, request)
    for exclusion in reply.exclusions:
        tell(f"left out: {exclusion.computer} {exclusion.reason}")
    _emit(reply.rollout)
    if state().output == "table":
        tell(f"tried again on {', '.join(reply.computers)}; next: sopwith rollout status {reply.rollout.id}")


@verb(group, "review", example='sopwith rollout review r-7k2m9qx4 --note "the leak is closed, nothing else changed"')
@click.argument("rollout")
@click.option("--note", "--reason", "note", default="", metavar="TEXT", help="What was found; it is recorded.")
def review(rollout: str, note: str) -> None:
    """Record the review of an emergency rollout; never by who asked for it."""
    with connected() as connection:
        reply = connection.call(connection.rollouts.ReviewRollout, pb.ReviewRolloutRequest(id=rollout, note=note))
    _emit(reply.rollout)


@verb(group, "list", example="sopwith rollout list -o wide")
def list_() -> None:
    """List rollouts, newest first."""
    with connected() as connection:
        reply = connection.call(connection.rollouts.ListRollouts, pb.ListRolloutsRequest())
    if state().output == "table" and reply.rollouts:
        print_rollouts(reply.rollouts)
    else:
        emit(state().output, reply.rollouts, COLUMNS, name=lambda r: r.id, empty="No rollout yet.")


@verb(group, "show", example="sopwith rollout show r-7k2m9qx4 -o json")
@click.argument("rollout")
@click.option("--computers", is_flag=True, help="Show each computer's share, or groups where there are many.")
@all_option
def show(rollout: str, computers: bool, everything: bool) -> None:
    """Show a rollout, its waves and counts."""
    with connected() as connection:
        if computers or everything:
            reply = connection.call(connection.rollouts.ListAssignments, pb.ListAssignmentsRequest(id=rollout))
            show_assignments(state().output, reply.assignments, everything=everything)
            return
        found = connection.call(connection.rollouts.GetRollout, pb.GetRolloutRequest(id=rollout))
    _emit(found.rollout)


@verb(group, "report", example="sopwith rollout report r-7k2m9qx4")
@click.argument("rollout")
@all_option
def report(rollout: str, everything: bool) -> None:
    """Say how a rollout went: outcomes, planned and actual times, failures, durations, retries."""
    with connected() as connection:
        request = pb.GetRolloutReportRequest(id=rollout)
        reply = connection.call(connection.rollouts.GetRolloutReport, request)
    if state().output in ("json", "yaml"):
        emit_document(state().output, to_document(reply.report))
    elif state().output == "name":
        print(reply.report.rollout.id)
    else:
        print_report(reply.report, everything=everything or state().output == "wide")


@verb(group, "trace", example="sopwith rollout trace r-7k2m9qx4")
@click.argument("rollout")
def trace(rollout: str) -> None:
    """Say of each clause of the SOP how the rollout kept to it, and what shows it."""
    from sopwith.v1 import report_service_pb2

    with connected() as connection:
        request = report_service_pb2.TraceRolloutRequest(id=rollout)
        reply = connection.call(connection.reports.TraceRollout, request)
    emit(state().output, list(reply.lines), TRACE_COLUMNS, name=lambda line: line.clause)


@verb(group, "status", example="sopwith rollout status r-7k2m9qx4 --wait --timeout 30m")
@click.argument("rollout")
@click.option("--wait", is_flag=True, help="Return when the rollout has ended or needs a person.")
@click.option("--watch", is_flag=True, help="Print every change; with -o json one line each.")
@click.option("--timeout", default="24h", metavar="DURATION", help="How long to wait.", show_default=True)
def status(rollout: str, wait: bool, watch: bool, timeout: str) -> None:
    """Show where a rollout stands; exit 0 all well, 5 failures or a person needed, 3 timed out."""
    seconds = duration(timeout, "--timeout")
    with connected() as connection:
        show_status(connection, rollout, state().output, wait=wait, watch=watch, timeout=seconds)


@verb(group, "explain", example="sopwith rollout explain r-7k2m9qx4 --computer pc1")
@click.argument("rollout")
@click.option("--computer", default="", metavar="NAME", help="Only this computer.")
@all_option
def explain(rollout: str, computer: str, everything: bool) -> None:
    """Say what each waiting computer waits for."""
    with connected() as connection:
        request = pb.ExplainRolloutRequest(id=rollout, computer=computer)
        reply = connection.call(connection.rollouts.ExplainRollout, request)
    if state().output in ("json", "yaml"):
        emit_document(state().output, to_document(reply))
    elif state().output == "name":
        for item in reply.explanations:
            print(item.computer)
    else:
        print_explanations(reply, everything=everything or state().output == "wide")


def read_rollout_file(path: Path) -> str:
    """Return the canonical JSON of a rollout file; every fault is named with line and mend."""
    from sopwith_formats.rollout_document import read_rollout_document

    return read_rollout_document(path.read_bytes(), str(path)).to_json().decode()


def _emit(rollout: Any) -> None:
    if state().output in ("table", "wide"):
        print_rollout(rollout)
    else:
        emit(state().output, rollout, COLUMNS, name=lambda r: r.id)
