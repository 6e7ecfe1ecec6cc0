"""One assignment through all its states, on a computer in a folder: what ends how, and what is told on the way."""

import errno
import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.measurements import DiskSpace
from sopwith_agent.steps.installer_port import InstallWork, Refusal
from sopwith_agent.steps.orders import RebootLease
from sopwith_formats.manifest import Artifact
from sopwith_formats.vocabulary import AssignmentState, Symptom
from tests.agent.fakes import START
from tests.agent.workshop import Workshop


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_good_release_succeeds_and_every_state_is_told(shop: Workshop) -> None:
    shop.install("1")
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.symptom) == ("SUCCEEDED", "")
    assert (receipt.version_before, receipt.version_after) == ("1", "2")
    assert (receipt.attempts, receipt.commits) == (1, 1)
    assert shop.told() == ["PREPARING", "DOWNLOADING", "STAGED", "INSTALLING", "CONFIRMING"]
    assert shop.installed() == "2"


def test_started_record_is_signed_before_the_computer_is_touched(shop: Workshop) -> None:
    shop.install("1")
    told: list[tuple[str, str]] = []
    apply = shop.installer.apply

    def watched(work: InstallWork, on_commit: Callable[[], None]) -> None:
        told.extend((record.kind, shop.installed()) for record in shop.signed())
        apply(work, on_commit)

    shop.installer.apply = watched  # type: ignore[method-assign]
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    started, ended = shop.signed()
    assert told == [("STARTED", "1")]
    assert (started.outcome, started.version_before, started.version_after) == ("", "1", "")
    assert (started.number, ended.number) == (1, 2)
    assert ended.previous_sha256 == hashlib.sha256(started.payload()).hexdigest()
    assert started.boot_id == shop.clock.boot_id()


def test_start_that_cannot_be_signed_and_kept_installs_nothing(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.install("1")

    def full(_record: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shop.outbox, "started", full)
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run(rounds=3)

    assert (shop.installed(), shop.installer.commits) == ("1", 0)
    assert shop.record().symptom == "DISK_FULL"


def test_staged_files_are_cleared_away_at_the_end(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    assert list((shop.folder / "staging").iterdir()) == []


def test_installed_release_is_skipped(shop: Workshop) -> None:
    manifest = shop.install("2")
    shop.offer(shop.warrant(manifest))

    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.version_before, receipt.version_after) == ("SKIPPED", "2", "2")
    assert shop.installer.commits == 0


@pytest.mark.gate("blocks", "applicable")
def test_release_for_another_platform_is_skipped(shop: Workshop) -> None:
    elsewhere = (Artifact("hello.tar.gz", "archive", 1, "0" * 64, when={"os": ["windows"]}),)
    shop.offer(shop.warrant(shop.publish("2", artifacts=elsewhere)))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("SKIPPED", "NOT_APPLICABLE")


def test_release_that_the_installer_refuses_fails_with_its_symptom(shop: Workshop) -> None:
    shop.installer.refusal = Refusal(Symptom.DEPENDENCY_CONFLICT, "hello breaks world")
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "DEPENDENCY_CONFLICT")


@pytest.mark.gate("blocks", "health_checks")
@pytest.mark.clause("V.D Update fails to install", "symptoms")
@pytest.mark.clause("V.C Safety", "rollback")
def test_unhealthy_release_rolls_back_after_one_more_check(shop: Workshop) -> None:
    shop.install("1")
    shop.health.sick = {"2"}
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.symptom) == ("ROLLED_BACK", "HEALTH_CHECK_FAILED")
    assert (receipt.version_before, receipt.version_after) == ("1", "1")
    assert shop.installed() == "1"
    assert [version for version, step in shop.health.asked if step == "confirm"] == ["1", "2", "2"]


def test_first_install_that_is_unhealthy_is_removed(shop: Workshop) -> None:
    shop.health.sick = {"2"}
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().version_after) == ("ROLLED_BACK", "")
    assert shop.register.manifests() == []


@pytest.mark.clause("V.D Update fails to install", "symptoms")
def test_version_that_is_not_read_back_rolls_back(shop: Workshop) -> None:
    shop.install("1")
    shop.offer(shop.warrant(shop.publish("2")))
    shop.orders.lease("a-1", None)
    shop.worker.run_until_idle()

    shop.installer.reads_back = "1"
    shop.orders.lease("a-1", START + timedelta(days=1))
    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("ROLLED_BACK", "VERSION_MISMATCH")


def test_release_that_was_healthy_before_must_be_healthy_after_a_rollback(shop: Workshop) -> None:
    shop.install("1")
    shop.health.sick = {"2"}
    shop.offer(shop.warrant(shop.publish("2")))
    shop.installer.fail["roll_back"] = []
    original = shop.installer.roll_back

    def spoil(work: object) -> None:
        shop.health.sick = {"1", "2"}
        original(work)  # type: ignore[arg-type]

    shop.installer.roll_back = spoil  # type: ignore[method-assign]
    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "ROLLBACK_FAILED")


def test_release_that_was_sick_before_counts_as_restored_when_it_is_back(shop: Workshop) -> None:
    shop.install("1")
    shop.health.sick = {"1", "2"}
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    assert shop.receipt().outcome == "ROLLED_BACK"


def test_rollback_that_fails_is_tried_three_times_and_then_needs_a_person(shop: Workshop) -> None:
    shop.install("1")
    shop.health.sick = {"2"}
    shop.installer.fail["roll_back"] = [StepError(Symptom.UNKNOWN, "no way")] * 9
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "ROLLBACK_FAILED")
    assert shop.installer.roll_backs == 3


def test_failure_before_the_commit_point_fails_and_changes_nothing(shop: Workshop) -> None:
    shop.install("1")
    shop.installer.fail["before_commit"] = [StepError(Symptom.PERMISSION_DENIED, "read-only")]
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.symptom, receipt.commits) == ("FAILED", "PERMISSION_DENIED", 0)
    assert shop.installed() == "1"


@pytest.mark.parametrize("moment", ["after_commit", "changed"])
def test_failure_after_the_commit_point_rolls_back(shop: Workshop, moment: str) -> None:
    shop.install("1")
    shop.installer.fail[moment] = [StepError(Symptom.INSTALLER_EXIT_NONZERO, "exit 1", changed=True)]
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.symptom, receipt.commits) == ("ROLLED_BACK", "INSTALLER_EXIT_NONZERO", 1)
    assert shop.installed() == "1"


def test_mistake_in_the_program_after_the_commit_point_rolls_back_too(shop: Workshop) -> None:
    shop.install("1")
    shop.installer.fail["changed"] = [ZeroDivisionError()]
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    assert (shop.receipt().outcome, shop.installed()) == ("ROLLED_BACK", "1")


def test_tries_are_bounded_by_the_warrant(shop: Workshop) -> None:
    shop.source.download_failures = [StepError(Symptom.NET_SOURCE_UNREACHABLE, "cut")] * 9
    shop.offer(shop.warrant(shop.publish("2"), attempts_max=2))

    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.symptom, receipt.attempts) == ("FAILED", "NET_SOURCE_UNREACHABLE", 2)
    assert [step["result"] for step in receipt.steps if step["step"] == "remedy"] == ["defer", "fail"]


def test_one_try_is_enough_for_a_good_release(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2"), attempts_max=1))

    shop.run()

    assert shop.receipt().outcome == "SUCCEEDED"


@pytest.mark.clause("V.D Update fails to install", "symptoms")
def test_wrong_digest_is_fetched_once_more_and_then_fails(shop: Workshop) -> None:
    shop.source.download_failures = [StepError(Symptom.DOWNLOAD_DIGEST_MISMATCH, "other bytes")] * 9
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.symptom, receipt.attempts) == ("FAILED", "DOWNLOAD_DIGEST_MISMATCH", 2)


@pytest.mark.parametrize(
    "symptom",
    [
        Symptom.SIGNATURE_INVALID,
        Symptom.METADATA_EXPIRED,
        Symptom.METADATA_ROLLBACK,
        Symptom.NOT_AUTHORISED_BY_SOURCE,
        Symptom.DOWNLOAD_DIGEST_MISMATCH,
    ],
)
def test_source_that_lies_fails_the_assignment_and_installs_nothing(shop: Workshop, symptom: Symptom) -> None:
    manifest = shop.publish("2")
    shop.source.refresh_failures = [StepError(symptom, "no")] * 9
    shop.offer(shop.warrant(manifest))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", symptom.value)
    assert shop.installer.commits == 0


def test_release_that_the_source_does_not_list_is_not_authorised(shop: Workshop) -> None:
    manifest = shop.publish("2")
    shop.source.targets.clear()
    shop.offer(shop.warrant(manifest))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "NOT_AUTHORISED_BY_SOURCE")


def test_release_with_another_content_than_the_warrant_names_is_not_authorised(shop: Workshop) -> None:
    manifest = shop.publish("2")
    shop.offer(shop.warrant(manifest, manifest_sha256="c" * 64))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "NOT_AUTHORISED_BY_SOURCE")


@pytest.mark.parametrize(
    "changes", [{"computer_id": "c-2"}, {"sop_id": ""}, {"policy_sha256": ""}, {"attempts_max": 0}]
)
def test_warrant_that_is_not_for_this_computer_or_names_no_sop_is_refused(
    shop: Workshop, changes: dict[str, object]
) -> None:
    shop.offer(shop.warrant(shop.publish("2"), **changes))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "WARRANT_REFUSED")
    assert shop.source.downloads == []


@pytest.mark.gate("blocks", "warrant_valid")
def test_warrant_with_a_foreign_signature_is_refused(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2")), signature=b"forged")

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "WARRANT_REFUSED")


@pytest.mark.gate("blocks", "version_policy")
def test_older_release_is_refused_unless_its_manifest_allows_a_downgrade(shop: Workshop) -> None:
    shop.install("2")
    shop.offer(shop.warrant(shop.publish("1")))
    shop.offer(shop.warrant(shop.publish("1.5", downgrade="allowed"), assignment_id="a-2"))

    shop.run()

    refused, allowed = shop.receipts()
    assert (refused.outcome, refused.symptom) == ("FAILED", "VERSION_POLICY")
    assert (allowed.outcome, allowed.version_after) == ("SUCCEEDED", "1.5")


def test_release_that_wants_a_newer_version_before_it_is_refused(shop: Workshop) -> None:
    shop.install("1")
    shop.offer(shop.warrant(shop.publish("3", requires_from=">=2")))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "VERSION_POLICY")


@pytest.mark.clause("V.D Update fails to install", "symptoms")
def test_full_disk_keeps_the_computer_preparing_with_reason_and_remedy(shop: Workshop) -> None:
    shop.sensors.change = {"disks": (DiskSpace("root", "/", 0),)}
    shop.offer(shop.warrant(shop.publish("2")))

    shop.worker.run_until_idle()

    last = shop.outbox.after(0, 100)[-1].body
    assert (last["state"], last["symptom"]) == ("PREPARING", "DISK_FULL")
    assert last["reasons"][0]["code"] == "DISK_FULL"
    assert last["reasons"][0]["remedy"]
    assert last["next_try_time"]


def test_computer_that_becomes_ready_goes_on(shop: Workshop) -> None:
    shop.sensors.change = {"disks": (DiskSpace("root", "/", 0),)}
    shop.offer(shop.warrant(shop.publish("2")))
    shop.worker.run_until_idle()

    shop.sensors.change = {}
    shop.run()

    assert shop.receipt().outcome == "SUCCEEDED"


def test_waiting_computer_repeats_itself_only_when_its_reason_changes(shop: Workshop) -> None:
    shop.sensors.change = {"disks": (DiskSpace("root", "/", 0),)}
    shop.offer(shop.warrant(shop.publish("2")))
    shop.run(rounds=10)

    progress = [message for message in shop.outbox.after(0, 100) if message.body["symptom"] == "DISK_FULL"]

    assert len(progress) == 1


def test_computer_without_a_source_is_not_ready_until_one_is_designated(shop: Workshop) -> None:
    shop.source.root = ""
    shop.offer(shop.warrant(shop.publish("2")))
    shop.worker.run_until_idle()
    waiting = shop.record()

    shop.source.root = "0" * 64
    shop.run()

    assert (waiting.state, waiting.symptom) == (AssignmentState.PREPARING, "SOURCE_NOT_DESIGNATED")
    assert shop.receipt().outcome == "SUCCEEDED"


@pytest.mark.clause("IV Equipment", "blocked")
def test_source_that_is_out_of_reach_spends_no_try(shop: Workshop) -> None:
    shop.source.refresh_failures = [StepError(Symptom.NET_SOURCE_UNREACHABLE, "cut")] * 7
    shop.offer(shop.warrant(shop.publish("2"), attempts_max=1))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().attempts) == ("SUCCEEDED", 1)


@pytest.mark.parametrize("symptom", [Symptom.DISK_FULL, Symptom.PACKAGE_LOCK_HELD, Symptom.POWER_LOW])
def test_install_that_has_to_wait_is_deferred_without_spending_a_try(shop: Workshop, symptom: Symptom) -> None:
    shop.installer.fail["before_commit"] = [StepError(symptom, "later")] * 4
    shop.offer(shop.warrant(shop.publish("2"), attempts_max=1))

    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.attempts, receipt.commits) == ("SUCCEEDED", 1, 1)
    assert [step["result"] for step in receipt.steps if step["step"] == "remedy"] == ["wait"] * 4


def test_deadline_ends_a_computer_that_was_never_ready(shop: Workshop) -> None:
    shop.sensors.change = {"disks": (DiskSpace("root", "/", 0),)}
    shop.offer(shop.warrant(shop.publish("2"), deadline_time=START + timedelta(minutes=1)))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("NOT_READY", "DISK_FULL")


def test_deadline_ends_a_ready_computer_that_never_got_its_start(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2"), start_until_time=None, deadline_time=START + timedelta(minutes=1)))

    shop.run()

    assert shop.receipt().outcome == "NOT_STARTED"
    assert shop.installer.commits == 0


def test_deadline_is_the_controllers_not_the_computers(shop: Workshop) -> None:
    shop.clock.fleet_ahead = timedelta(seconds=-200)
    shop.offer(shop.warrant(shop.publish("2"), deadline_time=START, start_until_time=START))

    shop.run()

    assert shop.receipt().outcome == "SUCCEEDED"


@pytest.mark.gate("blocks", "window")
def test_without_a_lease_nothing_starts_and_a_renewal_starts_it(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2"), start_until_time=None))
    shop.run(rounds=3)
    waiting = shop.record()

    shop.orders.lease("a-1", shop.clock.now() + timedelta(minutes=5))
    shop.run()

    assert waiting.state is AssignmentState.STAGED
    assert shop.receipt().outcome == "SUCCEEDED"


def test_lease_that_ran_out_starts_nothing(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2"), start_until_time=START - timedelta(seconds=1)))

    shop.run(rounds=3)

    assert shop.record().state is AssignmentState.STAGED


def test_freeze_stops_a_start_and_outlives_a_restart(shop: Workshop) -> None:
    shop.orders.freeze(active=True, reason="quarter end")
    shop.offer(shop.warrant(shop.publish("2")))
    shop.run(rounds=2)
    shop.start()
    shop.run(rounds=2)
    waiting = shop.record()

    shop.orders.freeze(active=False, reason="")
    shop.run()

    assert (waiting.state, "quarter end" in waiting.detail) == (AssignmentState.STAGED, True)
    assert shop.receipt().outcome == "SUCCEEDED"


def test_withdrawal_before_the_install_cancels(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2"), start_until_time=None))
    shop.run(rounds=2)

    taken_back = shop.orders.withdraw("a-1", "superseded")
    shop.run()

    assert taken_back
    assert (shop.receipt().outcome, shop.receipt().detail) == ("CANCELLED", "superseded")


def test_withdrawal_during_a_download_cancels(shop: Workshop) -> None:
    shop.source.on_download = lambda: bool(shop.orders.withdraw("a-1", "stop"))
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    assert shop.receipt().outcome == "CANCELLED"


def test_withdrawal_after_the_start_has_no_effect(shop: Workshop) -> None:
    answers: list[bool] = []
    original = shop.installer.prepare
    shop.installer.prepare = _after(lambda: answers.append(shop.orders.withdraw("a-1", "late")), original)  # type: ignore[method-assign,assignment]
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    assert answers == [False]
    assert shop.receipt().outcome == "SUCCEEDED"


def test_repeated_warrant_changes_nothing(shop: Workshop) -> None:
    warrant = shop.warrant(shop.publish("2"))
    shop.offer(warrant)
    shop.run()
    shop.offer(warrant)
    shop.run()

    assert [receipt.outcome for receipt in shop.receipts()] == ["SUCCEEDED"]
    assert shop.installer.commits == 1


def test_repeated_warrant_brings_an_acknowledged_receipt_once_more(shop: Workshop) -> None:
    warrant = shop.warrant(shop.publish("2"))
    shop.offer(warrant)
    shop.run()
    first = shop.receipt()
    shop.outbox.acknowledge(shop.outbox.after(0)[-1].sequence)

    shop.offer(warrant)
    shop.run()

    assert shop.receipt() == first


def test_higher_generation_runs_an_ended_assignment_again(shop: Workshop) -> None:
    manifest = shop.publish("2")
    shop.source.download_failures = [StepError(Symptom.PERMISSION_DENIED, "no")]
    shop.offer(shop.warrant(manifest))
    shop.run()

    shop.offer(shop.warrant(manifest, generation=2))
    shop.run()

    assert [(receipt.generation, receipt.outcome) for receipt in shop.receipts()] == [(1, "FAILED"), (2, "SUCCEEDED")]


def test_forged_warrant_does_not_disturb_a_known_assignment(shop: Workshop) -> None:
    manifest = shop.publish("2")
    shop.offer(shop.warrant(manifest, start_until_time=None))
    shop.run(rounds=2)

    shop.offer(shop.warrant(manifest, generation=2, manifest_sha256="d" * 64), signature=b"forged")
    shop.run(rounds=2)

    assert (shop.record().state, shop.record().warrant.generation) == (AssignmentState.STAGED, 1)


def test_bytes_that_are_no_warrant_are_refused_without_a_trace(shop: Workshop) -> None:
    shop.worker.offer(b"\xff\x00", b"good")
    shop.worker.offer(shop.warrant(shop.publish("2"), assignment_id="../escape").payload(), b"good")

    shop.run()

    assert shop.worker.unfinished() == []
    assert shop.outbox.after(0) == []


@pytest.mark.clause("V.A Gather", "file")
def test_staged_file_that_was_swapped_is_fetched_again(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2"), start_until_time=None))
    shop.run(rounds=2)
    (staged,) = [path for path in (shop.folder / "staging").rglob("*") if path.is_file()]
    staged.write_bytes(b"evil")

    shop.orders.lease("a-1", START + timedelta(days=1))
    shop.run()

    assert shop.receipt().outcome == "SUCCEEDED"
    assert len(shop.source.downloads) == 2


def test_way_back_is_fetched_for_a_release_that_sopwith_did_not_install(shop: Workshop) -> None:
    shop.publish("1")
    (shop.root / "hello").write_text("1")
    shop.offer(shop.warrant(shop.publish("2"), start_until_time=None))

    shop.run(rounds=2)

    work = shop.bench.work(shop.record())
    assert work.previous is not None
    assert (work.previous.manifest.version, work.previous.files[0].file) == ("1", "hello-1.tar.gz")


def test_release_that_wants_a_reboot_waits_for_one_and_is_confirmed_after_it(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2", reboot="always")))
    shop.run(rounds=2)
    waiting = shop.record()

    shop.clock.boot = "boot-2"
    shop.start()
    shop.run()

    assert (waiting.state, waiting.symptom) == (AssignmentState.AWAITING_REBOOT, "PENDING_REBOOT")
    assert shop.receipt().outcome == "SUCCEEDED"


def test_release_that_does_not_come_up_after_the_reboot_rolls_back(shop: Workshop) -> None:
    shop.install("1")
    shop.power.allowed = True
    shop.orders.reboot_lease("a-1", RebootLease(START + timedelta(days=1)))
    shop.offer(shop.warrant(shop.publish("2", reboot="always")))
    shop.run(rounds=2)
    rebooting = shop.record()

    shop.clock.boot = "boot-2"
    (shop.root / "hello").write_text("1")
    shop.start()
    shop.run()

    assert (rebooting.state, shop.power.reboots > 0) == (AssignmentState.REBOOTING, True)
    assert (shop.receipt().outcome, shop.receipt().symptom) == ("ROLLED_BACK", "REBOOT_FAILED")


def test_reboot_that_nobody_makes_fails_at_the_deadline(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2", reboot="always"), deadline_time=START + timedelta(minutes=1)))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "PENDING_REBOOT")


def test_release_that_may_need_a_reboot_is_confirmed_at_once_when_nothing_asks_for_it(shop: Workshop) -> None:
    shop.offer(shop.warrant(shop.publish("2", reboot="if_needed")))

    shop.run()

    assert shop.receipt().outcome == "SUCCEEDED"


def test_agent_that_stops_parks_an_install_before_its_commit_point(shop: Workshop) -> None:
    original = shop.installer.prepare

    def stop_and_fail(_work: object) -> object:
        shop.stopping.set()
        raise StepError(Symptom.TIMEOUT, "interrupted")

    shop.installer.prepare = stop_and_fail  # type: ignore[method-assign,assignment]
    shop.offer(shop.warrant(shop.publish("2"), attempts_max=1))
    shop.worker.run()
    parked = shop.record()

    shop.installer.prepare = original  # type: ignore[method-assign]
    shop.start()
    shop.run()

    assert (parked.state, parked.attempts) == (AssignmentState.PREPARING, 0)
    assert (shop.receipt().outcome, shop.receipt().commits) == ("SUCCEEDED", 1)


def test_agent_that_stops_confirms_again_after_its_start(shop: Workshop) -> None:
    shop.health.cancelled = True
    shop.offer(shop.warrant(shop.publish("2")))
    shop.run(rounds=2)
    parked = shop.record()

    shop.health.cancelled = False
    shop.start()
    shop.run()

    assert parked.state is AssignmentState.CONFIRMING
    assert (shop.receipt().outcome, shop.receipt().commits) == ("SUCCEEDED", 1)


def _after(act: Callable[[], object], original: Callable[..., object]) -> Callable[..., object]:
    def both(*arguments: object) -> object:
        act()
        return original(*arguments)

    return both


@pytest.mark.parametrize(("severity", "downloads"), [("high", 0), ("critical", 1)])
def test_download_that_is_taken_up_on_a_metered_link_waits_unless_it_is_critical(
    shop: Workshop, severity: str, downloads: int
) -> None:
    shop.source.download_failures = [StepError(Symptom.DOWNLOAD_DIGEST_MISMATCH, "half a file")]
    shop.source.on_download = lambda: shop.sensors.change.update(metered=True)  # the line changed in the middle

    shop.offer(shop.warrant(shop.publish("2", severity=severity)))
    shop.run(rounds=6, seconds=60)

    assert len(shop.source.downloads) == downloads
    if not downloads:
        assert (shop.record().state, shop.record().symptom) == ("DOWNLOADING", "METERED_LINK")
        shop.source.on_download = lambda: None
        shop.sensors.change.clear()
        shop.run(seconds=60)
    assert shop.receipt().outcome == "SUCCEEDED"


def test_file_that_the_source_will_not_give_ends_the_assignment_without_more_tries(shop: Workshop) -> None:
    shop.source.download_failures = [StepError(Symptom.NET_SOURCE_UNREACHABLE, "status 404", final=True)] * 9

    shop.offer(shop.warrant(shop.publish("2")))
    shop.run()

    assert len(shop.source.download_failures) == 8
    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "NET_SOURCE_UNREACHABLE")
