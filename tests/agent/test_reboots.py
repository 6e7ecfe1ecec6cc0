"""AWAITING_REBOOT and REBOOTING, over fakes: leave, people, drain commands, deadlines, and the way back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.command_port import Moment
from sopwith_agent.steps.notice_port import Disturbance, NobodyAsks, Word
from sopwith_agent.steps.orders import RebootLease
from sopwith_formats.agent_policy import AgentPolicy
from sopwith_formats.manifest import HealthCheck
from sopwith_formats.receipt import Receipt
from sopwith_formats.vocabulary import AssignmentState, Symptom
from tests.agent.fakes import START
from tests.agent.workshop import Workshop

DAY = timedelta(days=1)


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path)
    shop.install("1")
    shop.power.allowed = True
    return shop


def waits(shop: Workshop, leave: bool = True, **policy: Any) -> None:
    """Have version 2 installed, waiting for its reboot."""
    if leave:
        give_leave(shop)
    document = AgentPolicy(**policy).to_document()
    shop.offer(shop.warrant(shop.publish("2", reboot="always"), policy=document, deadline_time=START + 30 * DAY))
    shop.worker.run_until_idle()


def give_leave(shop: Workshop, until: timedelta = 30 * DAY) -> None:
    shop.orders.reboot_lease("a-1", RebootLease(START + until))
    shop.worker.wake()


def look_again(shop: Workshop, seconds: float = 0) -> None:
    shop.clock.advance(seconds)
    shop.worker.wake()
    shop.worker.run_until_idle()


def boots(shop: Workshop, version: str = "2", boot: str = "boot-2") -> None:
    """The computer goes down and comes back with this version installed."""
    shop.clock.boot, shop.clock.seconds = boot, 20.0
    (shop.root / "hello").write_text(version)
    shop.start()
    shop.run()


def steps(receipt: Receipt, step: str) -> list[str]:
    return [taken["result"] for taken in receipt.steps if taken["step"] == step]


def wishes(shop: Workshop) -> list[tuple[bool, bool]]:
    told = [message.body.get("reboot") for message in shop.outbox.after(0, 1000) if message.kind == "progress"]
    return [(wish["wanted"], wish["forced"]) for wish in told if wish]


def test_computer_without_leave_says_that_it_would_reboot_and_waits(shop: Workshop) -> None:
    waits(shop, leave=False)

    look_again(shop, 3600)

    assert shop.record().state is AssignmentState.AWAITING_REBOOT
    assert (shop.power.reboots, wishes(shop)[-1], shop.people.asked) == (0, (True, False), [])


def test_leave_lets_it_reboot_once_and_it_is_confirmed_after_the_boot(shop: Workshop) -> None:
    waits(shop)
    rebooting = shop.record().state
    boots(shop)

    assert (rebooting, shop.power.reboots) == (AssignmentState.REBOOTING, 1)
    assert (shop.receipt().outcome, shop.receipt().boot_id) == ("SUCCEEDED", "boot-2")
    assert shop.told()[-3:] == ["AWAITING_REBOOT", "REBOOTING", "CONFIRMING"]


def test_leave_that_ran_out_is_none(shop: Workshop) -> None:
    waits(shop, leave=False)
    give_leave(shop, timedelta(minutes=5))
    shop.orders.freeze(active=True, reason="month end")
    look_again(shop)
    shop.orders.freeze(active=False, reason="")

    look_again(shop, 301)

    assert (shop.power.reboots, shop.record().state) == (0, AssignmentState.AWAITING_REBOOT)
    assert "run out" in shop.record().detail


def test_freeze_stops_a_reboot_unless_a_deviation_opens_it(shop: Workshop) -> None:
    waits(shop, leave=False)
    shop.orders.freeze(active=True, reason="month end")
    give_leave(shop)
    look_again(shop)
    held = shop.record()

    shop.orders.reboot_lease("a-1", RebootLease(START + DAY, despite_freeze=True))
    look_again(shop)

    assert (held.state, "month end" in held.detail) == (AssignmentState.AWAITING_REBOOT, True)
    assert shop.power.reboots == 1


def test_leave_survives_a_restart_of_the_agent_but_not_the_word_about_freezes(shop: Workshop) -> None:
    shop.orders.reboot_lease("a-1", RebootLease(START + DAY, despite_freeze=True))
    shop.start()

    assert shop.orders.reboot_hindrance("a-1", START) == ""
    shop.orders.freeze(active=True, reason="month end")
    assert shop.orders.reboot_hindrance("a-1", START) == "month end"
    shop.orders.forget("a-1")
    shop.orders.freeze(active=False, reason="")
    assert "not given leave" in shop.orders.reboot_hindrance("a-1", START)


def test_people_are_asked_with_leave_at_hand_and_their_notice_keeps_it(shop: Workshop) -> None:
    shop.people.words = [Word(go=False, until=START + timedelta(minutes=10), detail="Ada is told.")]
    waits(shop)
    told = shop.record()

    look_again(shop, 600)

    assert (told.detail, told.reboot_wanted, told.state) == ("Ada is told.", True, AssignmentState.AWAITING_REBOOT)
    assert shop.people.asked == [(Disturbance.REBOOT, False)] * 2
    assert shop.power.reboots == 1


def test_reboot_that_people_put_off_gives_its_leave_back(shop: Workshop) -> None:
    shop.people.words = [Word(go=False, until=START + timedelta(hours=1), put_off=True, detail="Ada put it off.")]

    waits(shop)

    assert wishes(shop)[-1] == (False, False)


def test_nobody_asked_is_a_yes(shop: Workshop) -> None:
    waits(shop, leave=False)

    assert NobodyAsks().may_disturb(shop.record(), Disturbance.INSTALL, last_word=False).go


def test_drain_that_refuses_puts_the_reboot_off_and_gives_back_what_it_took(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.DRAIN: ["3 pods stay"], Moment.UNDRAIN: []}
    waits(shop, reboot_defer_seconds=600)
    put_off = shop.record()
    look_again(shop, 599)
    early = shop.power.reboots
    look_again(shop, 2)
    boots(shop)

    assert (put_off.reboot_deferrals, put_off.reboot_wanted, early, shop.power.reboots) == (1, False, 0, 1)
    assert "3 pods stay" in put_off.detail
    assert steps(shop.receipt(), "drain") == ["refused", "done"]
    assert steps(shop.receipt(), "undrain") == ["done", "done"]
    assert shop.receipt().outcome == "SUCCEEDED"


def test_drain_that_refuses_for_good_fails_where_the_sop_lets_no_reboot_be_forced(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.DRAIN: ["no"] * 9}
    waits(shop, reboot_deferrals=1, reboot_defer_seconds=60)

    for _ in range(3):
        look_again(shop, 61)

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "PENDING_REBOOT")
    assert "refused 2 times" in shop.receipt().detail
    assert (shop.power.reboots, shop.installed()) == (0, "2")


def test_drain_that_refuses_for_good_is_overruled_where_the_sop_forces_the_reboot(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.DRAIN: ["no"] * 9}
    waits(shop, reboot_deferrals=1, reboot_defer_seconds=60, reboot_forced=True)

    for _ in range(3):
        look_again(shop, 61)
    boots(shop)

    assert shop.people.asked[-1] == (Disturbance.REBOOT, True)
    assert steps(shop.receipt(), "drain") == ["refused", "refused", "overruled"]
    assert shop.receipt().outcome == "SUCCEEDED"


def test_deadline_of_the_reboot_fails_the_update_where_nothing_is_forced(shop: Workshop) -> None:
    waits(shop, leave=False, reboot_deadline_seconds=3600)

    look_again(shop, 3599)
    before = shop.record().state
    look_again(shop, 1)

    assert before is AssignmentState.AWAITING_REBOOT
    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "PENDING_REBOOT")


def test_deadline_of_the_reboot_forces_it_but_never_without_leave(shop: Workshop) -> None:
    waits(shop, leave=False, reboot_deadline_seconds=3600, reboot_forced=True)

    look_again(shop, 3600)
    before = (shop.power.reboots, wishes(shop)[-1])
    give_leave(shop)
    look_again(shop)

    assert before == (0, (True, True))
    assert shop.power.reboots == 1


def test_clock_of_the_computer_that_jumps_does_not_bring_the_deadline(shop: Workshop) -> None:
    waits(shop, leave=False, reboot_deadline_seconds=3600)

    shop.clock.time += 2 * DAY
    shop.clock.fleet_ahead = -2 * DAY
    look_again(shop)

    assert shop.record().state is AssignmentState.AWAITING_REBOOT


def test_sop_that_lets_no_computer_reboot_itself_leaves_it_to_people(shop: Workshop) -> None:
    waits(shop, reboot_when="never")
    told = wishes(shop)[-1]
    boots(shop)

    assert (told, shop.power.reboots) == ((False, False), 0)
    assert shop.receipt().outcome == "SUCCEEDED"


def test_leave_that_runs_out_during_the_drain_gives_the_work_back(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.DRAIN: [], Moment.UNDRAIN: []}
    shop.commands.on_run = lambda moment: shop.clock.advance(400 if moment is Moment.DRAIN else 0)
    waits(shop, leave=False)
    give_leave(shop, timedelta(minutes=5))

    shop.worker.run_until_idle()

    assert (shop.power.reboots, shop.record().drained, shop.commands.ran[-1]) == (0, False, Moment.UNDRAIN)
    assert shop.record().state is AssignmentState.AWAITING_REBOOT


def test_agent_that_dies_after_the_drain_does_not_drain_again(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.DRAIN: [], Moment.UNDRAIN: []}
    shop.people.words = [Word(go=False, until=START + timedelta(seconds=60))]
    waits(shop)
    shop.journal.save(shop.record().__class__(**{**vars(shop.record()), "drained": True}))
    shop.start()

    look_again(shop, 60)

    assert (shop.commands.ran, shop.power.reboots) == ([], 1)


def test_computer_that_does_not_go_down_is_told_again_and_then_goes_back(shop: Workshop) -> None:
    waits(shop)
    for _ in range(limits.reboot_tries_max):
        look_again(shop, limits.reboot_grace_seconds)
    shop.run()

    assert shop.power.reboots == limits.reboot_tries_max
    assert (shop.receipt().outcome, shop.receipt().symptom) == ("ROLLED_BACK", "REBOOT_FAILED")
    assert shop.installed() == "1"


def test_reboot_is_not_started_twice_while_the_computer_goes_down(shop: Workshop) -> None:
    waits(shop)

    look_again(shop, 5)
    shop.start()
    look_again(shop, 5)

    assert shop.power.reboots == 1


def test_reboot_command_that_fails_is_tried_again_soon(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        shop.power.reboots += 1
        raise StepError(Symptom.REBOOT_FAILED, "no such command")

    monkeypatch.setattr(shop.power, "reboot", fails)
    waits(shop)
    for _ in range(limits.reboot_tries_max):
        look_again(shop, limits.retry_cap_seconds + 1)
    shop.run()

    assert shop.power.reboots == limits.reboot_tries_max
    assert (shop.receipt().outcome, shop.receipt().symptom) == ("ROLLED_BACK", "REBOOT_FAILED")
    assert "no such command" in shop.receipt().detail


def test_old_version_after_the_boot_rolls_back_and_gives_the_work_back(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.DRAIN: [], Moment.UNDRAIN: []}
    waits(shop)
    boots(shop, "1")

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("ROLLED_BACK", "REBOOT_FAILED")
    assert shop.commands.ran == [Moment.DRAIN, Moment.UNDRAIN]


def test_undrain_that_refuses_is_tried_again_and_then_the_release_goes_back(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.DRAIN: [], Moment.UNDRAIN: ["no"] * limits.undrain_tries_max}
    waits(shop)
    boots(shop)
    boots(shop, shop.installed(), "boot-3")

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("ROLLED_BACK", "HEALTH_CHECK_FAILED")
    assert steps(shop.receipt(), "undrain") == ["refused"] * limits.undrain_tries_max + ["done"]


def test_undrain_that_agrees_in_the_end_is_no_failure(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.DRAIN: [], Moment.UNDRAIN: ["not yet"]}
    waits(shop)
    boots(shop)

    assert shop.receipt().outcome == "SUCCEEDED"


def test_release_that_boots_again_and_again_goes_back(shop: Workshop) -> None:
    waits(shop)
    shop.health.cancelled = True
    for number in range(limits.boots_max):
        boots(shop, boot=f"boot-{number + 2}")
    confirming = shop.record()
    shop.health.cancelled = False
    boots(shop, boot="boot-99")
    boots(shop, "1", "boot-100")

    assert (confirming.state, confirming.boots) == (AssignmentState.CONFIRMING, limits.boots_max)
    assert (shop.receipt().outcome, shop.receipt().symptom) == ("ROLLED_BACK", "REBOOT_FAILED")


@pytest.mark.parametrize(("since_boot", "patience"), [(20, 600), (1500, 300), (4000, 0)])
def test_health_checks_have_no_longer_than_the_confirm_timeout_counted_from_boot(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, since_boot: int, patience: int
) -> None:
    asked: list[int] = []
    watch = shop.health.watch

    def seen(manifest: Any, *rest: Any) -> Any:
        asked.append(manifest.health_checks[0].within_seconds)
        return watch(manifest, *rest)

    give_leave(shop)
    checks = (HealthCheck(exec=("/check",), within_seconds=600),)
    shop.offer(shop.warrant(shop.publish("2", reboot="always", health_checks=checks)))
    shop.worker.run_until_idle()
    monkeypatch.setattr(shop.health, "watch", seen)
    shop.clock.boot, shop.clock.seconds = "boot-2", float(since_boot)
    shop.start()
    shop.run()

    assert (asked, shop.receipt().outcome) == ([patience], "SUCCEEDED")


def test_release_that_was_booted_into_is_taken_back_by_another_boot(shop: Workshop) -> None:
    waits(shop)
    shop.health.sick = {"2"}
    boots(shop)
    going_back, told = shop.record(), wishes(shop)[-1]
    reboots = shop.power.reboots
    shop.health.sick = set()
    boots(shop, "1", "boot-3")

    assert (going_back.state, told, shop.installed()) == (AssignmentState.ROLLING_BACK, (True, False), "1")
    assert reboots == 2
    assert shop.people.asked[-1] == (Disturbance.REBOOT, True)
    assert (shop.receipt().outcome, shop.receipt().boot_id) == ("ROLLED_BACK", "boot-3")
    assert shop.health.asked[-1] == ("1", "roll_back")


def test_way_back_waits_for_the_notice_and_gives_up_a_reboot_that_never_comes(shop: Workshop) -> None:
    waits(shop)
    shop.health.sick = {"2"}
    shop.people.words = [Word(go=False, until=START + timedelta(minutes=1))]
    boots(shop)
    for _ in range(limits.reboot_tries_max + 1):
        look_again(shop, limits.reboot_grace_seconds)

    assert shop.power.reboots == 1 + limits.reboot_tries_max
    assert shop.receipt().outcome == "ROLLED_BACK"
    assert "left" in steps(shop.receipt(), "reboot")


def test_way_back_of_a_computer_that_people_reboot_says_that_it_takes_a_reboot(shop: Workshop) -> None:
    shop.power.allowed = False
    waits(shop, leave=False)
    shop.health.sick = {"2"}
    boots(shop)

    assert (shop.receipt().outcome, shop.power.reboots) == ("ROLLED_BACK", 0)
    (note,) = [step for step in shop.receipt().steps if step["step"] == "reboot"]
    assert note["detail"] == "the version before runs once the computer is rebooted; people reboot this computer"


def test_computer_that_somebody_reboots_needs_no_leave(shop: Workshop) -> None:
    waits(shop, leave=False)
    boots(shop)

    assert (shop.receipt().outcome, shop.power.reboots) == ("SUCCEEDED", 0)
