"""Reviewers' comments on a revision of a SOP: three questions, and what stands in the way of its approval.

Decides who may say what when, and who may close a comment; storing and telling come after. Rules:

- a comment asks for accuracy, clarity or completeness, may name a clause, and is made while the revision is a draft or
  in review: what comes later is feedback for the next one;
- a blocking comment that is open prevents approval: nobody's signature is taken until it is resolved;
- a comment is resolved with words, once, by its author or by the owner or IT manager; an edit of the document resolves
  none.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sopwith_controller.domain.entities import SopRevision, SopState
from sopwith_controller.domain.errors import InvalidInputError, Refusal, RefusedError, TransitionNotAllowedError
from sopwith_controller.domain.sop_life_entities import SopComment
from sopwith_formats.sop_words import CLAUSES

QUESTIONS = ("accuracy", "clarity", "completeness")
"""What a reviewer is asked: is it right, is it understood, is anything missing."""
TEXT_LENGTH_MAX = 4000
_RESOLVERS = frozenset({"owner", "it_manager"})


def check_comment(revision: SopRevision, question: str, clause: str, text: str) -> None:
    """Raise an error unless this may be said about the revision now."""
    if revision.state not in {SopState.DRAFT, SopState.IN_REVIEW}:
        raise TransitionNotAllowedError(
            f"{revision.id} revision {revision.revision} is {revision.state}; only a draft or a revision in review is "
            "commented",
            remedy=f"comment its next revision: sopwith sop submit FILE, then sopwith sop comment {revision.id}",
        )
    if question not in QUESTIONS:
        raise InvalidInputError(f"{question!r} is no question of a review", remedy=f"use {', '.join(QUESTIONS)}")
    if clause and clause not in CLAUSES:
        raise InvalidInputError(f"{clause!r} is no clause", remedy=f"use one of {', '.join(CLAUSES)}")
    _check_text(text, "a comment")


def resolve(comment: SopComment, *, person: str, roles: frozenset[str], resolution: str, now: datetime) -> SopComment:
    """Return the comment closed with these words; raise unless this person may close it."""
    if comment.resolved_time is not None:
        raise TransitionNotAllowedError(
            f"comment {comment.id} was resolved by {comment.resolved_by}: {comment.resolution}",
            remedy=f"sopwith sop comments {comment.sop_id}",
        )
    if person != comment.author and roles.isdisjoint(_RESOLVERS):
        reason = f"{person} may not resolve {comment.author}'s comment; its author, the owner and the IT manager may"
        raise RefusedError(Refusal("operator_role", "III", reason, f"ask {comment.author}"))
    _check_text(resolution, "a resolution")
    return replace(comment, resolution=resolution.strip(), resolved_by=person, resolved_time=now)


def blocking(comments: Iterable[SopComment]) -> tuple[SopComment, ...]:
    """Return the open comments that prevent approval."""
    return tuple(one for one in comments if one.blocking and one.resolved_time is None)


def check_unblocked(revision: SopRevision, comments: Iterable[SopComment]) -> None:
    """Raise RefusedError while an open blocking comment prevents the revision's approval (clause VII)."""
    open_ones = blocking(comments)
    if open_ones:
        first = open_ones[0]
        more = f", and {len(open_ones) - 1} more" if len(open_ones) > 1 else ""
        reason = (
            f"{first.author}'s comment {first.id} on {first.question} is open and blocks the approval of {revision.id} "
            f"revision {revision.revision}{more}"
        )
        raise RefusedError(Refusal("sop_effective", "VII", reason, f'sopwith sop resolve {first.id} "what was done"'))


def _check_text(text: str, what: str) -> None:
    if not text.strip():
        raise InvalidInputError(f"{what} needs words, because it is recorded", remedy="say it in a sentence")
    if len(text) > TEXT_LENGTH_MAX:
        raise InvalidInputError(f"{what} has at most {TEXT_LENGTH_MAX} characters", remedy="shorten it")
