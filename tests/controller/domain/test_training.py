"""Who knows the effective revision, how they came to know it, and until when the others have time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import training
from sopwith_controller.domain.entities import SopRevision, SopSignature
from sopwith_controller.domain.practice_entities import TrainingKind, TrainingRecord
from sopwith_controller.domain.training import TrainingState
from tests.builders import NOON, person, sop_revision
from tests.controller.domain.builders import a_policy

POLICY = a_policy()
GRACE = timedelta(seconds=POLICY.training.grace_seconds)


def revision(**changes) -> SopRevision:
    return sop_revision(**{"revision": 2, "effective_time": NOON, **changes})


def record(name: str, kind: TrainingKind = TrainingKind.ACKNOWLEDGED, **changes) -> TrainingRecord:
    return replace(TrainingRecord(f"t-{name}-{kind}", kind, name, "SU-SOP-001", 2, NOON), **changes)


def states(people, found=None, policy=POLICY, *, records=(), earlier=(), profile="standard", now=NOON):
    result = training.trainees(
        people, found or revision(), policy, earlier=earlier, records=records, profile=profile, now=now
    )
    return {one.person: one for one in result}


@pytest.mark.clause("4 Communicate and train", "status")
def test_operators_are_current_due_or_overdue_and_others_need_nothing():
    people = [
        person("olga", roles=("operator",)),
        person("otto", roles=("operator",)),
        person("vera", roles=("viewer",)),
    ]
    knows = revision(acknowledged_by=("olga",))
    records = [record("olga", time=NOON + timedelta(hours=1))]

    during = states(people, knows, records=records)
    after = states(people, knows, records=records, now=NOON + GRACE)

    assert {name: one.state for name, one in during.items()} == {
        "olga": TrainingState.CURRENT,
        "otto": TrainingState.DUE,
        "vera": TrainingState.NOT_REQUIRED,
    }
    assert during["otto"].due_time == NOON + GRACE
    assert (during["olga"].how, during["olga"].time) == ("acknowledged", NOON + timedelta(hours=1))
    assert after["otto"].state is TrainingState.OVERDUE
    assert training.currency(tuple(after.values())) == (1, 2)
    assert list(after) == ["olga", "otto", "vera"]


def test_signing_counts_and_an_editorial_revision_carries_over():
    signature = SopSignature("p-olga", "olga", "owner", "approved", "approve", NOON, "{}", "k")
    void = replace(signature, person="otto", voided=True)
    found = states(
        [person("olga", roles=("operator",)), person("otto", roles=("operator",))],
        revision(acknowledged_by=("olga", "otto"), signatures=(void, signature)),
        records=[record("otto", revision=1), record("olga", TrainingKind.DRILL)],
        earlier=[sop_revision(revision=1, acknowledged_by=("otto",))],
    )

    assert (found["olga"].how, found["olga"].drill_time) == ("signed", NOON)
    assert (found["otto"].how, found["otto"].time, found["otto"].since_revision) == ("carried over", None, 2)


def test_the_difference_counts_from_the_newest_revision_that_somebody_knew():
    revisions = [sop_revision(revision=n, acknowledged_by=("olga",) if n < 3 else ()) for n in (1, 2, 3)]

    assert training.known_revision("olga", revisions) == 2
    assert training.known_revision("otto", revisions) == 0


def test_profiles_say_how_long_there_is_time():
    people = [person("olga", roles=("operator",))]

    assert states(people, profile="regulated")["olga"].state is TrainingState.OVERDUE
    assert states(people, profile="evaluation")["olga"].state is TrainingState.NOT_REQUIRED
    assert states(people, revision(effective_time=None))["olga"].state is TrainingState.DUE


def test_a_drill_that_the_sop_wants_belongs_to_being_current():
    wants = replace(POLICY, training=replace(POLICY.training, drill="required"))
    people = [person("olga", roles=("operator",))]
    knows = revision(acknowledged_by=("olga",))
    drilled = [record("olga", TrainingKind.DRILL)]

    assert states(people, knows, wants)["olga"].state is TrainingState.DUE
    assert states(people, knows, wants, records=drilled)["olga"].state is TrainingState.CURRENT
    shown = [record("olga", TrainingKind.DRILL, details={"start it": "shown"})]
    assert states(people, knows, wants, records=shown)["olga"].drill_time is None
    late = NOON + training.DRILL_LASTS + timedelta(days=1)
    assert states(people, knows, wants, records=drilled, now=late)["olga"].state is TrainingState.OVERDUE


def test_who_left_or_holds_no_role_is_not_asked():
    assert states([person("gone", state="REVOKED"), person("idle", roles=())]) == {}
