"""Real disks that are too small, fill up on the way, or turn read-only (fault cases 51, 52, 54)."""

import os
from pathlib import Path

import pytest

from sopwith_agent.adapters.source_download import Downloader
from sopwith_agent.adapters.source_transport import Transport
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.ports import Journal
from sopwith_formats.vocabulary import Symptom
from tests.agent.workshop import Workshop
from tests.faults.hostile_source import SourceRepository, serving
from tests.faults.tiny_disk import on_tiny_disk, set_read_only

NAME = "hello/2/hello.deb"
CONTENT = os.urandom(400_000)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


def test_case_52_file_that_is_larger_than_the_disk_is_not_asked_for(disk: Path) -> None:
    with serving(SourceRepository()) as server:
        server.repository.add_target(NAME, CONTENT)

        def fetch() -> None:
            with Transport() as transport, pytest.raises(StepError) as caught:
                Downloader(transport, server.files_url, disk / "parts", hash_prefixed=True).fetch(
                    server.repository.targets.targets[NAME], disk / "hello.deb", lambda _d, _t: None, lambda: False
                )
            assert caught.value.symptom is Symptom.DISK_FULL

        on_tiny_disk(disk, "size=300k,mode=755", fetch)

        assert server.requests == []


def test_case_52_disk_that_fills_up_on_the_way_is_told_and_the_file_is_finished_later(disk: Path) -> None:
    with serving(SourceRepository()) as server:
        server.repository.add_target(NAME, CONTENT)
        target = server.repository.targets.targets[NAME]

        def fetch() -> None:
            filler = disk / "somebody-elses-file"

            def fill(_done: int, _total: int) -> None:
                with filler.open("wb") as file:
                    try:
                        while True:
                            file.write(bytes(4096))
                            file.flush()
                    except OSError:
                        return

            with Transport() as transport:
                downloader = Downloader(transport, server.files_url, disk / "parts", hash_prefixed=True)
                with pytest.raises(StepError) as caught:
                    downloader.fetch(target, disk / "hello.deb", fill, lambda: False)
                assert caught.value.symptom is Symptom.DISK_FULL
                assert not (disk / "hello.deb").exists()
                filler.unlink()
                downloader.fetch(target, disk / "hello.deb", lambda _d, _t: None, lambda: False)
            assert (disk / "hello.deb").read_bytes() == CONTENT

        on_tiny_disk(disk, "size=900k,mode=755", fetch)


class JournalOnADiskThatTurns:
    """The real journal; its disk turns read-only before the n-th write, or full."""

    def __init__(self, journal: Journal, disk: Path, turns_at: int, *, full: bool) -> None:
        self._journal = journal
        self._disk = disk
        self._writes_left = turns_at
        self._full = full
        self.turned = False

    def save(self, record: Record) -> None:
        self._writes_left -= 1
        if self._writes_left == 0:
            self.turned = True
            if self._full:
                self._fill()
            else:
                set_read_only(self._disk, read_only=True)
        self._journal.save(record)

    def mend(self) -> None:
        """Give the disk back as it was."""
        if self._full:
            (self._disk / "filler").unlink()
        else:
            set_read_only(self._disk, read_only=False)

    def _fill(self) -> None:
        with (self._disk / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)


def work(shop: Workshop, rounds: int) -> None:
    """Work on while time passes, also where nothing is in hand: what the disk refused waits to be tried again."""
    for _ in range(rounds):
        shop.worker.run_until_idle()
        shop.clock.advance(30)
        shop.worker.wake()


@pytest.mark.parametrize("full", [False, True], ids=["case_54_read_only", "case_51_full"])
def test_state_folder_that_takes_no_write_stops_everything_and_nothing_is_half_done(disk: Path, full: bool) -> None:
    def update() -> None:
        for turns_at in range(1, 40):
            folder = disk / f"run-{turns_at}"
            folder.mkdir()
            shop = Workshop(folder)
            shop.install("1")
            faulty: list[JournalOnADiskThatTurns] = []

            def wrap(journal: Journal, at: int = turns_at, kept: list[JournalOnADiskThatTurns] = faulty) -> object:
                kept.append(JournalOnADiskThatTurns(journal, disk, at, full=full))
                return kept[0]

            shop.start(wrap)
            shop.offer(shop.warrant(shop.publish("2")))
            work(shop, rounds=6)
            if not faulty[0].turned:
                assert turns_at > 5
                return
            commits, installed = shop.installer.commits, shop.installed()
            assert installed in {"1", "2"}
            assert commits <= 1

            faulty[0].mend()
            work(shop, rounds=60)

            outcome = shop.receipt().outcome
            assert outcome in {"SUCCEEDED", "ROLLED_BACK"}
            assert shop.installed() == shop.receipt().version_after == ("2" if outcome == "SUCCEEDED" else "1")
            assert shop.installer.commits <= 1
        raise AssertionError("the update never came to its end")

    on_tiny_disk(disk, "size=4m,mode=755", update)
