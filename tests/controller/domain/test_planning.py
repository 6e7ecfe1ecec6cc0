"""Making plans: audience, order, waves, bounds, materials."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopwith_controller.domain.entities import ComputerState, Readiness, Reason, ReleaseState
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.domain.plan import Plan, read_plan
from sopwith_controller.domain.plan_inputs import Planning
from sopwith_controller.domain.planning import make_plan, member_waves, place
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import HealthCheck
from sopwith_formats.reboot_only import MANIFEST, MANIFEST_SHA256, NAME, RELEASE, VERSION
from sopwith_formats.rollout_spec import ErrorThresholdSpec
from sopwith_formats.sop_policy import DisruptionBudget, Limits, Range, Reboot, WaveRule, Waves, Window
from tests.controller.domain.builders import (
    a_computer,
    a_manifest,
    a_plan,
    a_policy,
    a_release,
    a_spec,
    not_ready,
    plan_inputs,
)

SATURDAY = Window("FREQ=WEEKLY;BYDAY=SA", "22:00", 6 * 3600)


def planned(count: int = 10, **spec) -> Planning:
    return make_plan(plan_inputs(count, spec=a_spec(**spec)))


def sizes(plan: Plan) -> list[int]:
    return [wave.size for wave in plan.waves]


def reasons(planning: Planning) -> list[str]:
    return [f"{refusal.gate}: {refusal.reason}" for refusal in planning.refusals]


def test_default_waves_begin_with_one_canary():
    planning = planned(30)

    assert [(w.name, w.size) for w in planning.plan.waves] == [("canary", 1), ("early", 3), ("rest", 26)]
    assert planning.refusals == ()


@pytest.mark.parametrize(
    ("rules", "audience", "expected"),
    [
        ([("a", 1), ("b", "25%"), ("c", "100%")], 10, [1, 3, 6]),
        ([("a", "100%")], 5, [5]),
        ([("a", 3), ("b", "100%")], 2, [2]),
        ([("a", 0), ("b", "100%")], 2, [2]),
        ([("a", 1), ("b", 1)], 5, [1, 4]),
        ([("a", "50%"), ("b", "50%"), ("c", "100%")], 3, [2, 1]),
        ([("a", 1)], 0, []),
    ],
)
def test_percentage_is_a_share_of_the_whole_audience_and_empty_waves_are_dropped(rules, audience, expected):
    waves = place([WaveRule(name, size) for name, size in rules], audience)

    assert [wave.size for wave in waves] == expected


amounts = st.one_of(st.integers(0, 60), st.integers(0, 100).map(lambda percent: f"{percent}%"))


@given(st.lists(amounts, min_size=1, max_size=6), st.integers(0, 200))
def test_waves_place_everybody_exactly_once_and_none_is_empty(amount_list, audience):
    waves = place([WaveRule(f"w{index}", amount) for index, amount in enumerate(amount_list)], audience)

    assert all(wave.size > 0 for wave in waves)
    assert sum(wave.size for wave in waves) == audience


def test_rules_of_size_nothing_leave_nobody_behind():
    assert place([WaveRule("a", 0)], 3)[0].size == 3


def test_same_input_gives_the_same_plan_and_another_rollout_another_order():
    one, same, other = planned(20), planned(20), planned(20, rollout="other")

    assert one.plan.sha256() == same.plan.sha256()
    assert [m.name for m in one.plan.members] != [m.name for m in other.plan.members]


def test_order_of_the_fleet_does_not_matter():
    inputs = plan_inputs(20)

    reversed_inputs = replace(inputs, computers=list(reversed(inputs.computers)))

    assert make_plan(inputs).plan.sha256() == make_plan(reversed_inputs).plan.sha256()


def test_computer_labelled_canary_is_the_canary_and_important_ones_come_last():
    computers = [a_computer(f"pc{n}") for n in range(8)]
    computers += [a_computer("boss", labels={"importance": "high"}), a_computer("lab", labels={"ring": "canary"})]

    plan = make_plan(plan_inputs(computers=computers)).plan

    assert plan.members[0].name == "lab"
    assert plan.members[-1].name == "boss"


def test_waves_of_the_file_are_taken_literally():
    planning = planned(4, waves=(WaveRule("all", "100%"),))

    assert sizes(planning.plan) == [4]
    assert any("without a canary" in warning for warning in planning.warnings)


def test_emergency_brings_its_own_waves_and_no_window():
    planning = make_plan(plan_inputs(20, spec=a_spec(emergency=True), policy=a_policy(window=SATURDAY)))

    assert [(w.name, w.size, w.soak_seconds) for w in planning.plan.waves] == [
        ("first", 1, 600),
        ("next", 2, 900),
        ("all", 17, 0),
    ]
    assert planning.plan.change_class == "emergency"
    assert planning.plan.window is None
    assert any("review" in warning for warning in planning.warnings)


def test_emergency_of_a_sop_that_says_nothing_follows_its_usual_waves():
    planning = make_plan(plan_inputs(10, spec=a_spec(emergency=True), policy=a_policy(change_classes={})))

    assert planning.plan.waves[0].name == "canary"


def test_audience_is_chosen_by_labels_and_facts():
    computers = [
        a_computer("b1", labels={"site": "berlin"}, facts={"os": {"id": "debian"}}),
        a_computer("b2", labels={"site": "berlin"}, facts={"os": {"id": "fedora"}}),
        a_computer("p1", labels={"site": "paris"}),
    ]

    plan = make_plan(plan_inputs(computers=computers, spec=a_spec(audience="site=berlin, os.id=debian"))).plan

    assert [member.name for member in plan.members] == ["b1"]


@pytest.mark.clause("V.A Equipment", "sum")
def test_nobody_of_the_audience_is_left_out_silently():
    computers = [
        a_computer("ok"),
        a_computer("gone", state=ComputerState.RETIRED),
        a_computer("new", state=ComputerState.PENDING),
        a_computer("clone", state=ComputerState.QUARANTINED),
        a_computer("burnt"),
        a_computer("spare", readiness=Readiness("EXCUSED", (Reason("", "excused: by olga"),))),
        a_computer("mute", readiness=Readiness("EXCUSED")),
    ]

    planning = make_plan(plan_inputs(computers=computers, rolled_back=frozenset({"c-burnt"})))

    assert [member.name for member in planning.plan.members] == ["ok"]
    assert {e.computer: e.reason for e in planning.exclusions} == {
        "new": "is not accepted yet",
        "clone": "is quarantined: no reason was given",
        "burnt": "rolled hello@2 back before",
        "spare": "excused: by olga",
        "mute": "is excused",
    }


@pytest.mark.clause("II Scope", "targets")
def test_rollout_outside_the_scope_of_the_sop_is_refused():
    computers = [a_computer(f"x{n}", labels={"site": "paris"}) for n in range(7)]
    policy = a_policy(scope="site=berlin")

    refused = make_plan(plan_inputs(computers=computers, policy=policy, spec=a_spec(audience="site=paris")))
    scoped = make_plan(plan_inputs(computers=[*computers, a_computer("b", labels={"site": "berlin"})], policy=policy))

    assert "and 2 more lies outside the scope" in refused.refusals[0].reason
    assert refused.refusals[0].gate == "sop_scope"
    assert [member.name for member in scoped.plan.members] == ["b"]


@pytest.mark.parametrize(("audience", "words"), [("", "every accepted computer"), ("site=mars", "site=mars")])
def test_empty_audience_is_refused(audience: str, words: str):
    planning = make_plan(plan_inputs(computers=[], spec=a_spec(audience=audience)))

    assert words in planning.refusals[0].reason
    assert planning.plan.waves == ()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"success_threshold": "101%"}, "no percentage"),
        ({"audience": "site=="}, "audience"),
        ({"audience": "=x"}, "audience"),
    ],
)
def test_what_cannot_be_read_is_refused(spec, words):
    if "success_threshold" in spec:
        with pytest.raises(FormatError, match=words):
            planned(**spec)
    elif spec["audience"] == "site==":
        assert planned(**spec).refusals
    else:
        with pytest.raises(InvalidInputError, match=words):
            planned(**spec)


def test_rollout_that_only_reboots_is_planned_without_files_and_leaves_no_baseline():
    planning = planned_reboot()

    plan = planning.plan
    assert (plan.release, plan.manifest_sha256, plan.baseline) == ("reboot@only", MANIFEST_SHA256, False)
    assert planning.refusals == ()
    texts = {material.name: material.message for material in planning.materials}
    assert texts["update files"] == "none: computers that wait for a reboot are rebooted"
    assert texts["rollback material"] == "nothing is installed, so nothing has to be taken back"
    assert not any("health checks" in warning for warning in planning.warnings)


def test_plan_warns_where_the_sop_lets_no_computer_reboot_itself():
    planning = planned_reboot(policy=a_policy(reboot=Reboot(when="never")))

    assert any("until a person reboots it" in warning for warning in planning.warnings)


def planned_reboot(**changes: Any) -> Planning:
    release = replace(a_release(), name=NAME, version=VERSION, manifest_sha256=MANIFEST_SHA256)
    spec = a_spec(release=RELEASE, reboot_only=True)
    return make_plan(plan_inputs(spec=spec, release=release, manifest=MANIFEST, **changes))


BOUNDED = a_policy(
    safety=replace(
        a_policy().safety,
        success_threshold=Range("95%", "90%", "100%"),
        error_threshold=replace(a_policy().safety.error_threshold, percent=Range("2%", None, "5%")),
    ),
    limits=replace(
        a_policy().limits,
        max_concurrency=replace(a_policy().limits.max_concurrency, max="20%"),
        attempts_max=Range(3, 1, 10),
        rollout_deadline_seconds=Range(86400, 3600, 86400),
    ),
    waves=replace(a_policy().waves, soak_min_seconds=60, first_size_max=2),
)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"success_threshold": "50%"}, "success_threshold 50% lies outside"),
        ({"error_threshold": ErrorThresholdSpec(percent="6%")}, "error_threshold.percent 6% lies outside"),
        ({"error_threshold": ErrorThresholdSpec(count=0)}, "error_threshold.count 0"),
        ({"max_concurrency": "30%"}, "max_concurrency 30% lies outside the bounds of SU-SOP-001 (at most 20%)"),
        ({"attempts_max": 11}, "attempts_max 11 lies outside the bounds of SU-SOP-001 (at least 1, at most 10)"),
        ({"deadline_seconds": 60}, "deadline 1m lies outside the bounds of SU-SOP-001 (at least 1h, at most 1d)"),
        ({"waves": (WaveRule("all", 3, 0), WaveRule("x", "100%"))}, "the first wave is 3"),
        ({"waves": (WaveRule("all", "10%", 60), WaveRule("x", "100%"))}, "the first wave is 10%"),
        ({"waves": (WaveRule("all", 1, 30), WaveRule("x", "100%"))}, "soaks for 30s"),
    ],
)
def test_value_outside_the_bounds_of_the_sop_is_refused(spec, words):
    planning = make_plan(plan_inputs(spec=a_spec(**spec), policy=BOUNDED))

    assert any(words in reason for reason in reasons(planning))
    assert {refusal.gate for refusal in planning.refusals} == {"sop_bounds"}
    assert all(refusal.deviation or refusal.remedy for refusal in planning.refusals)


def test_values_within_the_bounds_pass_and_stand_in_the_plan():
    planning = make_plan(
        plan_inputs(
            spec=a_spec(
                success_threshold="90%",
                error_threshold=ErrorThresholdSpec("5%", 7, 4),
                max_concurrency="20%",
                ready_quorum=2,
                attempts_max=5,
                deadline_seconds=3600,
                waves=(WaveRule("a", 2, 60), WaveRule("b", "100%")),
                disruption_budget=DisruptionBudget(("site",), 1),
                ticket="CHG-1",
            ),
            policy=BOUNDED,
        )
    )

    plan = planning.plan
    assert planning.refusals == ()
    assert (plan.thresholds.success, plan.thresholds.error_percent) == ("90%", "5%")
    assert (plan.thresholds.error_count, plan.thresholds.lost) == (7, 4)
    assert (plan.max_concurrency, plan.ready_quorum, plan.attempts_max) == (2, 2, 5)
    assert plan.ticket == "CHG-1"


@pytest.mark.parametrize(("count", "expected"), [(10, 5), (1000, 100)])
def test_default_concurrency_is_a_share_but_at_least_five(count: int, expected: int):
    assert planned(count).plan.max_concurrency == expected


def test_window_that_makes_no_sense_is_refused_before_anybody_waits_for_it():
    with pytest.raises(InvalidInputError, match="is no RRULE"):
        planned(window=Window("FREQ=WEEKLY;BYDAY=XX", "22:00", 3600))


def test_fixed_window_admits_no_other():
    policy = a_policy(window=SATURDAY, window_fixed=True)
    other = replace(SATURDAY, start="20:00")

    refused = make_plan(plan_inputs(policy=policy, spec=a_spec(window=other)))
    same = make_plan(plan_inputs(policy=policy, spec=a_spec(window=SATURDAY)))

    assert "fixes the window" in refused.refusals[0].reason
    assert same.refusals == ()


def test_bound_without_percent_sign_is_read_as_percent():
    limits: Limits = a_policy().limits
    policy = a_policy(
        safety=replace(a_policy().safety, success_threshold=Range(95)), limits=limits, waves=Waves((WaveRule("a", 1),))
    )

    assert make_plan(plan_inputs(policy=policy)).plan.thresholds.success == "95%"


@pytest.mark.clause("IV Materials", "missing")
def test_missing_material_is_refused():
    policy = a_policy(contacts=())
    planning = make_plan(
        plan_inputs(
            policy=policy,
            release=a_release(state=ReleaseState.WITHDRAWN),
            source_designated=False,
            manifest=a_manifest(summary="", health_checks=(HealthCheck(service="x"),)),
        )
    )

    assert [m.name for m in planning.materials if not m.present] == [
        "update files",
        "signed source",
        "contact of the IT manager",
    ]
    assert [refusal.clause for refusal in planning.refusals] == ["IV", "IV", "IV"]


def test_plan_names_its_window_and_who_is_not_ready():
    computers = [a_computer("pc1"), a_computer("pc2", readiness=not_ready())]

    planning = make_plan(plan_inputs(computers=computers, policy=a_policy(window=SATURDAY)))

    window = next(m for m in planning.materials if m.name == "window")
    assert "BYDAY=SA at 22:00" in window.message
    assert any("1 of 2 computers are not ready" in warning for warning in planning.warnings)
    assert any("no health checks" in warning for warning in planning.warnings)


def test_plan_reads_back_to_the_same_digest():
    plan = make_plan(plan_inputs(12, policy=a_policy(window=SATURDAY))).plan

    again = read_plan(plan.to_json())

    assert again == plan
    assert again.sha256() == plan.sha256()


def test_broken_plan_is_refused():
    with pytest.raises(FormatError):
        read_plan('{"format":1}')


def test_waves_are_slices_of_the_members():
    plan = a_plan(1, 2, 2)

    assert plan.wave_starts() == (0, 1, 3, 5)
    assert member_waves(plan) == (0, 1, 1, 2, 2)
    assert (plan.tail, plan.wave_name(0), plan.wave_name(3)) == (3, "w0", "tail")
