"""An assignment that only reboots the computer: needed or not, the same leave, healthy afterwards or FAILED."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sopwith_agent.domain import limits
from sopwith_agent.steps.command_port import Moment
from sopwith_agent.steps.orders import RebootLease
from sopwith_formats.agent_policy import AgentPolicy
from sopwith_formats.reboot_only import MANIFEST
from sopwith_formats.vocabulary import AssignmentState
from tests.agent.fakes import START
from tests.agent.workshop import Workshop

DAY = timedelta(days=1)


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path)
    shop.power.allowed = shop.power.pending = True
    return shop


def offer(shop: Workshop, *, leave: bool = True) -> None:
    policy = AgentPolicy(enforce={**AgentPolicy().enforce, "pending_reboot": "warn"})
    shop.sensors.change["pending_reboot"] = ("linux-image",)
    if leave:
        shop.orders.reboot_lease("a-1", RebootLease(START + 30 * DAY))
    shop.offer(shop.warrant(MANIFEST, policy=policy.to_document()))
    shop.worker.run_until_idle()


def boots(shop: Workshop, boot: str = "boot-2") -> None:
    shop.clock.boot, shop.clock.seconds = boot, 20.0
    shop.power.pending = False
    shop.start()
    shop.run()


def test_computer_that_waits_for_a_reboot_reboots_once_and_succeeds(shop: Workshop) -> None:
    shop.install("1")
    offer(shop)
    rebooting = shop.record().state
    boots(shop)
    receipt = shop.receipt()

    assert (rebooting, shop.power.reboots) == (AssignmentState.REBOOTING, 1)
    assert (receipt.outcome, receipt.boot_id, receipt.release, receipt.version) == (
        "SUCCEEDED",
        "boot-2",
        "reboot",
        "only",
    )
    assert (receipt.commits, receipt.version_before, receipt.version_after, shop.installed()) == (0, "", "", "1")
    assert shop.source.downloads == []
    assert shop.health.asked[-1] == ("1", "confirm")


def test_computer_without_a_pending_reboot_is_skipped_without_measuring_anything(shop: Workshop) -> None:
    shop.power.pending = False

    offer(shop)

    assert (shop.receipt().outcome, shop.receipt().detail) == ("SKIPPED", "No reboot is pending.")
    assert (shop.power.reboots, shop.measured) == (0, [])


def test_gates_of_an_install_hold_for_a_reboot(shop: Workshop) -> None:
    shop.sensors.change["package_lock_holder"] = "apt-get, process 812"

    offer(shop)

    assert (shop.record().state, shop.record().symptom) == (AssignmentState.PREPARING, "PACKAGE_LOCK_HELD")


def test_without_a_lease_nothing_starts_and_without_leave_nothing_reboots(shop: Workshop) -> None:
    shop.orders.freeze(active=True, reason="month end")
    offer(shop)
    frozen = shop.record().state
    shop.orders.freeze(active=False, reason="")
    shop.orders.reboot_lease("a-1", RebootLease(None, "as many of its group are away"))
    shop.worker.wake()
    shop.worker.run_until_idle()

    assert frozen is AssignmentState.STAGED
    assert (shop.record().state, shop.power.reboots) == (AssignmentState.AWAITING_REBOOT, 0)
    assert "as many of its group" in shop.record().detail


def test_computer_that_somebody_rebooted_before_the_start_is_skipped(shop: Workshop) -> None:
    shop.orders.freeze(active=True, reason="month end")
    offer(shop)
    shop.power.pending = False
    shop.orders.freeze(active=False, reason="")

    shop.run()

    assert (shop.receipt().outcome, shop.power.reboots) == ("SKIPPED", 0)


def test_computer_that_gets_busy_before_the_start_waits(shop: Workshop) -> None:
    shop.orders.freeze(active=True, reason="month end")
    offer(shop)
    shop.sensors.change["package_lock_holder"] = "apt-get, process 812"
    shop.orders.freeze(active=False, reason="")
    shop.clock.advance(60)
    shop.worker.wake()
    shop.worker.run_until_idle()

    assert (shop.record().state, shop.record().symptom) == (AssignmentState.STAGED, "PACKAGE_LOCK_HELD")


def test_release_that_is_sick_after_the_boot_fails_the_reboot(shop: Workshop) -> None:
    shop.install("1")
    shop.commands.refusals = {Moment.DRAIN: [], Moment.UNDRAIN: []}
    offer(shop)
    shop.health.sick = {"1"}
    boots(shop)

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "HEALTH_CHECK_FAILED")
    assert "hello@1" in shop.receipt().detail
    assert shop.commands.ran == [Moment.DRAIN, Moment.UNDRAIN]
    assert shop.installer.roll_backs == 0


def test_release_that_is_gone_after_the_boot_fails_the_reboot(shop: Workshop) -> None:
    shop.install("1")
    offer(shop)
    (shop.root / "hello").unlink()
    boots(shop)

    assert (shop.receipt().outcome, "read back nothing" in shop.receipt().detail) == ("FAILED", True)


def test_release_that_was_sick_before_is_not_expected_healthy(shop: Workshop) -> None:
    shop.install("1")
    shop.health.sick = {"1"}
    offer(shop)
    boots(shop)

    assert shop.receipt().outcome == "SUCCEEDED"


def test_reboot_that_cannot_be_started_fails(shop: Workshop) -> None:
    offer(shop)
    for _ in range(limits.reboot_tries_max):
        shop.clock.advance(limits.reboot_grace_seconds)
        shop.worker.wake()
        shop.worker.run_until_idle()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "REBOOT_FAILED")


def test_computer_that_boots_again_and_again_fails(shop: Workshop) -> None:
    shop.install("1")
    offer(shop)
    shop.health.cancelled = True
    for number in range(limits.boots_max):
        boots(shop, f"boot-{number + 2}")
    waiting = shop.record()
    shop.health.cancelled = False
    boots(shop, "boot-99")

    assert waiting.state is AssignmentState.CONFIRMING
    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "REBOOT_FAILED")


def test_deadline_without_a_reboot_fails_and_speaks_of_no_release(shop: Workshop) -> None:
    shop.power.allowed = False
    shop.offer(shop.warrant(MANIFEST, deadline_time=START + timedelta(minutes=1)))

    shop.run()

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "PENDING_REBOOT")
    assert shop.receipt().detail == "The deadline passed before the computer was rebooted."


def test_agent_that_dies_while_it_begins_begins_again(shop: Workshop) -> None:
    offer(shop, leave=False)
    begun = replace(shop.record(), state=AssignmentState.INSTALLING, boot_id="", reboot_asked_time=None)
    shop.journal.save(begun)
    shop.start()
    shop.orders.reboot_lease("a-1", RebootLease(START + 30 * DAY))

    shop.run(rounds=2)

    assert (shop.record().state, shop.power.reboots) == (AssignmentState.REBOOTING, 1)
