"""Kill the agent at every write of its journal and every moment of an install: one outcome, one commit, no half state.

The process dies by an exception that nothing catches; the next one has only what lies on disk. Cases 41 to 51 of the
fault catalogue: downloading, before and after the commit point, during a rollback, before the receipt is reported.
"""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from sopwith_agent.adapters.journal import FileJournal
from sopwith_agent.domain.errors import JournalError, StepError
from sopwith_agent.domain.record import Record
from sopwith_formats.vocabulary import AssignmentState, Symptom
from tests.agent.workshop import Workshop


class PowerCutError(BaseException):
    """The process ends here."""


class FaultyJournal:
    """The real journal, which dies before or after its n-th write, once."""

    def __init__(self, journal: FileJournal, *, at: int, before: bool) -> None:
        self.journal = journal
        self.at = at
        self.before = before
        self.writes = 0

    def save(self, record: Record) -> None:
        self.writes += 1
        if self.writes == self.at and self.before:
            raise PowerCutError
        self.journal.save(record)
        if self.writes == self.at:
            raise PowerCutError

    def load(self, assignment_id: str) -> Record | None:
        return self.journal.load(assignment_id)

    def records(self) -> list[Record]:
        return self.journal.records()


class FullDiskJournal(FaultyJournal):
    """The real journal on a disk that takes nothing while `full` says so of a record."""

    full: Callable[[Record], bool] = staticmethod(lambda _record: False)

    def save(self, record: Record) -> None:
        if self.full(record):
            raise JournalError("no space")
        self.journal.save(record)


def _run_with_cut(folder: Path, at: int, *, before: bool, sick: bool) -> tuple[Workshop, bool]:
    """Run one update with one cut at the n-th write; return the workshop and whether the cut came."""
    shop = Workshop(folder)
    shop.install("1")
    if sick:
        shop.health.sick = {"2"}
    shop.start(lambda journal: FaultyJournal(journal, at=at, before=before))
    warrant = shop.warrant(shop.publish("2"), attempts_max=5)
    shop.offer(warrant)
    cut = False
    try:
        shop.run()
    except PowerCutError:
        cut = True
        shop.start()
        shop.offer(warrant)  # the controller hands out again what it heard nothing of
        shop.run()
    return shop, cut


@pytest.mark.parametrize("sick", [False, True], ids=["healthy", "unhealthy"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_cut_at_every_write_ends_in_one_outcome_with_one_commit(tmp_path: Path, *, before: bool, sick: bool) -> None:
    cuts = 0
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        shop, cut = _run_with_cut(folder, at, before=before, sick=sick)

        (receipt,) = shop.receipts()
        assert receipt.outcome in {"SUCCEEDED", "ROLLED_BACK"}
        assert shop.installer.commits <= 1
        started = [record for record in shop.signed() if record.kind == "STARTED"]
        assert len(started) == len({record.ended_time for record in started}) >= receipt.commits
        assert shop.installed() == receipt.version_after == ("2" if receipt.outcome == "SUCCEEDED" else "1")
        assert not (sick and receipt.outcome == "SUCCEEDED")
        if not cut:
            break
        cuts += 1
    assert cuts > 8


@pytest.mark.parametrize("moment", ["prepare", "before_commit", "after_commit", "changed"])
def test_cut_inside_the_install_leaves_the_old_or_the_new_version(tmp_path: Path, moment: str) -> None:
    shop = Workshop(tmp_path)
    shop.install("1")
    shop.installer.fail[moment] = [PowerCutError()]
    shop.offer(shop.warrant(shop.publish("2")))
    with pytest.raises(PowerCutError):
        shop.run()

    shop.start()
    shop.run()

    receipt = shop.receipt()
    expected = "ROLLED_BACK" if moment == "after_commit" else "SUCCEEDED"
    assert (receipt.outcome, shop.installer.commits) == (expected, 1)
    assert shop.installed() == receipt.version_after


def test_install_that_is_cut_off_again_and_again_spends_its_tries(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    shop.install("1")
    shop.installer.fail["before_commit"] = [PowerCutError() for _ in range(9)]
    shop.offer(shop.warrant(shop.publish("2"), attempts_max=3))
    for _ in range(3):
        with pytest.raises(PowerCutError):
            shop.run()
        shop.start()

    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.symptom, receipt.attempts) == ("FAILED", "AGENT_CRASH_LOOP", 3)
    assert (shop.installer.commits, shop.installed()) == (0, "1")


def test_rollback_that_is_cut_off_goes_on(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    shop.install("1")
    shop.health.sick = {"2"}
    shop.installer.fail["roll_back"] = [PowerCutError(), PowerCutError()]
    shop.offer(shop.warrant(shop.publish("2")))
    for _ in range(2):
        with pytest.raises(PowerCutError):
            shop.run()
        shop.start()

    shop.run()

    assert (shop.receipt().outcome, shop.installed()) == ("ROLLED_BACK", "1")


def test_rollback_that_is_cut_off_for_ever_needs_a_person(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    shop.install("1")
    shop.health.sick = {"2"}
    shop.installer.fail["roll_back"] = [PowerCutError() for _ in range(9)]
    shop.offer(shop.warrant(shop.publish("2")))
    for _ in range(3):
        with pytest.raises(PowerCutError):
            shop.run()
        shop.start()

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "ROLLBACK_FAILED")


@pytest.mark.gate("blocks", "record_written")
def test_disk_that_takes_no_record_begins_no_install(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    shop.install("1")
    shop.start(lambda journal: FullDiskJournal(journal, at=0, before=True))
    journal = shop.journal
    assert isinstance(journal, FullDiskJournal)
    journal.full = lambda record: record.state is AssignmentState.INSTALLING
    shop.offer(shop.warrant(shop.publish("2")))
    shop.run(rounds=4)
    stuck = shop.record().state

    journal.full = lambda _record: False
    shop.run()

    assert (stuck, shop.installed()) == (AssignmentState.STAGED, "2")
    assert (shop.receipt().outcome, shop.installer.commits) == ("SUCCEEDED", 1)


def test_disk_that_fills_at_the_commit_point_commits_nothing(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    shop.install("1")
    shop.start(lambda journal: FullDiskJournal(journal, at=0, before=True))
    journal = shop.journal
    assert isinstance(journal, FullDiskJournal)
    journal.full = lambda record: record.commits > 0
    shop.offer(shop.warrant(shop.publish("2"), attempts_max=3))

    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.commits, shop.installer.commits) == ("FAILED", 0, 0)
    assert shop.installed() == "1"


def test_outbox_that_takes_nothing_begins_no_install(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    put, full = shop.outbox.put, [True]

    def refuse(kind: str, body: dict[str, object]) -> int:
        if full[0] and body.get("state") == "INSTALLING":
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(kind, body)

    shop.outbox.put = refuse  # type: ignore[method-assign]
    shop.offer(shop.warrant(shop.publish("2")))
    shop.run(rounds=3)
    commits = shop.installer.commits

    full[0] = False
    shop.run()

    assert (commits, shop.receipt().outcome) == (0, "SUCCEEDED")


def test_controller_that_is_away_for_a_day_gets_the_outcome_once(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    shop.offer(shop.warrant(shop.publish("2")))
    shop.run()
    for _ in range(3):
        shop.clock.advance(8 * 3600)
        shop.start()
        shop.run()

    assert [(record.number, record.kind) for record in shop.signed()] == [(1, "STARTED"), (2, "ENDED")]
    assert [message.sequence for message in shop.outbox.after(0)] == list(range(1, len(shop.outbox.after(0)) + 1))


def test_receipts_are_chained_and_counted_over_restarts(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    for number in range(1, 4):
        shop.source.download_failures = [StepError(Symptom.PERMISSION_DENIED, "no")]
        shop.offer(shop.warrant(shop.publish("2"), assignment_id=f"a-{number}"))
        shop.run()
        shop.outbox.acknowledge(shop.outbox.after(0)[-1].sequence if number < 2 else 0)
        shop.start()

    second, third = shop.receipts()
    assert (second.number, third.number) == (2, 3)
    assert third.previous_sha256
    assert third.previous_sha256 != second.previous_sha256
