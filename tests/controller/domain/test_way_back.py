"""The way back in a plan: what keeps the version that runs, and the gate for a release that has none."""

from dataclasses import replace

import pytest

from sopwith_controller.domain.deviation import DEVIABLE
from sopwith_controller.domain.planning import make_plan
from sopwith_controller.domain.way_back import GATE, MATERIAL
from sopwith_formats.manifest import Artifact
from tests.controller.domain.builders import a_manifest, a_policy, plan_inputs


def a_script(**options: object) -> Artifact:
    return Artifact("set-up.sh", "script", 100, "1" * 64, options=dict(options))


def material_of(planning):
    return next(item for item in planning.materials if item.name == MATERIAL)


@pytest.mark.clause("V.C Safety", "backup")
def test_script_without_a_rollback_is_refused_and_a_deviation_may_open_it():
    planning = make_plan(plan_inputs(manifest=a_manifest(artifacts=(a_script(),))))

    assert [(one.gate, one.clause) for one in planning.refusals] == [("rollback_available", "V.C")]
    assert planning.refusals[0].deviation
    assert "set-up.sh cannot be taken back" in planning.refusals[0].reason
    assert not material_of(planning).present
    assert GATE in DEVIABLE


def test_script_with_its_rollback_passes():
    planning = make_plan(plan_inputs(manifest=a_manifest(artifacts=(a_script(rollback=["--undo"]),))))

    assert planning.refusals == ()
    assert material_of(planning).message == "the script's own rollback"


def test_sop_that_wants_no_way_back_only_says_that_there_is_none():
    policy = a_policy(safety=replace(a_policy().safety, backup="none"))

    planning = make_plan(plan_inputs(policy=policy, manifest=a_manifest(artifacts=(a_script(),))))

    assert planning.refusals == ()
    assert material_of(planning).present
    assert "cannot be taken back" in material_of(planning).message


@pytest.mark.parametrize(
    ("installer", "words"),
    [("archive", "stays in its folder"), ("deb", "packed again"), ("example.file", "the installer's own")],
)
def test_plan_says_how_the_running_version_comes_back(installer, words):
    artifact = Artifact("file", installer, 100, "1" * 64)

    assert words in material_of(make_plan(plan_inputs(manifest=a_manifest(artifacts=(artifact,))))).message
