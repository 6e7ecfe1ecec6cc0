"""Gathering a computer's updates with the real apt from a small signed repository, up to their installation."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sopwith_agent.adapters.installers.apt import AptInstaller
from sopwith_agent.adapters.sensors.facts import facts
from sopwith_agent.adapters.sensors.pending_updates import PendingUpdates, read_simulation
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.installer_port import InstallWork, OnDisk
from sopwith_agent.steps.ports import StagedFile
from sopwith_controller.desk.apt_gathering import Pending, gather_updates, read_pending
from sopwith_controller.desk.errors import DeskError
from sopwith_formats.release_document import read_release_folder
from sopwith_formats.vocabulary import Symptom
from tests.agent.apt_repository import AptRepository, apt_computer, apt_repository, fetch_lists
from tests.agent.packages import build_package, dpkg_below

pytestmark = pytest.mark.needs_tool("apt-get", "dpkg-deb", "gpg", "gpgconf")


@pytest.fixture
def repository() -> Iterator[AptRepository]:
    with apt_repository() as repository:
        yield repository


def updates(folder: Path) -> list[Path]:
    """Two updates that need each other, and a package that comes new with them."""
    return [
        build_package(folder, "1:2.0-1", fields="Depends: hello-data (= 2.0), hello-new\n"),
        build_package(folder, "2.0", name="hello-data"),
        build_package(folder, "5", name="hello-new"),
    ]


def computer(folder: Path, repository: AptRepository, name: str = "pc1") -> Path:
    old = [build_package(folder, "1.0-1"), build_package(folder, "1.0", name="hello-data")]
    return apt_computer(folder / name, repository, *old)


def pending(root: Path) -> Pending:
    found = {**facts(root, ()), **PendingUpdates(root).facts(), "distribution": "debian"}
    return read_pending("pc1", found)


def work(release: Path, root: Path, kept: Path, before: str = "") -> InstallWork:
    folder = read_release_folder(release)
    files = tuple(
        StagedFile(item.file, folder.files[item.file], item.length, item.sha256) for item in folder.manifest.artifacts
    )
    artifacts = folder.manifest.artifacts
    before = before or AptInstaller().installed_version(folder.manifest, artifacts, root)
    return InstallWork(folder.manifest, artifacts, files, root, kept, before, timeout_seconds=60)


def versions(root: Path) -> str:
    return " ".join(sorted(dpkg_below(root, "-l").split("ii  ")[1:])).replace("\n", " ")


def test_pending_updates_become_one_release_that_installs_without_network_and_goes_back(
    tmp_path: Path, repository: AptRepository
) -> None:
    repository.publish(*updates(tmp_path))
    root = computer(tmp_path, repository)
    waiting = pending(root)

    path = gather_updates(
        waiting, tmp_path / "set", "os-updates", "2026.11.22", repository.apt_folder(tmp_path / "etc-apt")
    )
    (repository.folder / "Packages").unlink()
    unit = work(tmp_path / "set", root, tmp_path / "kept")
    states = versions(root)
    way = AptInstaller().prepare(unit)
    AptInstaller().apply(unit, lambda: None)

    assert {(u.package, u.installed, u.candidate) for u in waiting.updates} == {
        ("hello", "1.0-1", "1:2.0-1"),
        ("hello-data", "1.0", "2.0"),
        ("hello-new", "", "5"),
    }
    assert path.parent == tmp_path / "set"
    assert unit.version_before.startswith("0~")
    assert way.possible
    assert AptInstaller().installed_version(unit.manifest, unit.artifacts, root) == "2026.11.22"
    assert (root / "usr/bin/hello").read_text().split()[-1] == "1:2.0-1"

    AptInstaller().roll_back(unit)

    assert AptInstaller().recover(unit) is OnDisk.OLD
    assert AptInstaller().installed_version(unit.manifest, unit.artifacts, root) == unit.version_before
    assert versions(root) == states
    assert not (root / "usr/bin/hello-new").exists()


def test_set_installs_the_same_versions_where_newer_ones_appeared_meanwhile(
    tmp_path: Path, repository: AptRepository
) -> None:
    repository.publish(*updates(tmp_path))
    canary, last = computer(tmp_path, repository), computer(tmp_path / "b", repository, "pc2")
    gather_updates(pending(canary), tmp_path / "set", "os-updates", "1", repository.apt_folder(tmp_path / "etc-apt"))
    repository.publish(build_package(tmp_path, "3.0", name="hello-data"))
    fetch_lists(last)

    for number, root in enumerate((canary, last)):
        unit = work(tmp_path / "set", root, tmp_path / f"kept-{number}")
        AptInstaller().prepare(unit)
        AptInstaller().apply(unit, lambda: None)

    assert versions(canary) == versions(last)


def test_package_that_is_newer_on_the_computer_is_not_taken_back(tmp_path: Path, repository: AptRepository) -> None:
    repository.publish(*updates(tmp_path))
    root = computer(tmp_path, repository)
    gather_updates(pending(root), tmp_path / "set", "os-updates", "1", repository.apt_folder(tmp_path / "etc-apt"))
    dpkg_below(root, "--install", build_package(tmp_path, "2.5", name="hello-data"))
    unit = work(tmp_path / "set", root, tmp_path / "kept")

    with pytest.raises(StepError) as refused:
        AptInstaller().prepare(unit)

    assert refused.value.symptom is Symptom.VERSION_POLICY
    artifacts = (replace(unit.artifacts[0], options={"package": "hello"}),)
    refusal = AptInstaller().applicable(unit.manifest, artifacts, root)
    assert refusal is not None
    assert refusal.symptom is Symptom.CONTENT_REFUSED


def refused(tmp_path: Path, waiting: Pending, apt_folder: Path) -> str:
    with pytest.raises(DeskError) as error:
        gather_updates(waiting, tmp_path / "refused", "os-updates", "1", apt_folder)
    assert not (tmp_path / "refused").exists()
    return str(error.value.message)


@pytest.mark.clause("V.A Gather", "gather")
def test_only_what_the_distributions_own_key_signed_is_gathered(tmp_path: Path, repository: AptRepository) -> None:
    repository.publish(*updates(tmp_path))
    waiting = pending(computer(tmp_path, repository))
    honest = repository.apt_folder(tmp_path / "etc-apt")
    with apt_repository() as other:
        strange = repository.apt_folder(tmp_path / "strange", options=f"signed-by={other.key}")
        assert "cannot be fetched and verified" in refused(tmp_path, waiting, strange)

    trusting = repository.apt_folder(tmp_path / "trusting", options="trusted=yes")
    assert "without its signature" in refused(tmp_path, waiting, trusting)

    package = repository.folder / "hello-data_2.0_all.deb"
    whole = package.read_bytes()
    package.write_bytes(whole.replace(b"2.0", b"6.6"))
    assert "the updates cannot be fetched and verified" in refused(tmp_path, waiting, honest)
    package.write_bytes(whole)

    repository.publish(sign=False)
    assert "the distribution's lists cannot be fetched and verified" in refused(tmp_path, waiting, honest)


def test_update_that_the_sources_no_longer_have_is_named(tmp_path: Path, repository: AptRepository) -> None:
    repository.publish(*updates(tmp_path))
    waiting = pending(computer(tmp_path, repository))
    (repository.folder / "hello-data_2.0_all.deb").unlink()
    repository.publish(build_package(tmp_path, "2.1", name="hello-data"))

    message = refused(tmp_path, waiting, repository.apt_folder(tmp_path / "etc-apt"))

    assert "2.0" in message
    assert "hello-data" in message


def test_facts_that_say_nothing_or_not_all_are_no_set() -> None:
    item = {"package": "hello", "installed": "1", "candidate": "2", "arch": "amd64"}
    for facts_of, fault in (
        ({}, "tells of no apt updates"),
        ({"apt_upgrades": []}, "no pending updates"),
        ({"apt_upgrades": [item], "apt_upgrades_total": 3.0}, "has 3 pending updates and tells of 1"),
        ({"apt_upgrades": [{**item, "package": "--option"}]}, "that no apt would"),
        ({"apt_upgrades": [{**item, "candidate": "2 evil"}]}, "that no apt would"),
        ({"apt_upgrades": [{**item, "arch": "../x"}]}, "that no apt would"),
    ):
        with pytest.raises(DeskError, match=fault):
            read_pending("pc1", facts_of)


def test_simulated_upgrade_is_read_as_apt_writes_it() -> None:
    lines = (
        "Inst libssl3 [3.0.19-1] (3.0.22-1 Debian-Security:12/oldstable-security [amd64]) []\n"
        "Inst linux-image (6.1 Debian:12 [amd64])\nConf libssl3 (3.0.22-1 Debian:12 [amd64])\n"
    )

    found = read_simulation(lines)

    assert found["apt_upgrades_total"] == 2
    assert found["apt_upgrades"][0] == {
        "package": "libssl3",
        "installed": "3.0.19-1",
        "candidate": "3.0.22-1",
        "arch": "amd64",
    }
    assert found["apt_upgrades"][1]["installed"] == ""


def test_computer_without_apt_lists_tells_nothing(tmp_path: Path) -> None:
    assert PendingUpdates(tmp_path).facts() == {}
