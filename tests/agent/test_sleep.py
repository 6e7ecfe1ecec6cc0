"""Sleep and the lock against it, with a logind of the test's own on a real bus."""

import asyncio
import signal
import subprocess
import sys
import threading
import time

import pytest

from sopwith_agent.adapters.logind import SleepInhibitor, SleepWatch
from sopwith_agent.domain import limits
from sopwith_formats.vocabulary import AssignmentState
from tests.agent.buses import Logind, bus_at, short_folder
from tests.agent.fake_controller import FakeController
from tests.agent.test_session import Computer, computer, controller
from tests.agent.workshop import Workshop

__all__ = ["computer", "controller"]
needs_bus = pytest.mark.needs_tool("dbus-daemon")


@pytest.fixture
def root():
    with short_folder() as folder:
        yield folder


@pytest.fixture
def logind(root):
    with bus_at(root / "run/dbus/system_bus_socket") as address:
        server = Logind(address)
        try:
            yield server
        finally:
            server.close()


@needs_bus
def test_lock_is_taken_once_and_released(root, logind):
    inhibitor = SleepInhibitor(root)

    said = {inhibitor.hold("installs hello"), inhibitor.hold("installs hello")}

    assert said == {"sleep, shutdown and lid are held"}
    assert logind.called("Inhibit") == ("sleep:shutdown:handle-lid-switch", "Sopwith", "installs hello", "block")
    assert logind.is_held("block")
    inhibitor.release()
    assert logind.until_released("block")
    assert logind.calls.empty()
    inhibitor.release()


@needs_bus
def test_lock_goes_with_the_process_that_held_it(root, logind):
    program = (
        "import sys; from pathlib import Path; from sopwith_agent.adapters.logind import SleepInhibitor\n"
        "print(SleepInhibitor(Path(sys.argv[1])).hold('installs'), flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert b"held" in holder.stdout.readline()
    assert logind.is_held("block")

    holder.send_signal(signal.SIGKILL)
    holder.wait(10)

    assert logind.until_released("block")
    holder.stdin.close()
    holder.stdout.close()


def test_computer_without_logind_says_that_nothing_keeps_it_awake(root):
    inhibitor = SleepInhibitor(root)

    assert inhibitor.hold("installs hello") == "no logind on this computer: nothing keeps it awake"
    inhibitor.release()


@needs_bus
def test_bus_without_logind_costs_the_lock_only(root):
    with bus_at(root / "run/dbus/system_bus_socket"):
        assert SleepInhibitor(root).hold("installs").startswith("logind did not take the lock: ")


@needs_bus
async def test_sleep_is_told_before_it_comes_and_delayed_for_that(root, logind):
    told: list[str] = []
    asked, may_go_on = threading.Event(), threading.Event()

    def going() -> None:
        told.append("sleeps")
        asked.set()
        may_go_on.wait(10)

    watch = SleepWatch(root, going, lambda: told.append("awake"))
    task = asyncio.create_task(watch.run())
    try:
        first = await asyncio.to_thread(logind.called, "Inhibit")
        assert (first[0], first[3]) == ("sleep", "delay")

        logind.prepare_for_sleep(begins=True)
        assert await asyncio.to_thread(asked.wait, 10)
        assert logind.is_held("delay")
        may_go_on.set()
        assert await asyncio.to_thread(logind.until_released, "delay")

        logind.prepare_for_sleep(begins=False)
        again = await asyncio.to_thread(logind.called, "Inhibit")
        assert (again[3], told) == ("delay", ["sleeps", "awake"])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.to_thread(logind.until_released, "delay")


def test_computer_is_kept_awake_from_installing_to_confirming(tmp_path):
    workshop = Workshop(tmp_path)
    workshop.install("1")
    states: list[tuple[str, bool]] = []
    workshop.worker.moved = lambda record: states.append((record.state.value, workshop.wakefulness.held))
    workshop.offer(workshop.warrant(workshop.publish("2")))
    workshop.worker.run_until_idle()

    assert workshop.wakefulness.changes == [True, False]
    assert ("CONFIRMING", True) in states
    assert ("STAGED", False) in states
    steps = {step["step"]: step["detail"] for step in workshop.receipt().steps}
    assert steps["keep_awake"] == "held"


def test_computer_that_waits_for_its_reboot_may_sleep(tmp_path):
    workshop = Workshop(tmp_path)
    workshop.install("1")
    workshop.offer(workshop.warrant(workshop.publish("2", reboot="always")))
    workshop.worker.run_until_idle()

    assert workshop.record().state is AssignmentState.AWAITING_REBOOT
    assert not workshop.wakefulness.held


def test_failed_install_lets_the_computer_sleep_again(tmp_path):
    workshop = Workshop(tmp_path)
    workshop.install("1")
    workshop.health.sick = {"2"}
    workshop.offer(workshop.warrant(workshop.publish("2")))
    workshop.run()

    assert workshop.wakefulness.changes[-1] is False


def sleeps(controller: FakeController) -> int:
    return sum(message.WhichOneof("content") == "going_to_sleep" for message in controller.heard)


async def test_sleep_is_the_last_word_on_the_stream_and_waking_dials_at_once(controller, computer: Computer):
    computer.start()
    await controller.until(controller.readiness)

    await asyncio.to_thread(computer.session.going_to_sleep)
    assert not computer.session.connected
    assert controller.heard[-1].WhichOneof("content") == "going_to_sleep"
    await asyncio.sleep(1.5)  # longer than the first redial would take
    assert len(controller.hellos) == 1

    computer.session.woke_up()
    await controller.until(lambda: len(controller.hellos) == 2)
    assert sleeps(controller) == 1


async def test_stream_that_was_open_across_a_sleep_is_not_trusted(controller, computer: Computer):
    computer.start()
    await controller.until(controller.readiness)

    computer.session.woke_up()

    await controller.until(lambda: len(controller.hellos) == 2)


async def test_computer_that_did_not_fall_asleep_dials_again_by_itself(controller, computer: Computer, monkeypatch):
    monkeypatch.setattr(limits, "slumber_max_seconds", 0.2)
    computer.start()
    await controller.until(controller.readiness)

    await asyncio.to_thread(computer.session.going_to_sleep)

    await controller.until(lambda: len(controller.hellos) == 2)


async def test_sleep_without_a_controller_is_not_held_up(controller, computer: Computer):
    await controller.stop()
    computer.start()
    await asyncio.sleep(0.2)
    began = time.monotonic()

    await asyncio.to_thread(computer.session.going_to_sleep)

    assert time.monotonic() - began < limits.sleep_announce_seconds
