"""Real packages and archives go from version to version on five computers, one of which fails its health check."""

import pytest

from tests.system.fleet import Fleet
from tests.system.packages import archive_version, build_archive, build_deb, deb_version

NAMES = ("pc1", "pc2", "pc3", "pc4", "pc5")

pytestmark = [pytest.mark.system, pytest.mark.timeout(280)]


def rollout(name: str, version: str) -> str:
    return (
        f"rollout: {name}-{version}\nrelease: {name}@{version}\nsop: SU-SOP-001\n"
        "waves: [{name: all, size: 100%}]\nmax_concurrency: 5\n"
        "error_threshold: {percent: 100, count: 99, lost: 99}\nsuccess_threshold: 0%\n"
    )


@pytest.fixture(scope="module")
def five(governed_fleet: Fleet) -> Fleet:
    governed_fleet.computers(*NAMES)
    broken = governed_fleet.folder / "pc3-root" / "etc" / "beacon-broken"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.touch()
    return governed_fleet


@pytest.mark.parametrize(
    ("name", "build", "version_of"),
    [
        pytest.param("packed", build_deb, deb_version, marks=pytest.mark.needs_tool("dpkg"), id="deb"),
        pytest.param("laid", build_archive, archive_version, id="archive"),
    ],
)
def test_one_of_five_rolls_back_and_runs_the_old_version(five: Fleet, name, build, version_of):
    for version in ("1", "2"):
        five.publish(build(five.folder, version, name))

    first = five.start(rollout(name, "1"))
    five.finish(first)
    assert [version_of(five.folder / f"{computer}-root", name) for computer in NAMES] == ["1"] * 5
    second = five.start(rollout(name, "2"))
    shown = five.finish(second, expect=(5,))

    assert shown["state"] == "COMPLETED"
    assert (shown["counts"]["succeeded"], shown["counts"]["rolled_back"]) == (4, 1)
    outcomes = five.outcomes(second)
    assert outcomes == {computer: "ROLLED_BACK" if computer == "pc3" else "SUCCEEDED" for computer in NAMES}
    versions = {computer: version_of(five.folder / f"{computer}-root", name) for computer in NAMES}
    assert versions == {computer: "1" if computer == "pc3" else "2" for computer in NAMES}
    ended = [entry for entry in five.json("log", "list") if entry["rollout"] == second and entry["outcome"]]
    entry = next(entry for entry in ended if entry["computer"] == "pc3")
    assert (entry["version_before"], entry["version_after"], entry["symptom"]) == ("1", "1", "HEALTH_CHECK_FAILED")
    five.sopwith("log", "verify")
