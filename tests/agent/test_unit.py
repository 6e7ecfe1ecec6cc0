"""A unit of several installers: order, one commit point, and what its parts' versions make together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.installer_port import Installer, InstallWork, OnDisk, Refusal, WayBack
from sopwith_agent.steps.unit import UnitInstaller
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.vocabulary import Symptom


class Part:
    """Remembers what it was told, in a list that all parts share; installs a file per artifact."""

    def __init__(self, name: str, told: list[str], *, joins: bool = False) -> None:
        self.name, self.told, self.joins = name, told, joins
        self.fails = ""
        self.refusal: Refusal | None = None

    def available(self) -> bool:
        return True

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        return self.refusal

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        path = root / artifacts[0].file
        return path.read_text() if path.exists() else ""

    def prepare(self, work: InstallWork) -> WayBack:
        self._tell("prepare", work)
        return WayBack("kept", "kept") if work.version_before else WayBack("removal", "was not there")

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        self._tell("apply", work)
        on_commit()
        (work.root / work.artifacts[0].file).write_text(work.manifest.version)

    def roll_back(self, work: InstallWork) -> None:
        self._tell("roll_back", work)
        (work.root / work.artifacts[0].file).write_text(work.version_before)

    def recover(self, work: InstallWork) -> OnDisk:
        version = self.installed_version(work.manifest, work.artifacts, work.root)
        if version == work.manifest.version:
            return OnDisk.NEW
        return OnDisk.OLD if version == work.version_before else OnDisk.BROKEN

    def _tell(self, act: str, work: InstallWork) -> None:
        self.told.append(f"{act} {'+'.join(artifact.file for artifact in work.artifacts)}")
        if self.fails == act:
            raise StepError(Symptom.DISK_FULL, "no room")


class Parts:
    def __init__(self, *parts: Part) -> None:
        self.parts = {part.name: part for part in parts}

    def by_name(self, name: str) -> Installer | None:
        return self.parts.get(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self.parts)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def parts(told: list[str]) -> Parts:
    return Parts(Part("archive", told), Part("deb", told, joins=True))


@pytest.fixture
def work(tmp_path: Path) -> InstallWork:
    (tmp_path / "root").mkdir()
    kinds = {"a.deb": "deb", "b.deb": "deb", "c.tar": "archive", "d.tar": "archive", "e.deb": "deb"}
    artifacts = tuple(Artifact(file, kind, 1, "0" * 64) for file, kind in kinds.items())
    manifest = Manifest("hello", "2", artifacts)
    return InstallWork(manifest, artifacts, (), tmp_path / "root", tmp_path / "kept", "")


def put(work: InstallWork, **versions: Any) -> None:
    for name, version in versions.items():
        (work.root / f"{name}.{'tar' if name in 'cd' else 'deb'}").write_text(version)


def test_parts_come_in_the_manifests_order_and_go_in_reverse(work: InstallWork, parts: Parts, told: list[str]) -> None:
    unit, commits = UnitInstaller(parts), []
    unit.prepare(work)
    unit.apply(work, lambda: commits.append(len(told)))
    unit.roll_back(work)

    order = ["a.deb+b.deb", "c.tar", "d.tar", "e.deb"]
    assert told[:8] == [f"prepare {part}" for part in order] + [f"apply {part}" for part in order]
    assert told[8:] == [f"roll_back {part}" for part in reversed(order)]
    assert commits == [5]


def test_failure_of_a_later_part_says_that_the_computer_changed(work: InstallWork, parts: Parts) -> None:
    unit = UnitInstaller(parts)
    unit.prepare(work)
    parts.parts["archive"].fails = "apply"

    with pytest.raises(StepError) as failed:
        unit.apply(work, lambda: None)

    assert failed.value.changed
    assert unit.recover(work) is OnDisk.BROKEN


def test_failure_of_the_first_part_changed_nothing(work: InstallWork, parts: Parts) -> None:
    unit = UnitInstaller(parts)
    unit.prepare(work)
    parts.parts["deb"].fails = "apply"

    with pytest.raises(StepError) as failed:
        unit.apply(work, lambda: pytest.fail("committed"))

    assert not failed.value.changed
    assert unit.recover(work) is OnDisk.OLD


def test_part_that_does_not_change_is_old_and_new(work: InstallWork, parts: Parts) -> None:
    put(work, a="1", c="2", d="1", e="1")
    unit = UnitInstaller(parts)
    unit.prepare(work)

    assert unit.recover(work) is OnDisk.OLD
    unit.apply(work, lambda: None)
    assert unit.recover(work) is OnDisk.NEW
    unit.roll_back(work)
    assert unit.recover(work) is OnDisk.OLD


def test_unit_has_a_version_only_where_all_parts_share_it(work: InstallWork, parts: Parts) -> None:
    def version() -> str:
        return UnitInstaller(parts).installed_version(work.manifest, work.artifacts, work.root)

    assert version() == ""
    put(work, a="1")
    assert version() == "1~partial"
    put(work, c="1", d="1", e="1")
    assert version() == "1"


def test_refusal_of_one_part_is_the_units(work: InstallWork, parts: Parts) -> None:
    parts.parts["archive"].refusal = Refusal(Symptom.NOT_APPLICABLE, "not here")

    assert UnitInstaller(parts).applicable(work.manifest, work.artifacts, work.root) == parts.parts["archive"].refusal


def test_note_of_another_version_is_not_this_install(work: InstallWork, parts: Parts, told: list[str]) -> None:
    unit = UnitInstaller(parts)
    unit.prepare(work)
    other = replace(work, manifest=replace(work.manifest, version="3"))
    told.clear()

    unit.roll_back(other)

    assert told == []
    assert unit.recover(other) is OnDisk.OLD
