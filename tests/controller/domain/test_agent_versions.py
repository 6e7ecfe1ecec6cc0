"""A release of the agent itself begins with one computer whatever was asked, and only served versions are planned."""

from dataclasses import replace

import pytest

from sopwith_controller.domain.agent_versions import served
from sopwith_controller.domain.planning import make_plan
from sopwith_formats.manifest import Artifact
from sopwith_formats.rollout_spec import ErrorThresholdSpec
from sopwith_formats.sop_policy import WaveRule
from tests.controller.domain.builders import a_manifest, a_policy, a_spec, plan_inputs

AGENT = a_manifest(name="sopwith-agent", version="0.1.9", artifacts=(Artifact("a.tar.gz", "agent", 1, "0" * 64),))


@pytest.mark.parametrize(
    ("own", "agent", "yes"),
    [
        ("1.4.0", "1.4.7", True),
        ("1.4.0", "1.3.0", True),
        ("1.4.0", "1.2.9", False),
        ("1.4.0", "1.5.0", False),
        ("2.0.1", "1.9.0", True),
        ("2.1.0", "1.9.0", False),
        ("1.0.0", "2.0.0", False),
        ("0.1.0", "0.1.0.dev3+g1", True),
        ("0.1.0", "0.0.9", True),
        ("0.1.0", "", True),
        ("development", "0.1.0", True),
    ],
)
def test_controller_serves_its_own_minor_version_and_the_one_before(own: str, agent: str, yes: bool):
    assert served(own, agent) is yes


@pytest.mark.parametrize(
    "spec",
    [
        a_spec(waves=(WaveRule("all", "100%"),)),
        a_spec(waves=(WaveRule("all", "100%"),), emergency=True),
        a_spec(waves=(WaveRule("canary", 4, 60), WaveRule("rest", "100%"))),
        a_spec(emergency=True),
        a_spec(),
        a_spec(error_threshold=ErrorThresholdSpec("100%", 50, 50), success_threshold="0%"),
    ],
)
def test_agent_release_begins_with_one_computer_and_stops_at_one_error_whatever_was_asked(spec):
    inputs = plan_inputs(20, spec=spec, manifest=AGENT)

    plan = make_plan(inputs).plan

    assert plan.waves[0].size == 1
    assert sum(wave.size for wave in plan.waves) == 20
    assert len({wave.name for wave in plan.waves}) == len(plan.waves)
    assert (plan.thresholds.error_count, plan.thresholds.lost) == (1, 1)
    assert plan.waves[0].soak_seconds >= inputs.policy.waves.soak_min_seconds


def test_other_releases_keep_the_waves_that_were_asked_for():
    plan = make_plan(plan_inputs(20, spec=a_spec(waves=(WaveRule("all", "100%"),)))).plan

    assert [wave.size for wave in plan.waves] == [20]


def test_wave_that_the_sop_bounds_by_a_share_does_not_refuse_the_forced_canary():
    policy = a_policy()
    policy = replace(policy, waves=replace(policy.waves, first_size_max="10%"))
    spec = a_spec(waves=(WaveRule("some", "10%", 7200), WaveRule("rest", "100%")))

    planning = make_plan(plan_inputs(20, spec=spec, policy=policy, manifest=AGENT))

    assert [wave.size for wave in planning.plan.waves] == [1, 2, 17]
    assert not [refusal for refusal in planning.refusals if refusal.gate == "sop_bounds"]


@pytest.mark.parametrize(("version", "refused"), [("0.1.9", False), ("0.2.0", True), ("1.0.0", True)])
def test_agent_that_could_not_connect_any_more_is_not_planned(version: str, refused: bool):
    manifest = replace(AGENT, version=version)

    planning = make_plan(plan_inputs(3, manifest=manifest, controller_version="0.1.0"))

    reasons = [refusal.reason for refusal in planning.refusals if "is not served" in refusal.reason]
    assert bool(reasons) is refused
