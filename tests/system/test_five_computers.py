"""Real packages and archives go from version to version on five computers, one of which fails its health check."""

import pytest

from tests.system.fleet import Fleet
from tests.system.packages import archive_version, build_archive, build_deb, deb_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(280)]

NAMES = ("pc1", "pc2", "pc3", "pc4", "pc5")


def rollout(version: str) -> str:
    return (
        f"rollout: beacon-{version}\nrelease: beacon@{version}\nsop: SU-SOP-001\n"
        "waves: [{name: all, size: 100%}]\nmax_concurrency: 5\n"
        "error_threshold: {percent: 100, count: 99, lost: 99}\nsuccess_threshold: 0%\n"
    )


@pytest.mark.parametrize(
    ("build", "version_of"),
    [
        pytest.param(build_deb, deb_version, marks=pytest.mark.needs_tool("dpkg"), id="deb"),
        pytest.param(build_archive, archive_version, id="archive"),
    ],
)
def test_one_of_five_rolls_back_and_runs_the_old_version(governed_fleet: Fleet, build, version_of):
    fleet = governed_fleet
    fleet.computers(*NAMES)
    fleet.publish(build(fleet.folder, "1"))
    fleet.publish(build(fleet.folder, "2"))

    first = fleet.start(rollout("1"))
    fleet.finish(first)
    assert [version_of(fleet.folder / f"{name}-root") for name in NAMES] == ["1"] * 5
    broken = fleet.folder / "pc3-root" / "etc" / "beacon-broken"
    broken.parent.mkdir(exist_ok=True)
    broken.touch()
    second = fleet.start(rollout("2"))
    shown = fleet.finish(second, expect=(5,))

    assert shown["state"] == "COMPLETED"
    assert (shown["counts"]["succeeded"], shown["counts"]["rolled_back"]) == (4, 1)
    outcomes = fleet.outcomes(second)
    assert outcomes == {name: "ROLLED_BACK" if name == "pc3" else "SUCCEEDED" for name in NAMES}
    versions = {name: version_of(fleet.folder / f"{name}-root") for name in NAMES}
    assert versions == {name: "1" if name == "pc3" else "2" for name in NAMES}
    entry = next(
        e for e in fleet.json("log", "list") if e["rollout"] == second and e["computer"] == "pc3" and e["outcome"]
    )
    assert (entry["version_before"], entry["version_after"], entry["symptom"]) == ("1", "1", "HEALTH_CHECK_FAILED")
    fleet.sopwith("log", "verify")
