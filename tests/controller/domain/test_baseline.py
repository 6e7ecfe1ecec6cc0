"""What a completed rollout leaves behind, and which computer lacks it."""

from dataclasses import replace

import pytest

from sopwith_controller.domain.baseline import (
    Past,
    absence,
    catch_up_spec,
    end,
    ended_by,
    held_by,
    is_proven,
    newest_for,
    objection,
    only_of,
    replaces,
    set_by,
    without_catch_up,
)
from sopwith_controller.domain.entities import Readiness
from sopwith_controller.domain.lasting_entities import Baseline
from sopwith_controller.domain.rollout_entities import CATCH_UP, RolloutState
from sopwith_formats.sop_policy import WaveRule
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import HOUR, NOW, a_computer, a_plan, a_rollout, a_spec, an_assignment

BASELINE = Baseline("r-1", "hello-2", "hello@2", "site=berlin", NOW)
BERLIN = {"site": "berlin"}
PLAN = a_plan(1, 4)


def ended(*outcomes: str) -> list:
    return [an_assignment(n, state=AssignmentState.ENDED, outcome=outcome) for n, outcome in enumerate(outcomes)]


def past(outcome: str = "", release: str = "hello@2", version_after: str = "2", hours: int = 1) -> Past:
    return Past(release, outcome, version_after, NOW + hours * HOUR)


def test_a_release_is_proven_by_those_who_have_a_result_of_their_own():
    assert is_proven(PLAN, ended("SUCCEEDED", "SKIPPED", "UNREACHABLE", "NOT_READY"))
    assert not is_proven(PLAN, ended("SUCCEEDED", "ROLLED_BACK"))
    assert not is_proven(PLAN, ended("NOT_READY", "UNREACHABLE"))


def test_a_completed_rollout_sets_a_baseline_unless_its_file_says_no():
    rollout, well = a_rollout(PLAN), ended("SUCCEEDED")

    assert set_by(rollout, PLAN, well, NOW) == Baseline("r-1", "hello-2", "hello@2", "", NOW)
    assert set_by(rollout, replace(PLAN, baseline=False), well, NOW) is None
    assert set_by(replace(rollout, origin=CATCH_UP), PLAN, well, NOW) is None
    assert set_by(rollout, PLAN, ended("FAILED"), NOW) is None


@pytest.mark.parametrize(
    ("older", "replaced"),
    [
        (replace(BASELINE, rollout_id="r-0", release="hello@1"), True),
        (replace(BASELINE, rollout_id="r-0", release="other@1"), False),
        (replace(BASELINE, rollout_id="r-0", audience=""), False),
        (BASELINE, False),
    ],
)
def test_a_newer_baseline_replaces_that_of_its_release_name_and_audience(older, replaced):
    assert replaces(BASELINE, older) is replaced


def test_a_baseline_ends_with_its_reason():
    running = replace(BASELINE, catch_up_id="r-9", waiting="no SOP is effective")

    assert end(running, "withdrawn", NOW) == replace(BASELINE, ended_time=NOW, ended_reason="withdrawn")
    assert without_catch_up(running) == BASELINE


def test_the_newest_baseline_that_selects_a_computer_counts_alone():
    computer = a_computer("pc1", labels=BERLIN)
    wide = Baseline("r-2", "hello-3", "hello@3", "", NOW + HOUR)
    elsewhere = Baseline("r-3", "hello-4", "hello@4", "site=paris", NOW + 2 * HOUR)
    other = Baseline("r-4", "other-1", "other@1", "", NOW + 3 * HOUR)
    in_force = [BASELINE, wide, elsewhere, other]

    assert [newest_for(computer, one, in_force) for one in in_force] == [False, True, False, True]
    assert not newest_for(a_computer("pc2"), BASELINE, [BASELINE])


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "hello-2"),
        ({"origin": CATCH_UP}, ""),
        ({"created_time": NOW - HOUR}, ""),
        ({"state": RolloutState.COMPLETED}, ""),
        ({"release": "other@3"}, ""),
        ({"audience": "site=paris"}, ""),
    ],
)
def test_a_newer_rollout_that_runs_for_a_computer_holds_the_baseline_back(changes, name):
    newer = a_rollout(PLAN, created_time=NOW + HOUR, state=RolloutState.RUNNING, release="hello@3", audience="site")

    assert held_by(a_computer("pc1", labels=BERLIN), BASELINE, [replace(newer, **changes)]) == name


@pytest.mark.parametrize(
    ("computer", "reason"),
    [
        (a_computer("pc1"), "it does not belong to the audience"),
        (a_computer("pc1", labels=BERLIN, installed={"hello": "2"}), "it has hello@2"),
        (a_computer("pc1", labels=BERLIN, readiness=Readiness("EXCUSED")), "it is excused"),
        (a_computer("pc1", labels=BERLIN, installed={"hello": "1"}), ""),
    ],
)
def test_who_lacks_a_baseline(computer, reason):
    assert objection(BASELINE, computer, [], scope="") == reason


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ([past("")], "hello@2 is on its way to it"),
        ([past(Outcome.NOT_READY), past(Outcome.UNREACHABLE), past(Outcome.CANCELLED)], ""),
        ([past(Outcome.FAILED)], "hello@2 failed on it; a person tries it again"),
        ([past(Outcome.NOT_STARTED), past(Outcome.FAILED)], "hello@2 failed on it; a person tries it again"),
        ([past(Outcome.ROLLED_BACK)], ""),
        ([past(Outcome.SKIPPED, version_after="")], "hello@2 does not apply to it"),
        ([past(Outcome.SUCCEEDED)] * 2, ""),
        ([past(Outcome.SUCCEEDED)] * 3, "it lost hello@2 3 times; a person looks into it"),
        ([past(Outcome.SUCCEEDED, "hello@3")], "a newer rollout brought hello@3 to it"),
        ([past(Outcome.SUCCEEDED, "hello@1", hours=-1)], ""),
    ],
)
def test_what_happened_before_says_whether_it_is_offered_again(shares, reason):
    computer = a_computer("pc1", labels=BERLIN)

    assert objection(BASELINE, computer, shares, scope="") == reason


def test_only_who_is_there_and_may_be_ready_is_offered_it_now():
    computer = a_computer("pc1")

    assert absence(computer, connected=False) == "it is not connected"
    assert absence(replace(computer, readiness=Readiness("NOT_READY")), connected=True) == "it is not ready"
    assert absence(computer, connected=True) == ""


def test_a_catch_up_has_the_rules_of_its_rollout_and_no_emergency():
    spec = a_spec(
        waves=(WaveRule("all", "100%"),), emergency=True, repeat="FREQ=DAILY", audience="site=berlin", ticket="CHG-1"
    )

    catch_up = catch_up_spec(spec)

    assert (catch_up.rollout, catch_up.audience, catch_up.ticket) == ("hello-2 catch-up", "site=berlin", "CHG-1")
    assert catch_up.dynamic
    assert (catch_up.waves, catch_up.repeat, catch_up.emergency, catch_up.baseline) == ((), None, False, False)


@pytest.mark.parametrize(
    ("state", "because", "reason"),
    [
        (RolloutState.ABORTING, "aborted by otto: no", "its catch-up was aborted by otto: no"),
        (RolloutState.ABORTED, "", "its catch-up was aborted"),
        (RolloutState.ABORTED, "nothing is left of its plan: no computer is left", ""),
        (RolloutState.COMPLETED, "1 succeeded", ""),
    ],
)
def test_only_a_person_s_abort_ends_a_baseline_with_its_catch_up(state, because, reason):
    assert ended_by(a_rollout(PLAN, state=state, state_reason=because)) == reason
    assert ended_by(None) == ""


def test_only_a_catch_up_s_plan_stays_with_the_computers_that_it_was_opened_for():
    plan = a_plan(2, 1)
    members = frozenset(member.id for member in plan.members)

    assert only_of(a_rollout(plan)) is None
    assert only_of(a_rollout(plan, origin=CATCH_UP)) == members
