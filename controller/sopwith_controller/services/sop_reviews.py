"""What reviewers say about a revision of a SOP, and what becomes of it.

Decides the order of loading, deciding, recording; the rules are `domain.sop_comment`'s. Every comment and every
resolution is an entry of the update log in the same transaction. A resolved comment that was the last obstacle lets the
revision go on at once.
"""

from collections.abc import Sequence

from sopwith_controller.domain import sop_comment as rules
from sopwith_controller.domain.entities import LogDraft, SopRevision
from sopwith_controller.domain.errors import NotFoundError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.sop_life_entities import SopComment
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import Clock, Database, Ids, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.sops import Sops


class SopReviews:
    """Use cases of comments."""

    def __init__(self, database: Database, clock: Clock, ids: Ids, sops: Sops) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._sops = sops

    async def comment(
        self,
        caller: Caller,
        sop_id: str,
        number: int,
        *,
        question: str,
        text: str,
        clause: str = "",
        blocking: bool = False,
    ) -> SopComment:
        """Say something about a revision; 0 means the newest."""
        async with self._database.write() as unit:
            known = await done_before(unit, caller, LogKind.SOP_COMMENTED)
            if known is not None:
                return await _found(unit, known)
            revision = await _revision(unit, sop_id, number)
            rules.check_comment(revision, question, clause, text)
            made = SopComment(
                id=self._ids.new("sc"),
                sop_id=revision.id,
                revision=revision.revision,
                document_sha256=revision.document_sha256,
                question=question,
                clause=clause,
                text=text.strip(),
                blocking=blocking,
                author=caller.name,
                created_time=self._clock.now(),
            )
            await unit.sop_comments.put(made)
            kind = "a blocking comment" if blocking else "a comment"
            where = f", clause {clause}" if clause else ""
            what = f"{caller.name} made {kind} on {question}{where}: {made.text}"
            await _log(unit, LogKind.SOP_COMMENTED, made, caller.name, what)
            await remember(unit, caller, LogKind.SOP_COMMENTED, made.id, self._clock.now())
            await unit.commit()
        return made

    async def resolve(self, caller: Caller, comment_id: str, resolution: str) -> SopComment:
        """Close a comment with what was done about it."""
        async with self._database.write() as unit:
            before = await _found(unit, comment_id)
            if await done_before(unit, caller, LogKind.SOP_COMMENT_RESOLVED, before.id):
                return before
            after = rules.resolve(
                before, person=caller.name, roles=caller.roles, resolution=resolution, now=self._clock.now()
            )
            await unit.sop_comments.put(after)
            what = f"{caller.name} resolved {after.author}'s comment {after.id}: {after.resolution}"
            await _log(unit, LogKind.SOP_COMMENT_RESOLVED, after, caller.name, what)
            await remember(unit, caller, LogKind.SOP_COMMENT_RESOLVED, after.id, self._clock.now())
            await unit.commit()
        await self._sops.look_again(after.sop_id, after.revision)
        return after

    async def comments(self, sop_id: str, number: int) -> Sequence[SopComment]:
        """Return a revision's comments, oldest first; 0 means the newest revision."""
        async with self._database.read() as unit:
            revision = await _revision(unit, sop_id, number)
            return await unit.sop_comments.of_revision(revision.id, revision.revision)


async def _revision(unit: UnitOfWork, sop_id: str, number: int) -> SopRevision:
    revision = await (unit.sops.get(sop_id, number) if number else unit.sops.newest(sop_id))
    if revision is None:
        what = f"{sop_id} revision {number}" if number else sop_id
        raise NotFoundError(f"there is no SOP {what}", remedy="sopwith sop list")
    return revision


async def _found(unit: UnitOfWork, comment_id: str) -> SopComment:
    comment = await unit.sop_comments.get(comment_id)
    if comment is None:
        raise NotFoundError(f"there is no comment {comment_id}", remedy="sopwith sop comments ID")
    return comment


async def _log(unit: UnitOfWork, kind: LogKind, comment: SopComment, operator: str, message: str) -> None:
    await unit.update_log.append(
        LogDraft(
            kind=kind,
            message=f"{comment.sop_id} revision {comment.revision}: {message}",
            operator=operator,
            sop_id=comment.sop_id,
            sop_revision=comment.revision,
            details={
                "comment": comment.id,
                "document_sha256": comment.document_sha256,
                "question": comment.question,
                "clause": comment.clause,
                "blocking": comment.blocking,
            },
        )
    )
