"""Reviews of the SOP: the clock and the triggers that ask for one, people who close it, and what follows when late.

This module looks at the fleet again and again, lets `domain.sop_review` decide, records and commits. Rules: what a
trigger saw is marked, so that it asks once; one open review per trigger gathers what else comes; an overdue review is
an incident that climbs, and ends with the review.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sopwith_controller.domain import feedback as feedback_rules
from sopwith_controller.domain import sop_review as rules
from sopwith_controller.domain.entities import LogDraft, SopRevision
from sopwith_controller.domain.errors import NotFoundError, TransitionNotAllowedError
from sopwith_controller.domain.incident import find_open
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.practice_entities import ReviewMark, ReviewTrigger, SopReview
from sopwith_controller.services.access import Caller
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Clock, Database, Ids, SourceStore, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.sop_feedback import SopFeedback
from sopwith_formats.sop_policy import SopPolicy, read_sop_policy
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import Symptom

MissedObjectives = Callable[[], Awaitable[Sequence[str]]]
"""Names the KPIs whose objectives are missed now."""


@dataclass(frozen=True)
class ReviewView:
    """How a SOP stands with its reviews."""

    revision: SopRevision
    last_reviewed_time: datetime | None
    next_due_time: datetime | None
    """By the clock; None before it takes effect."""
    reviews: tuple[SopReview, ...]
    """Open ones first, then the newest."""


class ReviewClock:
    """Use cases of the SOP's reviews."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ids: Ids,
        *,
        incidents: Incidents,
        feedback: SopFeedback,
        source: SourceStore,
        missed: MissedObjectives,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._incidents = incidents
        self._feedback = feedback
        self._source = source
        self._missed = missed

    async def get(self, sop_id: str) -> ReviewView:
        """Return how a SOP stands with its reviews."""
        async with self._database.read() as unit:
            revision = await unit.sops.effective(sop_id) or await unit.sops.newest(sop_id)
            if revision is None:
                raise NotFoundError(f"there is no SOP {sop_id}", remedy="sopwith sop list")
            own = [one for one in await unit.practice.reviews.all() if one.sop_id == sop_id]
            policy = read_sop_policy(revision.policy_json)
            closed = sorted((one for one in own if one.closed_time), key=lambda one: str(one.closed_time), reverse=True)
            last = closed[0].closed_time if closed else None
            due = rules.clock_due(revision, policy, own)
            return ReviewView(revision, last, due, (*rules.open_reviews(own, sop_id), *closed))

    async def close(self, caller: Caller, sop_id: str, outcome: str, note: str) -> ReviewView:
        """Close every open review of a SOP; without an open one it is reviewed ahead of its time."""
        now = self._clock.now()
        async with self._database.write() as unit:
            effective = await unit.sops.effective(sop_id)
            if effective is None:
                raise TransitionNotAllowedError(
                    f"no revision of {sop_id} is effective, and only that is reviewed", remedy="sopwith sop list"
                )
            if await done_before(unit, caller, LogKind.SOP_REVIEWED, sop_id):
                return await self.get(sop_id)
            waiting = rules.open_reviews(await unit.practice.reviews.all(), sop_id)
            if not waiting:
                waiting = (
                    SopReview(self._ids.new("v"), sop_id, effective.revision, ReviewTrigger.CLOCK, "", now, now),
                )
            closed = [rules.close(one, person=caller.name, outcome=outcome, note=note, now=now) for one in waiting]
            await unit.practice.reviews.put_all(closed)
            policy = read_sop_policy(effective.policy_json)
            following = rules.clock_due(effective, policy, closed)
            words = "no change" if outcome == "NO_CHANGE" else "to be revised"
            await _log(
                unit,
                LogKind.SOP_REVIEWED,
                effective,
                f"{caller.name} reviewed it: {words}; {closed[0].note}",
                operator=caller.name,
                details={
                    "outcome": outcome,
                    "reviews": [one.id for one in closed],
                    "triggers": [f"{one.trigger} {one.subject}".strip() for one in closed],
                    "next_review_time": format_time(following) if following else "",
                },
            )
            known = find_open(await unit.incidents.unresolved(), "", Symptom.REVIEW_OVERDUE)
            if known is not None and not await self._late_elsewhere(unit, sop_id):
                await self._incidents.resolve_in(unit, known, caller.name, f"reviewed: {words}")
            await remember(unit, caller, LogKind.SOP_REVIEWED, sop_id, now)
            await unit.commit()
        return await self.get(sop_id)

    async def look(self) -> None:
        """Ask for what is due, and let climb what is overdue; a timer asks."""
        now = self._clock.now()
        missed = await self._missed()
        source = await self._source.view()
        keys = (
            sorted({key for role in source.roles if role.name in ("root", "targets") for key in role.key_ids})
            if (source)
            else []
        )
        async with self._database.write() as unit:
            wrote = False
            for sop_id in await unit.sops.ids():
                effective = await unit.sops.effective(sop_id)
                if effective is None:
                    continue
                policy = read_sop_policy(effective.policy_json)
                seen = await self._seen(unit, policy, missed, keys)
                wrote |= await self._ask(unit, effective, policy, seen, now)
                wrote |= await self._climb(unit, effective, now)
            if wrote:
                await unit.commit()
        if wrote:
            await self._incidents.after_commit()

    async def _seen(
        self, unit: UnitOfWork, policy: SopPolicy, missed: Sequence[str], keys: Sequence[str]
    ) -> dict[ReviewTrigger, list[str]]:
        """Return what each trigger of the SOP sees now."""
        asked = set(policy.review.on)
        seen: dict[ReviewTrigger, list[str]] = {}
        if rules.WORDS[ReviewTrigger.NEW_PLATFORM] in asked:
            seen[ReviewTrigger.NEW_PLATFORM] = list(rules.platforms(await unit.computers.all()))
        if rules.WORDS[ReviewTrigger.NEW_SOURCE] in asked:
            seen[ReviewTrigger.NEW_SOURCE] = list(keys)
        if rules.WORDS[ReviewTrigger.SEVERITY_1] in asked:
            grave = [one for one in await unit.incidents.all() if one.severity == 1]
            seen[ReviewTrigger.SEVERITY_1] = [f"{one.id} {one.symptom}" for one in grave]
        if rules.WORDS[ReviewTrigger.KPI_MISSED] in asked:
            seen[ReviewTrigger.KPI_MISSED] = list(missed)
        if rules.WORDS[ReviewTrigger.RECURRING_DEVIATION] in asked:
            found = feedback_rules.hotspots(await unit.deviations.all(), self._clock.now())
            seen[ReviewTrigger.RECURRING_DEVIATION] = list(found)
        return seen

    async def _ask(
        self,
        unit: UnitOfWork,
        revision: SopRevision,
        policy: SopPolicy,
        seen: dict[ReviewTrigger, list[str]],
        now: datetime,
    ) -> bool:
        """Open the reviews that are asked for now, and mark what was seen."""
        reviews = list(await unit.practice.reviews.all())
        marks = {one.id for one in await unit.practice.review_marks.all()}
        opened: list[SopReview] = []
        marked: list[ReviewMark] = []
        clock = rules.clock_review(self._ids.new("v"), revision, policy, reviews, now)
        if clock is not None:
            opened.append(clock)
        for trigger, subjects in seen.items():
            first = f"{revision.id} {trigger} "
            new = [one for one in subjects if first + one not in marks]
            marked += [ReviewMark(first + one, now) for one in new]
            quiet = trigger in rules.SILENT_AT_FIRST and not any(one.startswith(first) for one in marks)
            asked = any(one.trigger is trigger for one in rules.open_reviews(reviews, revision.id))
            if new and not quiet:
                await self._propose(unit, revision.id, trigger, new, now)
            if new and not quiet and not asked:
                subject = ", ".join(new[:5]) + (f" and {len(new) - 5} more" if len(new) > 5 else "")  # noqa: PLR2004
                opened.append(rules.ask(self._ids.new("v"), revision, trigger, subject, policy=policy, now=now))
        await unit.practice.review_marks.put_all(marked)
        await unit.practice.reviews.put_all(opened)
        for one in opened:
            message = f"a review is asked for: {one.trigger.lower()} {one.subject}, due {format_time(one.due_time)}"
            details = {"review": one.id, "trigger": one.trigger.value, "subject": one.subject}
            await _log(unit, LogKind.SOP_REVIEW_ASKED, revision, message, details=details)
        return bool(opened or marked)

    async def _propose(
        self, unit: UnitOfWork, sop_id: str, trigger: ReviewTrigger, subjects: Sequence[str], now: datetime
    ) -> None:
        """Write a proposal for each gate from which people deviate again and again."""
        if trigger is not ReviewTrigger.RECURRING_DEVIATION:
            return
        counts = feedback_rules.hotspots(await unit.deviations.all(), now)
        for gate in subjects:
            await self._feedback.take_in(unit, sop_id, feedback_rules.proposal_of(gate, counts[gate]))

    async def _climb(self, unit: UnitOfWork, revision: SopRevision, now: datetime) -> bool:
        """Raise the incident of a review that is overdue."""
        late = rules.overdue(await unit.practice.reviews.all(), revision.id, now)
        if not late or find_open(await unit.incidents.unresolved(), "", Symptom.REVIEW_OVERDUE) is not None:
            return False
        await self._incidents.raise_in(
            unit,
            symptom=Symptom.REVIEW_OVERDUE,
            severity=2,
            summary=f"the review of {revision.id} was due {format_time(late[0].due_time)}: "
            f"sopwith sop review {revision.id} --no-change --note TEXT",
            also=("owner",),
        )
        return True

    async def _late_elsewhere(self, unit: UnitOfWork, sop_id: str) -> bool:
        now = self._clock.now()
        reviews = await unit.practice.reviews.all()
        return any(rules.overdue(reviews, other, now) for other in await unit.sops.ids() if other != sop_id)


async def _log(
    unit: UnitOfWork,
    kind: LogKind,
    revision: SopRevision,
    message: str,
    *,
    operator: str = "",
    details: Mapping[str, object],
) -> None:
    await unit.update_log.append(
        LogDraft(
            kind,
            f"{revision.id} revision {revision.revision}: {message}",
            operator=operator,
            sop_id=revision.id,
            sop_revision=revision.revision,
            details=dict(details),
        )
    )
