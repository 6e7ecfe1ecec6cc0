"""Gates of submit and start, and errors that teach."""

from dataclasses import replace

import pytest

from sopwith_controller.domain import gates
from sopwith_controller.domain.entities import ReleaseState, SopRevision, SopSignature, SopState
from sopwith_controller.domain.errors import Refusal, RefusedError, TrustError
from tests.controller.domain.builders import NOW, a_plan, a_release, a_rollout

REVISION = SopRevision(
    "SU-SOP-001", 1, SopState.DRAFT, "Updates", b"", "0" * 64, "0" * 64, "{}", "first", "material", "olga", NOW
)
SIGNED = SopSignature("p1", "olga", "owner", "approved", "approve", NOW, "{}", "k1")


@pytest.mark.gate("blocks", "sop_effective")
@pytest.mark.parametrize(
    ("newest", "words", "remedy"),
    [
        (None, "there is no SOP", "sop new"),
        (REVISION, "is a draft", "sop submit"),
        (replace(REVISION, state=SopState.IN_REVIEW), "signed by nobody", "sop sign"),
        (replace(REVISION, state=SopState.IN_REVIEW, signatures=(SIGNED,)), "signed by owner so far", "sop sign"),
        (
            replace(REVISION, state=SopState.IN_REVIEW, signatures=(replace(SIGNED, voided=True),)),
            "signed by nobody",
            "sop sign",
        ),
        (replace(REVISION, state=SopState.APPROVED), "is APPROVED", "sop show"),
    ],
)
def test_sop_that_is_not_effective_says_what_it_waits_for(newest, words: str, remedy: str):
    with pytest.raises(RefusedError, match=words) as caught:
        gates.check_sop_effective("SU-SOP-001", newest, None)

    assert caught.value.refusal.gate == "sop_effective"
    assert caught.value.refusal.clause == "VII"
    assert remedy in caught.value.remedy


def test_effective_sop_passes():
    effective = replace(REVISION, state=SopState.EFFECTIVE)

    assert gates.check_sop_effective("SU-SOP-001", effective, effective) is effective


@pytest.mark.parametrize(("why", "words"), [("breaks DNS", "was withdrawn: breaks DNS"), ("", "was withdrawn$")])
def test_withdrawn_release_is_refused(why: str, words: str):
    gates.check_release(a_release())

    with pytest.raises(RefusedError, match=words):
        gates.check_release(a_release(state=ReleaseState.WITHDRAWN, withdrawn_reason=why))


def test_first_refusal_of_a_plan_is_raised_and_counts_the_others():
    first = Refusal("sop_bounds", "V", "too fast", "slow down", "owner")

    gates.check_refusals([])
    with pytest.raises(RefusedError, match=r"too fast$"):
        gates.check_refusals([first])
    with pytest.raises(RefusedError, match=r"too fast \(1 more"):
        gates.check_refusals([first, first])


def test_plan_that_is_not_the_submitted_one_is_refused():
    rollout = a_rollout(a_plan(1))

    gates.check_plan_unchanged(rollout, rollout.plan_sha256)
    with pytest.raises(RefusedError, match="not the one that was submitted"):
        gates.check_plan_unchanged(rollout, "0" * 64)


def test_start_below_the_ready_quorum_is_refused():
    plan = a_plan(5, ready_quorum=2)

    gates.check_ready_quorum(plan, 2)
    with pytest.raises(RefusedError, match="1 of 5 computers are ready, and 2 must be"):
        gates.check_ready_quorum(plan, 1)


@pytest.mark.gate("blocks", "operator_role")
def test_missing_role_is_refused_with_who_grants_it():
    gates.check_role("otto", ["operator"], ["operator", "owner"], "rollout start")

    with pytest.raises(RefusedError, match="otto has the role none; rollout start needs operator or owner") as caught:
        gates.check_role("otto", [], ["operator", "owner"], "rollout start")
    assert "person grant otto --role operator" in caught.value.remedy


def test_trust_error_carries_its_symptom():
    assert TrustError("forged").symptom == "SIGNATURE_INVALID"
    assert TrustError("old", symptom="METADATA_ROLLBACK", remedy="look").remedy == "look"
