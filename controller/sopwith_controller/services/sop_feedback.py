"""Feedback on the SOP by clause: taken from people and computers, disposed of, and proposed from recurring deviations.

This module loads, lets `domain.feedback` decide, records and commits. `take_in` is for the report of a computer, in the
transaction that records the report.
"""

from collections.abc import Sequence

from sopwith_controller.domain import feedback as rules
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import NotFoundError
from sopwith_controller.domain.feedback import Said
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.practice_entities import Feedback, FeedbackOrigin
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import Clock, Database, Ids, UnitOfWork
from sopwith_controller.services.requests import done_before, remember


class SopFeedback:
    """Use cases of feedback."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def all(self, sop_id: str) -> Sequence[Feedback]:
        """Return a SOP's feedback, open first, then the newest first."""
        async with self._database.read() as unit:
            found = [one for one in await unit.practice.feedback.all() if one.sop_id == sop_id]
        return sorted(sorted(found, key=lambda one: one.time, reverse=True), key=lambda one: one.disposition != "OPEN")

    async def give(self, caller: Caller, sop_id: str, clause: str, text: str, rollout: str = "") -> Feedback:
        """Take what a person says about a clause."""
        async with self._database.write() as unit:
            known = await done_before(unit, caller, LogKind.SOP_FEEDBACK_GIVEN)
            found = await unit.practice.feedback.get(known) if known else None
            if found is not None:
                return found
            what = Said(clause, text, FeedbackOrigin.PERSON, caller.name, rollout)
            feedback = await self.take_in(unit, sop_id, what)
            await remember(unit, caller, LogKind.SOP_FEEDBACK_GIVEN, feedback.id, self._clock.now())
            await unit.commit()
        return feedback

    async def take_in(self, unit: UnitOfWork, sop_id: str, what: Said) -> Feedback:
        """Keep a feedback in this transaction, about the effective revision, else the newest one."""
        revision = await unit.sops.effective(sop_id) or await unit.sops.newest(sop_id)
        if revision is None:
            raise NotFoundError(f"there is no SOP {sop_id}", remedy="sopwith sop list")
        feedback = rules.give(self._ids.new("f"), sop_id, revision.revision, what, self._clock.now())
        await unit.practice.feedback.put_all([feedback])
        by = feedback.given_by or "the controller"
        await _log(unit, LogKind.SOP_FEEDBACK_GIVEN, feedback, f"{by} on clause {feedback.clause}: {feedback.text}")
        return feedback

    async def dispose(self, caller: Caller, feedback_id: str, disposition: str, reason: str) -> Feedback:
        """Say what becomes of a feedback."""
        async with self._database.write() as unit:
            before = await unit.practice.feedback.get(feedback_id)
            if before is None:
                raise NotFoundError(f"there is no feedback {feedback_id}", remedy="sopwith sop feedback ID --list")
            if await done_before(unit, caller, LogKind.SOP_FEEDBACK_DISPOSED, before.id):
                return before
            after = rules.dispose(before, disposition, person=caller.name, reason=reason, now=self._clock.now())
            await unit.practice.feedback.put_all([after])
            words = f"{caller.name}: {after.disposition.lower()}, {after.disposition_reason}"
            await _log(unit, LogKind.SOP_FEEDBACK_DISPOSED, after, words, caller.name)
            await remember(unit, caller, LogKind.SOP_FEEDBACK_DISPOSED, after.id, self._clock.now())
            await unit.commit()
        return after


async def _log(unit: UnitOfWork, kind: LogKind, feedback: Feedback, message: str, operator: str = "") -> None:
    person = feedback.given_by if feedback.origin is FeedbackOrigin.PERSON else ""
    await unit.update_log.append(
        LogDraft(
            kind,
            message,
            computer=feedback.given_by if feedback.origin is FeedbackOrigin.COMPUTER else "",
            operator=operator or person,
            rollout=feedback.rollout,
            sop_id=feedback.sop_id,
            sop_revision=feedback.revision,
            details={"feedback": feedback.id, "clause": feedback.clause, "disposition": feedback.disposition.value},
        )
    )
