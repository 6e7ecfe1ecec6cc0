"""Cases 40 to 49 by the harness: the agent killed, and its power cut, at a few calls of each step; `make crash`: all.

The last tests plant mistakes in the product and look that the harness finds them: a model that never says no proves
nothing.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sopwith_agent.adapters.journal import FileJournal
from sopwith_agent.adapters.source_folder import SourceFolder
from sopwith_agent.adapters.source_metadata import SourceMetadata
from sopwith_agent.adapters.source_transport import Transport
from sopwith_agent.domain.record import Record
from tests.faults.crash.disks import FolderDisk, ImageDisk, loop_image, loop_refusal
from tests.faults.crash.harness import Points, some, sweep
from tests.faults.crash.killer import Point, can_trace, run
from tests.faults.crash.steps import STEPS, Step
from tests.faults.crash.world import World, served_world
from tests.faults.hostile_source import SourceRepository

pytestmark = [pytest.mark.needs_tool("strace"), pytest.mark.timeout(300)]

KILLS, CUTS = 3, 1
"""Points per step; the end of each step is one more."""
BY_NAME = {step.name: step for step in STEPS}


@pytest.fixture(scope="module", autouse=True)
def tracing() -> None:
    refusal = can_trace()
    if refusal:
        pytest.skip(refusal)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, FolderDisk]]:
    folder = tmp_path_factory.mktemp("killed")
    disk = FolderDisk(folder)
    with served_world(disk.path, folder / "www", World) as world:
        yield world, disk


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, ImageDisk]]:
    folder = tmp_path_factory.mktemp("power")
    refusal = loop_refusal(folder / "probe")
    if refusal:
        pytest.skip(refusal)
    with loop_image(folder / "disk") as disk, served_world(disk.path, folder / "www", World) as world:
        yield world, disk


def of(call: str) -> Callable[[Points], list[Point]]:
    """Choose the points of one call, the last ones first."""
    return lambda points: [point for point in reversed(points) if point.call == call]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name.replace(" ", "-"))
def test_killed_agent_goes_on_from_what_it_wrote_down(killed, step: Step):
    world, disk = killed

    counts = sweep(step, world, disk, some(KILLS, len(step.name)))

    assert counts.points == KILLS + 1
    assert counts.violations == []


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name.replace(" ", "-"))
def test_power_cut_leaves_old_or_new_and_keeps_every_promise(cut_off, step: Step):
    world, disk = cut_off

    counts = sweep(step, world, disk, some(CUTS, 2 * len(step.name)))

    assert counts.points == CUTS + 1
    assert counts.violations == []


def test_case_8_walk_over_forty_roots_that_was_killed_half_way_goes_on(killed, tmp_path):
    world, _ = killed
    repository = SourceRepository()
    repository.rotate("root", count=39)
    repository.publish()
    world.serve(repository.files)

    def refresh() -> dict[str, int]:
        trust = SourceFolder(tmp_path / "trust")
        trust.trust(repository.files["/metadata/1.root.json"])
        with Transport() as transport:
            return SourceMetadata(trust, f"{world.base}/metadata/", transport).refresh().versions

    # Each root is brought to the disk under its own name; the twentieth of them is where the agent dies.
    half_way = run(lambda promise: promise(str(refresh())), Point("rename", 20))
    kept = SourceFolder(tmp_path / "trust").trusted_root().version

    assert half_way.killed
    assert 1 < kept < 40
    assert refresh()["root"] == 40


def test_harness_finds_an_agent_that_does_not_flush(cut_off, monkeypatch):
    world, disk = cut_off
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)

    counts = sweep(BY_NAME["renew"], world, disk, some(1))

    assert counts.violations


def test_harness_finds_an_agent_that_writes_in_place(killed, monkeypatch):
    world, disk = killed

    def in_place(path: Path, data: bytes, mode: int = 0o644) -> None:
        path.write_bytes(data)
        path.chmod(mode)

    for module in ("sopwith_certs.renewal", "sopwith_agent.adapters.outbox", "sopwith_agent.adapters.journal"):
        monkeypatch.setattr(f"{module}.durable_write" if "certs" in module else f"{module}.durable_replace", in_place)

    counts = sweep(BY_NAME["stage and start"], world, disk, of("write"), until_found=True)

    assert counts.violations


def test_harness_finds_an_agent_that_commits_before_it_says_so(killed, monkeypatch):
    world, disk = killed
    save: Callable[[FileJournal, Record], None] = FileJournal.save

    def forgetful(self: FileJournal, record: Record) -> None:
        if record.commits and record.state == "INSTALLING":
            return  # the commit is carried in memory only
        save(self, replace(record, commits=min(1, record.commits)))

    monkeypatch.setattr(FileJournal, "save", forgetful)

    counts = sweep(BY_NAME["install and switch"], world, disk, of("fsync"), until_found=True)

    assert counts.violations
