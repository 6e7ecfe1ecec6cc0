"""A simulated computer: power, sleep, readiness, reboots and crashes around its agent.

Decides what happens to the machine, by the run's faults and its own nature, which is drawn once from seed and name: on
which computers a bad release is unhealthy, which need a reboot, which cannot go back. The truth about what was done
here goes to `truth` the moment it is done.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sopwith_certs.signing import PrivateKey
from sopwith_controller.domain.entities import Reason
from sopwith_controller.services.agent_reports import Report
from sopwith_formats.vocabulary import Symptom
from sopwith_formats.warrant import Warrant
from tests.simulation.agent import Agent
from tests.simulation.disk import Disk
from tests.simulation.faults import Faults
from tests.simulation.messages import GoingToSleep
from tests.simulation.network import Link
from tests.simulation.truth import Truth
from tests.simulation.virtual_time import VirtualClock, VirtualLoop

OFF_AT_LEAST_SECONDS = 60.0
"""Longer than a dead stream is taken for a live one, so that nobody is a clone of itself."""
SKEW_MAX_SECONDS = 1.0
TIME_SET_BEYOND = timedelta(minutes=5)
"""The agent's own bound, beyond which the controller's clock counts as set."""
AT_FIRST = 3
"""So many computers at least are there from the beginning."""
_OBSTACLES = (Symptom.LOAD_HIGH, Symptom.DISK_FULL, Symptom.POWER_LOW, Symptom.PACKAGE_LOCK_HELD)


class SimulatedComputer:
    """One machine."""

    def __init__(
        self,
        number: int,
        seed: int,
        *,
        key: PrivateKey,
        receipt_key_pem: str,
        clock: VirtualClock,
        loop: VirtualLoop,
        faults: Faults,
        truth: Truth,
        dial: Callable[["SimulatedComputer", str], Link | None],
        trouble: Callable[[BaseException], None],
    ) -> None:
        self.name = f"pc{number}"
        self.id = f"c-{number}"
        nature = random.Random(f"{seed} {self.name}")  # noqa: S311  a seed that can be replayed
        rates = faults.rates
        self.clock, self.loop, self.faults = clock, loop, faults
        self.receipt_key_pem = receipt_key_pem
        self.disk = Disk(self.id, key, installed={"hello": "1"} if nature.random() < 0.9 else {})
        self.agent: Agent | None = None
        self.may_reboot = nature.random() < 0.8
        self.cannot_go_back = nature.random() < rates.rollback_failed
        self._unhealthy_under_bad = nature.random() < rates.bad_health
        self._reboots = nature.random() < rates.reboot_needed
        self._absent = nature.random() < rates.absent
        self.enrolled = number < AT_FIRST or nature.random() >= rates.late
        self._skew = timedelta(seconds=nature.uniform(-SKEW_MAX_SECONDS, SKEW_MAX_SECONDS))
        self._wall_shift = timedelta(0)
        self._truth, self._dial, self._trouble = truth, dial, trouble
        self._lives = self._boots = 0
        self._not_ready_until = 0.0
        self._obstacle = nature.choice(_OBSTACLES)
        self._awake = asyncio.Event()
        self._awake.set()
        self._going_on = asyncio.Event()
        self._going_on.set()
        self._fleet_ahead = timedelta(0)
        """The controller's time as its last Welcome told it, beside the real one."""
        self._when_answered: Callable[[], None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def boot_id(self) -> str:
        """Return the id of this boot."""
        return f"{self.name}-boot-{self._boots}"

    def begin(self) -> None:
        """Switch it on, or leave it off for a while, and let things happen to it."""
        if self._absent:
            self._come_back_after(self.faults.between(600.0, 6 * 3600.0))
        else:
            self._come_back_after(self.faults.between(0.0, 20.0))
        rates = self.faults.rates
        for mean, event in (
            (rates.link_cut, self._cut_link),
            (rates.agent_crash, self._crash),
            (rates.power_cut, self._cut_power),
            (rates.sleep, self._sleep_well),
            (rates.not_ready, self._get_busy),
            (rates.wall_clock_jump, self._jump),
            (rates.hang, self._hang),
        ):
            if mean:
                self._tasks.append(self.loop.create_task(self._again(mean, event)))

    def heal(self) -> None:
        """Switch it on, wake it, make it ready; nothing happens to it any more."""
        for task in self._tasks:
            task.cancel()
        self._not_ready_until = 0.0
        self._going_on.set()
        self._wake_up()
        if self.agent is None:
            self._come_back()
        elif any(job.record.state == "AWAITING_REBOOT" for job in self.agent.jobs.values()):
            self.reboot()

    # What the agent asks of its machine.

    def fleet_now(self) -> datetime:
        """Return the controller's time as well as it is known here."""
        return self.clock.now() + self._skew + self._fleet_ahead

    def learn_time(self, controller_time: datetime) -> bool:
        """Take the controller's time from a Welcome; tell whether its clock was set since the last one."""
        ahead, before = controller_time - self.clock.now(), self._fleet_ahead
        self._fleet_ahead = ahead
        return abs(ahead - before) > TIME_SET_BEYOND

    def wall_now(self) -> datetime:
        """Return what its own clock says, whoever set it."""
        return self.clock.now() + self._wall_shift

    def obstacle(self) -> Reason | None:
        """Return why it is not ready now."""
        if self.loop.time() >= self._not_ready_until:
            return None
        return Reason(self._obstacle, f"{self._obstacle} stands in the way", "wait")

    def dial(self, nonce: str) -> Link | None:
        """Return a new stream, None where nobody answers."""
        return self._dial(self, nonce) if self._awake.is_set() else None

    def answers(self, then: Callable[[], None] | None) -> None:
        """Say what to do once it is awake and somebody listens, after a dial in vain; None: nothing."""
        self._when_answered = then

    def may_dial(self) -> None:
        """Let its agent dial again, if it waits for that: a controller listens."""
        if self._when_answered is not None and self._awake.is_set():
            then, self._when_answered = self._when_answered, None
            then()

    def _wake_up(self) -> None:
        self._awake.set()
        self.may_dial()

    def connected_since(self, since: datetime) -> bool:
        """Tell whether the present stream has stood since then, so that every word since has come."""
        agent = self.agent
        if agent is None or agent.link is None or agent.welcomed_time is None:
            return False
        return agent.link.alive and agent.welcomed_time < since

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and the machine's sleep with it."""
        await asyncio.sleep(seconds)
        await self._awake.wait()
        await self._going_on.wait()

    def is_bad(self, warrant: Warrant) -> bool:
        """Tell whether the release is unhealthy here; only releases whose version ends in "bad" can be."""
        return warrant.version.endswith("bad") and self._unhealthy_under_bad

    def needs_reboot(self, warrant: Warrant) -> bool:
        """Tell whether a reboot must follow; where the agent may not do it, a person will, some time."""
        if self._reboots and not self.may_reboot:
            self.loop.call_later(self.faults.between(600.0, 7200.0), self.reboot)
        return self._reboots

    def reboot(self) -> None:
        """Go down now, and come back with another boot id; the new version may be gone then."""
        if self.agent is not None:
            self._kill(controller_knows=True)
            self._boots += 1
            self._come_back_after(self.faults.between(20.0, 180.0))

    def started(self, warrant: Warrant) -> None:
        self._truth.started(self, warrant)

    def rebooting(self, warrant: Warrant) -> None:
        self._truth.rebooting(self, warrant)

    def committed(self, warrant: Warrant) -> None:
        self._truth.committed(self, warrant)

    def found_healthy(self, warrant: Warrant) -> None:
        self._truth.found_healthy(warrant, self.disk.installed.get(warrant.release, ""))

    def forgot(self, report: Report) -> None:
        self._truth.on_forgotten(report)

    def released(self, warrant: Warrant) -> None:
        self._truth.released(self, warrant)

    def ended(self, warrant: Warrant, outcome: str) -> None:
        self._truth.ended(self, warrant, outcome)

    def agent_ended(self, task: asyncio.Task[Any]) -> None:
        """Hear of an agent's task that ended; only a kill may end one."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._trouble(error)

    # What happens to the machine.

    async def _again(self, mean: float, event: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(self.faults.pause(mean) or 0.0)
            if self.faults.healed:
                return
            if self.faults.meets(idle=self.agent is None or self.agent.is_idle):
                event()

    def _cut_link(self) -> None:
        if self.agent is not None and self.agent.link is not None:
            self.agent.link.cut()

    def _crash(self) -> None:
        if self.agent is not None:
            self._kill(controller_knows=True)
            self._come_back_after(self.faults.between(1.0, 30.0))

    def _cut_power(self) -> None:
        if self.agent is not None:
            self._kill(controller_knows=False)
            self._boots += 1
            self._come_back_after(self.faults.between(OFF_AT_LEAST_SECONDS, self.faults.random.choice((120.0, 7200.0))))

    def _sleep_well(self) -> None:
        if self.agent is None or not self._awake.is_set():
            return
        self._awake.clear()
        link = self.agent.link
        if link is not None:
            link.up(GoingToSleep())
            self.loop.call_later(1.0, link.cut)
        self.loop.call_later(self.faults.between(60.0, 5400.0), self._wake_up)

    def _jump(self) -> None:
        self._wall_shift = timedelta(seconds=round(self.faults.between(-1.0, 1.0) * 86400.0))

    def _hang(self) -> None:
        """Let its agent do nothing any more while its stream stands, for a while or until it is killed."""
        if self._going_on.is_set():
            self._going_on.clear()
            seconds = self.faults.random.choice((900.0, 7200.0, 8 * 3600.0))
            self.loop.call_later(self.faults.between(0.5, 1.0) * seconds, self._going_on.set)

    def _get_busy(self) -> None:
        seconds = self.faults.between(60.0, self.faults.random.choice((300.0, 3600.0)))
        self._not_ready_until = self.loop.time() + seconds
        for later in (1.0, seconds + self.faults.between(1.0, 300.0)):
            self.loop.call_later(later, self._measure)

    def _measure(self) -> None:
        if self.agent is not None and self._awake.is_set():
            self.agent.measure()

    def _kill(self, *, controller_knows: bool) -> None:
        agent, self.agent = self.agent, None
        self._going_on.set()
        if agent is not None:
            link = agent.link
            agent.kill()
            if link is not None and controller_knows:
                self.loop.call_later(0.05, link.lost_by_controller)

    def _come_back_after(self, seconds: float) -> None:
        self.loop.call_later(seconds, self._come_back)

    def _come_back(self) -> None:
        if self.agent is None:
            self._lives += 1
            self.agent = Agent(self, f"{self.name}-{self._lives}")
