"""The wheel installer with the computer's own Python and pip, offline."""

import subprocess
from pathlib import Path

import pytest

from sopwith_agent.adapters.installers.wheel import WheelInstaller
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.steps.installer_port import InstallWork
from sopwith_formats.vocabulary import Symptom
from tests.agent.wheels import build_wheel, wheel_work
from tests.contracts.installer_benches import with_options

pytestmark = pytest.mark.needs_tool("python3")


def install(work: InstallWork) -> InstallWork:
    WheelInstaller().prepare(work)
    WheelInstaller().apply(work, lambda: None)
    return work


def prints(work: InstallWork) -> str:
    program = work.root / "opt/hello/current/bin/hello"
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout.strip()


def test_program_of_a_wheel_runs_through_the_link_with_what_it_needs(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, "1.0", fields="Requires-Dist: helper >= 2\n")
    helper = build_wheel(tmp_path, "2.1", name="helper")

    work = install(wheel_work(tmp_path, wheel, helper, version="1.0"))

    assert prints(work) == "1.0"
    assert WheelInstaller().installed_version(work.manifest, work.artifacts, work.root) == "1.0"
    assert not list(work.kept.rglob("*.whl"))


def test_missing_requirement_is_found_before_the_link_is_switched(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, "1.0", fields="Requires-Dist: missing-thing\n")
    work = wheel_work(tmp_path, wheel, version="1.0")
    WheelInstaller().prepare(work)

    with pytest.raises(StepError) as failed:
        WheelInstaller().apply(work, lambda: pytest.fail("committed"))

    assert failed.value.symptom is Symptom.DEPENDENCY_CONFLICT
    assert "missing-thing" in failed.value.message
    assert not failed.value.changed
    assert list((work.root / "opt/hello").iterdir()) == []


def test_wheel_for_a_newer_python_is_not_applicable(tmp_path: Path) -> None:
    work = wheel_work(tmp_path, build_wheel(tmp_path, "1.0", fields="Requires-Python: >=3.99\n"), version="1.0")
    WheelInstaller().prepare(work)

    with pytest.raises(StepError) as failed:
        WheelInstaller().apply(work, lambda: pytest.fail("committed"))

    assert failed.value.symptom is Symptom.NOT_APPLICABLE


def test_wheel_of_another_version_than_the_release_says_is_refused(tmp_path: Path) -> None:
    work = wheel_work(tmp_path, build_wheel(tmp_path, "1.0"), version="1.1")

    with pytest.raises(TrustError) as refused:
        WheelInstaller().prepare(work)

    assert refused.value.symptom is Symptom.CONTENT_REFUSED


def test_python_that_is_not_there_makes_the_release_not_applicable(tmp_path: Path) -> None:
    work = with_options(wheel_work(tmp_path, build_wheel(tmp_path, "1.0"), version="1.0"), python="/opt/none/python3")

    refusal = WheelInstaller().applicable(work.manifest, work.artifacts, work.root)

    assert refusal is not None
    assert refusal.symptom is Symptom.NOT_APPLICABLE


def test_environment_that_somebody_damaged_does_not_count_as_installed(tmp_path: Path) -> None:
    work = install(wheel_work(tmp_path, build_wheel(tmp_path, "1.0"), version="1.0"))

    for metadata in (work.root / "opt/hello/1.0").rglob("METADATA"):
        metadata.unlink()

    assert WheelInstaller().installed_version(work.manifest, work.artifacts, work.root) == ""
