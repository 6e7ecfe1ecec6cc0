"""The verbs of `sopwith sop` for reviewers, and the one that ends a SOP: comment, comments, resolve, retire."""

from typing import Any

import click

from sopwith.v1 import sop_life_service_pb2 as pb
from sopwith_controller.cli.output import Column, emit, tell, time_text
from sopwith_controller.cli.verbs import agree, connected, reason_asked, reasoned, state, verb

QUESTIONS = ("accuracy", "clarity", "completeness")
_COLUMNS = (
    Column("ID", lambda one: one.id),
    Column("REVISION", lambda one: str(one.revision)),
    Column("ON", lambda one: one.question),
    Column("CLAUSE", lambda one: one.clause),
    Column("BLOCKS", lambda one: "yes" if one.blocking and not one.resolution else ""),
    Column("BY", lambda one: one.author),
    Column("SAID", lambda one: time_text(one, "created_time")),
    Column("COMMENT", lambda one: one.text),
    Column("RESOLVED", lambda one: f"{one.resolution} ({one.resolved_by})" if one.resolution else ""),
)


def add_reviewing_verbs(group: click.Group) -> None:
    """Put the verbs into the noun's group."""
    verb(group, "comment", example='sopwith sop comment SU-SOP-001 --on clarity --clause V.C "Say which window."')(
        comment
    )
    verb(group, "comments", example="sopwith sop comments SU-SOP-001")(comments)
    verb(group, "resolve", example='sopwith sop resolve sc-7k2m9qx4 "The window is named now."')(resolve)
    verb(group, "retire", example='sopwith sop retire SU-SOP-002 --yes --reason "the laptops follow SU-SOP-001"')(
        retire
    )


@click.argument("sop")
@click.argument("text")
@click.option("--revision", type=int, default=0, help="Revision; default: the newest.")
@click.option("--on", "question", type=click.Choice(QUESTIONS), required=True, help="What the comment is about.")
@click.option("--clause", default="", metavar="CLAUSE", help="The clause, for example V.C; default: all.")
@click.option("--blocking", is_flag=True, help="Nobody's signature is taken until the comment is resolved.")
def comment(sop: str, text: str, revision: int, question: str, clause: str, *, blocking: bool) -> None:
    """Say what is wrong, unclear or missing in a revision that is a draft or in review."""
    request = pb.CommentSopRequest(
        id=sop, revision=revision, question=question, clause=clause, text=text, blocking=blocking
    )
    with connected() as connection:
        reply = connection.call(connection.sop_life.CommentSop, request)
    _emit(reply.comment)


@click.argument("sop")
@click.option("--revision", type=int, default=0, help="Revision; default: the newest.")
def comments(sop: str, revision: int) -> None:
    """List what reviewers said about a revision, and what became of it."""
    with connected() as connection:
        request = pb.ListSopCommentsRequest(id=sop, revision=revision)
        reply = connection.call(connection.sop_life.ListSopComments, request)
    emit(state().output, reply.comments, _COLUMNS, name=lambda one: one.id, empty="No comment.")


@click.argument("comment")
@click.argument("resolution", metavar="TEXT")
def resolve(comment: str, resolution: str) -> None:
    """Close a comment with what was done about it."""
    with connected() as connection:
        request = pb.ResolveSopCommentRequest(id=comment, resolution=resolution)
        reply = connection.call(connection.sop_life.ResolveSopComment, request)
    _emit(reply.comment)


@click.argument("sop")
@click.option("--yes", is_flag=True, help="Answer the question with yes.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
def retire(sop: str, *, yes: bool, reason: str) -> None:
    """End a SOP without a successor; no new rollout follows it, running ones keep it."""
    agree(f"Retire {sop}? No new rollout can follow it then.", yes=yes)
    with connected() as connection:
        request = pb.RetireSopRequest(id=sop, reason=reason_asked(reason))
        reply = reasoned(connection, connection.sop_life.RetireSop, request)
    if state().output == "table":
        tell(f"{reply.sop.id} revision {reply.sop.revision} is retired")
    else:
        emit(state().output, reply.sop, (), name=lambda one: one.id)


def _emit(one: Any) -> None:
    emit(state().output, one, _COLUMNS, name=lambda row: row.id)
