"""`sopwith sop training`, `review` and `feedback`: the SOP as people live with it."""

import uuid
from collections.abc import Sequence
from typing import Any

import click

from sopwith.v1 import practice_service_pb2 as pb
from sopwith.v1 import sop_service_pb2 as sop_pb
from sopwith_controller.cli.output import Column, emit, emit_document, print_facts, tell, time_text, to_document
from sopwith_controller.cli.sop_reading import print_difference
from sopwith_controller.cli.verbs import connected, state, verb


def _result(review: pb.SopReview) -> str:
    if not review.outcome:
        return "open"
    return f"{review.outcome.lower().replace('_', ' ')}, {review.closed_by}: {review.note}"


_TRAINEES = [
    Column("PERSON", lambda one: one.person),
    Column("TRAINING", lambda one: one.state.lower().replace("_", " ")),
    Column("HOW", lambda one: one.how),
    Column("WHEN", lambda one: time_text(one, "time")),
    Column("DUE", lambda one: time_text(one, "due_time")),
    Column("KNOWS REVISION", lambda one: str(one.since_revision or "")),
    Column("LAST DRILL", lambda one: time_text(one, "drill_time")),
]
_REVIEWS = [
    Column("REVIEW", lambda one: one.id),
    Column("ASKED BY", lambda one: one.trigger.lower().replace("_", " ")),
    Column("DUE", lambda one: time_text(one, "due_time")[:10]),
    Column("ABOUT", lambda one: one.subject, flows=True),
    Column("RESULT", _result, flows=True),
]
_FEEDBACK = [
    Column("ID", lambda one: one.id),
    Column("CLAUSE", lambda one: one.clause),
    Column("FROM", lambda one: one.given_by or "Sopwith"),
    Column("TEXT", lambda one: one.text, flows=True),
    Column("IS", lambda one: one.disposition.lower()),
    Column("BECAUSE", lambda one: one.disposition_reason, flows=True),
    Column("GIVEN", lambda one: time_text(one, "time"), wide=True),
    Column("REVISION", lambda one: str(one.revision), wide=True),
]
_DISPOSITIONS = ("accepted", "rejected", "done")


def add_practice_verbs(group: click.Group) -> None:
    """Add the verbs to `sopwith sop`."""

    @verb(group, "training", example="sopwith sop training SU-SOP-001")
    @click.argument("sop")
    def training(sop: str) -> None:
        """Say who knows the effective revision, and until when the others have time."""
        with connected() as connection:
            reply = connection.call(connection.practice.GetTraining, pb.GetTrainingRequest(sop_id=sop))
        if state().output == "table":
            tell(f"{sop} revision {reply.revision}")
        emit(state().output, list(reply.trainees), _TRAINEES, name=lambda one: one.person, empty="Nobody has a role.")

    @verb(group, "review", example='sopwith sop review SU-SOP-001 --no-change --note "fits the new laptops"')
    @click.argument("sop")
    @click.option("--no-change", is_flag=True, help="Record that it was reviewed and stays as it is.")
    @click.option("--revise", is_flag=True, help="Record that it was reviewed and is to be revised.")
    @click.option("--note", default="", metavar="TEXT", help="What was found; it is recorded.")
    def review(sop: str, no_change: bool, revise: bool, note: str) -> None:
        """Show what asks for a review of the SOP, or record one."""
        if no_change and revise:
            raise click.UsageError("--no-change and --revise exclude each other")
        with connected() as connection:
            if no_change or revise:
                outcome = "NO_CHANGE" if no_change else "REVISE"
                request = pb.CloseSopReviewRequest(sop_id=sop, outcome=outcome, note=note, request_id=str(uuid.uuid4()))
                connection.call(connection.practice.CloseSopReview, request)
            reply = connection.call(connection.practice.GetSopReviews, pb.GetSopReviewsRequest(sop_id=sop))
        _show_reviews(sop, reply)
        if revise:
            tell(f"next: sopwith sop new --from {sop} --out FILE")

    @verb(
        group, "feedback", example='sopwith sop feedback SU-SOP-001 --clause V.C "the soak is too short for our nights"'
    )
    @click.argument("sop", metavar="ID")
    @click.argument("text", required=False, default="")
    @click.option("--clause", default="", metavar="CLAUSE", help="What it is about, for example V.C.")
    @click.option("--rollout", default="", metavar="ROLLOUT", help="The rollout that made you think of it.")
    @click.option("--dispose", type=click.Choice(_DISPOSITIONS), help="Say what becomes of the feedback with this ID.")
    @click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
    def feedback(sop: str, text: str, clause: str, rollout: str, dispose: str | None, reason: str) -> None:
        """Say something about a clause, list what was said, or dispose of it."""
        with connected() as connection:
            found = _feedback(connection, sop, text, clause, rollout, dispose, reason)
        emit(state().output, found, _FEEDBACK, name=lambda one: one.id, empty="No feedback yet.")


def show_what_changed(connection: Any, found: Any) -> None:
    """Print what somebody who acknowledges a revision has to know: the difference to the newest one that they knew."""
    from sopwith_formats.sop_difference import compare
    from sopwith_formats.sop_document import read_sop_document

    reply = connection.call(connection.practice.GetTraining, pb.GetTrainingRequest(sop_id=found.sop.id))
    known = next((one.since_revision for one in reply.trainees if one.person == connection.context.person), 0)
    if known >= found.sop.revision:
        tell("you know it already")
        return
    request = sop_pb.GetSopRequest(id=found.sop.id, revision=known)
    before = connection.call(connection.sops.GetSop, request) if known else None
    if before is None or not before.document:
        tell(f"all of it is new to you: sopwith sop render {found.sop.id} --format txt --out sop.txt")
        return
    documents = [read_sop_document(one.document, f"revision {one.sop.revision}") for one in (before, found)]
    difference = compare(documents[0], documents[1]).for_audience("operator")
    if state().output == "table":
        print_difference(difference)
    if not (difference.values or difference.sections):
        tell(f"nothing differs from revision {known} that concerns an operator")


def _feedback(connection: Any, sop: str, text: str, clause: str, rollout: str, dispose: str | None, reason: str) -> Any:
    """Do what was asked for: give, dispose of, or list."""
    request_id = str(uuid.uuid4())
    if dispose is not None:
        request = pb.DisposeSopFeedbackRequest(id=sop, disposition=dispose, reason=reason, request_id=request_id)
        return connection.call(connection.practice.DisposeSopFeedback, request).feedback
    if text or clause:
        given = pb.GiveSopFeedbackRequest(sop_id=sop, clause=clause, text=text, rollout=rollout, request_id=request_id)
        return connection.call(connection.practice.GiveSopFeedback, given).feedback
    reply = connection.call(connection.practice.ListSopFeedback, pb.ListSopFeedbackRequest(sop_id=sop))
    return list(reply.feedback)


def _show_reviews(sop: str, reply: pb.GetSopReviewsResponse) -> None:
    if state().output in ("json", "yaml"):
        emit_document(state().output, to_document(reply))
        return
    if state().output != "name":
        print_facts(
            [
                ("SOP", f"{sop} revision {reply.revision}"),
                ("Last reviewed", time_text(reply, "last_reviewed_time") or "not since it took effect"),
                ("Next review", time_text(reply, "next_due_time")),
            ]
        )
    rows: Sequence[pb.SopReview] = list(reply.reviews)
    if rows:
        emit(state().output, rows, _REVIEWS, name=lambda one: one.id)
