"""A computer's pending updates, resolved by its apt, become one release; the whole fleet gets exactly that set."""

import re

import pytest

from tests.agent.apt_repository import apt_computer, apt_repository, fetch_lists
from tests.agent.packages import build_package, dpkg_below
from tests.system.fleet import Fleet

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(200),
    pytest.mark.needs_tool("apt-get", "dpkg", "dpkg-deb", "gpg", "gpgconf"),
]

NAMES = ("pc1", "pc2")
ROLLOUT = """rollout: os-updates
release: os-updates@2026.11.22
sop: SU-SOP-001
waves: [{name: all, size: 100%}]
max_concurrency: 5
"""


def test_pending_updates_are_gathered_and_rolled_out_as_one_set(governed_fleet: Fleet) -> None:
    fleet, folder = governed_fleet, governed_fleet.folder
    with apt_repository() as repository:
        old = [build_package(folder, "1.0-1"), build_package(folder, "1.0", name="hello-data")]
        repository.publish(
            build_package(folder, "1:2.0-1", fields="Depends: hello-data (= 2.0)\n"),
            build_package(folder, "2.0", name="hello-data"),
        )
        roots = [apt_computer(folder / f"{name}-root", repository, *old) for name in NAMES]
        fleet.computers(*NAMES)
        where = ("--out", str(folder / "set"), "--apt-folder", str(repository.apt_folder(folder / "apt")))
        told = fleet.until("facts of apt", lambda: fleet.json("computer", "show", "pc1")["facts"].get("apt_upgrades"))

        fleet.sopwith("release", "gather", "--from-apt", "--like", "pc1", "--version", "2026.11.22", *where)
        repository.publish(build_package(folder, "3.0", name="hello-data"))
        fetch_lists(roots[1])
    fleet.publish(folder / "set")
    rollout = fleet.start(ROLLOUT)
    shown = fleet.finish(rollout)

    assert {(item["package"], item["installed"], item["candidate"]) for item in told} == {
        ("hello", "1.0-1", "1:2.0-1"),
        ("hello-data", "1.0", "2.0"),
    }
    assert shown["counts"]["succeeded"] == 2
    for root in roots:
        assert re.findall(r"^ii +(\S+) +(\S+)", dpkg_below(root, "-l"), re.MULTILINE) == [
            ("hello", "1:2.0-1"),
            ("hello-data", "2.0"),
        ]
    ended = [entry for entry in fleet.json("log", "list") if entry["rollout"] == rollout and entry["outcome"]]
    assert {entry["version_after"] for entry in ended} == {"2026.11.22"}
    assert all(entry["version_before"].startswith("0~") for entry in ended)
