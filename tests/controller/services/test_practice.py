"""The SOP's practice over the fake database: training, feedback, reviews of the SOP, and letting go of records."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.domain.deviation import Deviation, DeviationState
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError, TransitionNotAllowedError
from sopwith_controller.domain.feedback import Said
from sopwith_controller.domain.incident_entities import IncidentState
from sopwith_controller.domain.practice_entities import FeedbackOrigin
from sopwith_controller.services.ports import SourceRole, SourceView
from sopwith_controller.services.review_clock import ReviewClock
from sopwith_controller.services.sop_feedback import SopFeedback
from sopwith_controller.services.sop_records import SopRecords
from sopwith_controller.services.training import Trainings
from sopwith_formats.log_verification import LogVerification
from tests.builders import NOON, computer, incident
from tests.controller.sop_fleet import ID, SopFleet, revised

YEAR = timedelta(days=365)


class Raised:
    """Keeps what was raised, as incidents that can be found again."""

    def __init__(self) -> None:
        self.told = 0

    async def raise_in(self, unit: Any, *, symptom: str, severity: int, summary: str, also: tuple[str, ...]) -> None:
        assert also == ("owner",)
        raised = incident(id="i-late", symptom=symptom, severity=severity, summary=summary, rollout_id="")
        await unit.incidents.put(raised)

    async def resolve_in(self, unit: Any, found: Any, person: str, reason: str) -> None:
        await unit.incidents.put(replace(found, state=IncidentState.RESOLVED, resolved_by=person, resolution=reason))

    async def after_commit(self) -> None:
        self.told += 1


class Practice:
    """The use cases over one fleet."""

    def __init__(self, fleet: SopFleet) -> None:
        self.fleet = fleet
        self.missed: list[str] = []
        self.keys = ("k1",)
        self.raised = Raised()
        ids = RandomIds()
        source: Any = self
        raised: Any = self.raised
        self.trainings = Trainings(fleet.database, fleet.clock, ids)
        self.feedback = SopFeedback(fleet.database, fleet.clock, ids)
        self.records = SopRecords(fleet.database, fleet.clock)
        self.reviews = ReviewClock(
            fleet.database,
            fleet.clock,
            ids,
            incidents=raised,
            feedback=self.feedback,
            source=source,
            missed=self._missed,
        )

    async def _missed(self) -> list[str]:
        return self.missed

    async def view(self) -> SourceView:
        return SourceView("", {}, (SourceRole("root", 1, NOON, self.keys), SourceRole("timestamp", 1, NOON, ("t",))), 0)

    async def triggers(self) -> list[str]:
        return [f"{one.trigger} {one.subject}" for one in (await self.reviews.get(ID)).reviews if not one.closed_time]

    async def put(self, **things: Any) -> None:
        async with self.fleet.database.write() as unit:
            for name, thing in things.items():
                await getattr(unit, name).put(thing)
            await unit.commit()


@pytest.fixture
async def practice() -> Practice:
    fleet = await SopFleet().effective()
    await fleet.person("olga", "operator")
    return Practice(fleet)


def deviation(number: int) -> Deviation:
    return Deviation(
        f"d-{number}", "window", DeviationState.APPROVED, "why", "instead", "olga", ID, NOON, NOON,
        approver="mia", approved_time=NOON,
    )  # fmt: skip


async def test_acknowledging_records_since_which_revision_and_training_says_so(practice):
    fleet = practice.fleet
    await fleet.sops.acknowledge(fleet.caller("olga"), ID)
    fleet.clock.advance(hours=1)
    await fleet.sops.submit(fleet.caller("owner"), ID, revised(2, ("grace: 7d", "grace: 5d")))
    await fleet.sign_all()
    before = {one.person: one for one in (await practice.trainings.get(ID)).trainees}
    await fleet.sops.acknowledge(fleet.caller("olga"), ID)

    after = {one.person: one for one in (await practice.trainings.get(ID)).trainees}

    assert (before["olga"].state, before["olga"].since_revision) == ("DUE", 1)
    assert (after["olga"].state, after["olga"].how, after["olga"].time) == (
        "CURRENT",
        "acknowledged",
        fleet.clock.now(),
    )
    assert after["owner"].how == "signed"
    async with fleet.database.read() as unit:
        said = [row for row in await unit.update_log.entries(0, 1000) if row.kind == "SOP_ACKNOWLEDGED"]
    assert said[-1].message == f"{ID} revision 2: olga acknowledged what changed since revision 1"


async def test_a_drill_is_recorded_for_the_effective_revision_and_policy_only(practice):
    fleet, olga = practice.fleet, practice.fleet.caller("olga")
    effective = (await fleet.sops.get(ID)).revision
    tasks = {"start it": "done", "find the cause": "shown"}

    record = await practice.trainings.record_drill(olga, ID, 1, effective.policy_sha256, tasks)

    found = {one.person: one for one in (await practice.trainings.get(ID)).trainees}
    assert (record.details, found["olga"].drill_time) == (tasks, NOON)
    assert "DRILL_DONE" in await fleet.kinds()
    with pytest.raises(InvalidInputError, match="another policy"):
        await practice.trainings.record_drill(olga, ID, 1, "00" * 32, tasks)
    with pytest.raises(InvalidInputError):
        await practice.trainings.record_drill(olga, ID, 1, effective.policy_sha256, {})
    with pytest.raises(TransitionNotAllowedError):
        await practice.trainings.record_drill(olga, ID, 2, effective.policy_sha256, tasks)
    with pytest.raises(NotFoundError):
        await practice.trainings.get("SU-SOP-404")


async def test_feedback_of_people_and_computers_is_listed_and_answered(practice):
    fleet = practice.fleet
    given = await practice.feedback.give(fleet.caller("olga"), ID, "V.C", "the soak is short", "r-1")
    async with fleet.database.write() as unit:
        said = Said("V.B", "the notice came too late", FeedbackOrigin.COMPUTER, "pc1")
        await practice.feedback.take_in(unit, ID, said)
        await unit.commit()
    done = await practice.feedback.dispose(fleet.caller("owner"), given.id, "accepted", "in revision 2")

    listed = await practice.feedback.all(ID)

    assert [(one.given_by, one.disposition) for one in listed] == [("pc1", "OPEN"), ("olga", "ACCEPTED")]
    assert (done.disposed_by, done.disposition_reason) == ("owner", "in revision 2")
    kinds = await fleet.kinds()
    assert (kinds.count("SOP_FEEDBACK_GIVEN"), kinds.count("SOP_FEEDBACK_DISPOSED")) == (2, 1)
    with pytest.raises(NotFoundError):
        await practice.feedback.dispose(fleet.caller("owner"), "f-none", "done", "x")
    with pytest.raises(NotFoundError):
        await practice.feedback.give(fleet.caller("olga"), "SU-SOP-404", "V.C", "x")


@pytest.mark.clause("7 Continuous improvement", "triggers")
async def test_a_new_platform_a_new_source_a_severity_1_and_a_missed_kpi_ask_once_for_a_review(practice):
    await practice.put(computers=computer("pc1", facts={"os": "linux", "arch": "x86_64"}))
    await practice.reviews.look()
    at_first = await practice.triggers()
    await practice.put(computers=computer("pc2", facts={"os": "linux", "arch": "riscv64"}))
    await practice.put(incidents=incident(id="i-1", severity=1, symptom="ROLLBACK_FAILED"))
    practice.keys = ("k1", "k2")
    practice.missed = ["rollback_rate <= 5 %"]

    await practice.reviews.look()
    await practice.reviews.look()

    assert at_first == []
    assert sorted(await practice.triggers()) == [
        "KPI_MISSED rollback_rate <= 5 %",
        "NEW_PLATFORM linux riscv64",
        "NEW_SOURCE k2",
        "SEVERITY_1 i-1 ROLLBACK_FAILED",
    ]
    assert (await practice.fleet.kinds()).count("SOP_REVIEW_ASKED") == 4


@pytest.mark.clause("7 Continuous improvement", "hotspots")
async def test_recurring_deviations_open_a_proposal_and_a_review_once(practice):
    for number in range(3):
        await practice.put(deviations=deviation(number))

    await practice.reviews.look()
    await practice.reviews.look()

    (proposal,) = await practice.feedback.all(ID)
    assert (proposal.clause, proposal.origin, proposal.given_by) == ("V.C", FeedbackOrigin.MACHINE, "")
    assert await practice.triggers() == ["RECURRING_DEVIATION window"]


async def test_an_overdue_review_climbs_once_and_ends_with_the_review(practice):
    fleet = practice.fleet
    fleet.clock.advance(days=366)
    await practice.reviews.look()
    await practice.reviews.look()
    async with fleet.database.read() as unit:
        late = [one for one in await unit.incidents.unresolved() if one.symptom == "REVIEW_OVERDUE"]

    view = await practice.reviews.close(fleet.caller("owner"), ID, "NO_CHANGE", "fits the new laptops")

    assert len(late) == 1
    assert "sopwith sop review SU-SOP-001 --no-change" in late[0].summary
    assert (view.last_reviewed_time, view.next_due_time) == (fleet.clock.now(), fleet.clock.now() + YEAR)
    assert [one.outcome for one in view.reviews] == ["NO_CHANGE"]
    async with fleet.database.read() as unit:
        assert await unit.incidents.unresolved() == []
    await practice.reviews.look()
    assert practice.raised.told == 1


async def test_a_review_ahead_of_its_time_is_a_record_too(practice):
    view = await practice.reviews.close(practice.fleet.caller("manager"), ID, "REVISE", "windows moved")

    assert [(one.closed_by, one.outcome, one.note) for one in view.reviews] == [("manager", "REVISE", "windows moved")]
    with pytest.raises(TransitionNotAllowedError):
        await practice.reviews.close(practice.fleet.caller("manager"), "SU-SOP-404", "REVISE", "x")
    with pytest.raises(NotFoundError):
        await practice.reviews.get("SU-SOP-404")


async def test_a_trigger_that_the_sop_does_not_name_asks_for_nothing():
    fleet = await SopFleet().begin()
    words = "[severity_1_incident, recurring_deviation, new_platform, new_source, kpi_missed, changed_law]"
    await fleet.sops.submit(fleet.caller("owner"), ID, revised(1, (f"on: {words}", "on: [changed_law]")))
    await fleet.sign_all()
    practice = Practice(fleet)
    await practice.put(incidents=incident(id="i-1", severity=1))
    practice.missed = ["mtta <= 15 m"]

    await practice.reviews.look()

    assert await practice.triggers() == []


@pytest.mark.clause("8 Records", "purge")
async def test_a_purge_is_a_record_with_digests_and_the_log_still_verifies(practice):
    fleet = practice.fleet
    await fleet.sops.acknowledge(fleet.caller("olga"), ID)
    first = (await fleet.sops.get(ID)).revision
    fleet.clock.advance(days=1)
    await fleet.sops.submit(fleet.caller("owner"), ID, revised(2, ("grace: 7d", "grace: 5d")))
    await fleet.sign_all()
    fleet.clock.advance(days=6 * 365 - 1)
    await practice.records.purge_due()
    too_early = "PURGED" in await fleet.kinds()
    fleet.clock.advance(days=2)

    await practice.records.purge_due()
    await practice.records.purge_due()

    async with fleet.database.read() as unit:
        rows = await unit.update_log.entries(0, 1000)
        kept = await unit.sops.get(ID, 1)
        trained = await unit.practice.training.all()
        work = LogVerification()
        work.add_entries(rows)
        work.add_nodes(await unit.update_log.nodes(None, 10_000))
    purged = [row for row in rows if row.kind == "PURGED"]
    assert not too_early
    assert len(purged) == 1
    assert first.document_sha256 in purged[0].details
    assert "revision SU-SOP-001 1" in purged[0].details
    assert (kept.document, kept.document_sha256, kept.signatures) == (b"", first.document_sha256, ())
    assert [one.person for one in trained] == ["purged"]
    assert work.verdict().faults == ()
    assert [view.revision.revision for view in await fleet.sops.history(ID)] == [1, 2]
