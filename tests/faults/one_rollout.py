"""One whole rollout of five computers over a controller that dies once, at a moment that is counted, not drawn.

Decides the story that people play (create, submit, approve, start, pause, resume, freeze, retry, acknowledge, withdraw;
one computer rolls back, one fails and is tried again) and at which commit or send the controller's process ends. A
person whose call got no answer repeats it with the same request id. Everything else is the simulation's: real services,
simulated agents, virtual time. Nothing but the one death goes wrong, so that each run can be compared with a whole one.
"""

import asyncio
import collections
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, cast

from sopwith_certs.plan_approvals import sign_approval
from sopwith_certs.signing import fingerprint, new_key, public_key_pem
from sopwith_controller.domain.entities import ComputerState
from sopwith_controller.domain.rollout_entities import Assignment, RolloutState
from sopwith_controller.domain.waves import count
from sopwith_controller.services.access import Caller
from sopwith_controller.services.notifying import Notifying
from sopwith_controller.services.releases import Releases
from sopwith_controller.services.rollout_retry import RolloutRetry
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.rollout_spec import ErrorThresholdSpec, RolloutSpec
from sopwith_formats.sop_policy import WaveRule
from tests import builders
from tests.controller.domain.builders import a_manifest, shares
from tests.faults.lives_on_disk import DiskOfLives, statements_at_once
from tests.simulation.computer import SimulatedComputer
from tests.simulation.controller import Premises, SimulatedController
from tests.simulation.database import CommitFault, ControllerDied, WatchedDatabase
from tests.simulation.ending import check_everything
from tests.simulation.faults import Faults
from tests.simulation.gate_keepers import OTTO
from tests.simulation.network import Link
from tests.simulation.promises import Promise
from tests.simulation.world import RunResult, World

COMPUTERS = 5
DOWN_SECONDS = 5.0
PATIENCE_SECONDS = 3600
ANNA = Caller("person", "p-anna", "anna", frozenset({"owner"}))
RELEASE = "hello@2-bad"
SPEC = RolloutSpec(
    rollout="hello",
    release=RELEASE,
    sop="SU-SOP-001",
    waves=(WaveRule("canary", 1), WaveRule("rest", "100%")),
    success_threshold="0%",
    error_threshold=ErrorThresholdSpec("100%", 1000, 1000),
    max_concurrency=1,
    deadline_seconds=4 * 3600,
    attempts_max=1,
)
When = Literal["before", "after"]
Act = Callable[["MortalController", Caller], Awaitable[Any]]


@dataclass(frozen=True)
class Kill:
    """Where the controller dies: before or after its n-th commit or send."""

    point: Literal["commit", "send"]
    when: When
    number: int


@dataclass(frozen=True)
class Told:
    """What is left when the story is over; equal for a whole run and one with a death, but for the deliveries."""

    broken: tuple[str, ...]
    log: dict[str, int]
    """Kind of entry to how many there are."""
    outcomes: tuple[tuple[str, int, str, int], ...]
    """Computer, generation, outcome and how often its commit point was passed."""
    counts: str
    waves: tuple[tuple[bool, bool, bool], ...]
    """Of each wave, whether it opened, ended and passed."""
    installed: tuple[tuple[str, str], ...]
    messages: tuple[tuple[str, bool], ...]
    """Of each message to a person, to whom and whether it was delivered."""


class Mortality:
    """Counts commits and sends of all lives, and ends one."""

    def __init__(self, kill: Kill | None) -> None:
        self._kill = kill
        self.counted: collections.Counter[str] = collections.Counter()
        self.died = False
        self.end: Callable[[], None]

    def reaches(self, point: str) -> CommitFault:
        """Count one; tell whether it is the one, and on which side of it the controller dies."""
        self.counted[point] += 1
        kill = self._kill
        if kill is None or (point, self.counted[point]) != (kill.point, kill.number):
            return ""
        self.died = True
        return kill.when

    def die(self) -> None:
        """End the process here."""
        self.end()
        raise ControllerDied


class MortalLink(Link):
    """A stream that its controller can die of."""

    mortality: Mortality

    def down(self, message: Any) -> None:
        if not self.alive:
            return
        fault = self.mortality.reaches("send")
        if fault == "before":
            self.mortality.die()
        super().down(message)
        if fault == "after":
            for handle in tuple(self._down_going.values()):
                self._arrive_down(*handle._args)  # what was sent before the death still arrives, in its order
            self.mortality.die()


class Mailbox:
    """The channel to people: notes what was delivered, and how often."""

    channel = "smtp"

    def __init__(self, mortality: Mortality) -> None:
        self._mortality = mortality
        self.taken: collections.Counter[tuple[str, str, str]] = collections.Counter()

    async def deliver(self, target: str, subject: str, body: str) -> None:
        fault = self._mortality.reaches("send")
        if fault == "before":
            self._mortality.die()
        self.taken[target, subject, body] += 1
        if fault == "after":
            self._mortality.die()


class MortalController(SimulatedController):
    """The simulation's controller, with an outbox and the use cases of retries and releases."""

    def __init__(self, premises: Premises, mailbox: Mailbox) -> None:
        super().__init__(premises)
        self.notifying = Notifying(self.database, premises.clock, {mailbox.channel: mailbox})
        self.incidents._wake = self.notifying.wake
        self.retries = RolloutRetry(self.rollouts._tools)
        self.releases = Releases(
            self.database, premises.clock, premises.source, self.streams, changed=self.advancing.poke_all
        )

    async def start(self) -> None:
        await super().start()
        self.run(self.notifying.run())


class OneRollout(World):
    """One run of the story; over the fake database, or over real SQLite where `on_disk` names a folder and a file."""

    def __init__(self, kill: Kill | None = None, on_disk: tuple[Path, Path] | None = None) -> None:
        self.mortality = Mortality(kill)
        self.mortality.end = self._end_life
        self.mailbox = Mailbox(self.mortality)
        super().__init__(seed=1, computers=COMPUTERS)
        self._disk: DiskOfLives | None = None
        if on_disk is not None:
            self._disk = DiskOfLives(*on_disk, self.wall, self._committed)
            self._disk.end_of_life = self._end_life
            self.database = cast("WatchedDatabase", self._disk)
            self._premises = replace(self._premises, database=self.database)
        self.loop.set_exception_handler(self._unheard)
        _calm(self.faults)
        for number, computer in enumerate(self.computers):
            _tame(computer, _calm(Faults(number, 1)))
        self._anna_key = new_key()
        self.told: Told | None = None
        self.asked: dict[str, range] = {}
        """Request id to the commits that were made while it was carried out."""
        self.repeated: set[str] = set()
        """Request ids that were sent again, because their answer never came."""

    def run(self) -> RunResult:
        if self._disk is None:
            return super().run()
        try:
            with statements_at_once():
                return super().run()
        finally:
            self._disk.end()

    async def _story(self) -> None:
        await self._furnish([SPEC])
        await self._add_approver()
        await self._start_controller()
        for computer in self.computers:
            computer.begin()
        await self._bring_to_start()
        await self._stop_and_go()
        await self._until(lambda: self._state() is RolloutState.COMPLETED)
        await self._try_again_and_end()
        await self._tell_the_truth()
        await self._until(lambda: all(one.delivered for one in self.tables["notifications"].values()))
        for promise, text in check_everything(self.tables, self.truth, self.computers, clock_was_set=False):
            self.note_broken(promise, text)
        self.told = self._summary()

    async def _bring_to_start(self) -> None:
        text = SPEC.to_json().decode()
        await self._ask(OTTO, "create", lambda c, who: c.rollouts.create(who, text))
        (rollout,) = self.rollouts()
        await self._ask(OTTO, "submit", lambda c, who: c.rollouts.submit(who, rollout.id))
        digest = self.rollout(rollout.id).plan_sha256
        approval = PlanApproval(
            rollout.id, digest, "anna", "2026-11-23T06:00:00Z", fingerprint(self._anna_key.public_key())
        )
        envelope = sign_approval(approval, self._anna_key).decode()
        self.truth.approved.add((rollout.id, digest))
        await self._ask(ANNA, "approve", lambda c, who: c.rollouts.approve(who, rollout.id, digest, envelope))
        await self._ask(
            OTTO, "start", lambda c, who: c.rollout_start.start(who, rollout.id, "monthly"), when=self._all_ready
        )
        second_wave = [one for one in self._assignments() if one.wave == 1]
        machines = {computer.name: computer for computer in self.computers}
        self._bad, self._failing = (machines[one.computer] for one in second_wave[-2:])
        self._bad._unhealthy_under_bad = True
        self._failing.faults.rates.install_failed = 1.0

    async def _stop_and_go(self) -> None:
        (rollout,) = self.rollouts()
        await self._until(lambda: any(one.wave == 1 and one.offered_time for one in self._assignments()))
        await self._ask(OTTO, "pause", lambda c, who: c.rollouts.pause(who, rollout.id, "lunch"))
        await asyncio.sleep(20.0)
        await self._ask(OTTO, "resume", lambda c, who: c.rollouts.resume(who, rollout.id, "lunch is over"))
        await self._ask(OTTO, "freeze", lambda c, who: c.freezes.start(who, "stocktaking", None))
        await asyncio.sleep(20.0)
        await self._ask(OTTO, "thaw", lambda c, who: c.freezes.end(who, "", "counted"))

    async def _try_again_and_end(self) -> None:
        (rollout,) = self.rollouts()
        self._failing.faults.rates.install_failed = 0.0
        await self._ask(OTTO, "retry", lambda c, who: c.retries.retry(who, rollout.id, [self._failing.name], "mended"))
        await self._until(lambda: self._state() is RolloutState.COMPLETED)
        for incident in tuple(self.tables["incidents"]):
            await self._ask(OTTO, f"take {incident}", _take(incident))
        await self._ask(OTTO, "withdraw", lambda c, who: c.releases.withdraw(who, RELEASE, "it is bad"))

    async def _ask(self, caller: Caller, request_id: str, act: Act, *, when: Callable[[], bool] = lambda: True) -> None:
        """Call the controller until it answers, with the same request id: nobody knows what became of a lost call."""
        while True:
            await self._until(when)
            before = self.mortality.counted["commit"]
            controller = self.controller
            if isinstance(controller, MortalController):
                task = controller.run(_answered(act(controller, replace(caller, request_id=request_id))))
                await asyncio.wait({task})
                if not task.cancelled() and task.exception() is None:
                    self.asked[request_id] = range(before + 1, self.mortality.counted["commit"] + 1)
                    return
                self.repeated.add(request_id)
            await asyncio.sleep(1.0)

    async def _until(self, holds: Callable[[], bool]) -> None:
        for _ in range(PATIENCE_SECONDS):
            if holds():
                return
            await asyncio.sleep(1.0)
        self.note_broken(Promise.TERMINAL, f"the story stands still: {[rollout.state for rollout in self.rollouts()]}")
        await asyncio.Event().wait()

    def _all_ready(self) -> bool:
        connected = self.controller.streams.connected_ids() if self.controller else frozenset()
        ready = [one for one in self.tables["computers"].values() if one.readiness.verdict == "READY"]
        return len(connected) == len(ready) == COMPUTERS

    def _state(self) -> RolloutState:
        (rollout,) = self.rollouts()
        return rollout.state

    def _assignments(self) -> list[Assignment]:
        return sorted(self.tables.get("assignments", {}).values(), key=lambda one: (one.generation, one.position))

    def _summary(self) -> Told:
        (rollout,) = self.rollouts()
        newest = [one for one in self._assignments() if not one.replaced]
        commits = self.truth.commits
        return Told(
            broken=tuple(self.broken),
            log=dict(sorted(collections.Counter(row.kind for row in self.tables["update_log"].values()).items())),
            outcomes=tuple(
                (one.computer, one.generation, one.outcome, commits.get((one.id, one.generation), 0))
                for one in self._assignments()
            ),
            counts=str(count(shares(newest))),
            waves=tuple(
                (wave.opened_time is not None, wave.ended_time is not None, wave.passed_time is not None)
                for wave in rollout.waves
            ),
            installed=tuple(sorted((one.name, one.disk.installed["hello"]) for one in self.computers)),
            messages=tuple(sorted((one.target, one.delivered) for one in self.tables["notifications"].values())),
        )

    # The controller's lives.

    async def _start_controller(self) -> None:
        self.controllers += 1
        controller = MortalController(self._premises, self.mailbox)
        self.controller = controller
        task = controller.run(controller.start())
        await asyncio.wait({task})

    def _end_life(self) -> None:
        controller, self.controller = self.controller, None
        if controller is not None:
            self.trace.note("the controller dies")
            controller.die()
            if self._disk is not None:
                self._disk.leave()
            self.loop.call_later(DOWN_SECONDS, self._restart)

    def _commit_fault(self, _: Collection[str]) -> CommitFault:
        fault = self.mortality.reaches("commit") if self.controller is not None else "before"
        if fault and self._disk is None:
            self.loop.call_soon(self._end_life)
        return fault

    def _unheard(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Hear of what nobody awaited: the death itself is no news, everything else is."""
        error = context.get("exception")
        if not isinstance(error, ControllerDied):
            self.note_broken(Promise.CALM, f"{context['message']}: {error!r}")

    def _dial(self, computer: SimulatedComputer, nonce: str) -> Link | None:
        if self.controller is None:
            return None
        link = MortalLink(computer.id, nonce, self.faults, self.loop)
        link.mortality = self.mortality
        self.controller.accept(link)
        return link

    async def _add_approver(self) -> None:
        async with self.database.write() as unit:
            key = public_key_pem(self._anna_key.public_key()).decode()
            await unit.people.put(builders.person("anna", roles=("owner",), public_key_pem=key))
            release = await unit.releases.get("hello", "2-bad")
            assert release is not None
            manifest = a_manifest(name="hello", version="2-bad", change_class="normal")
            await unit.releases.put(replace(release, manifest_json=manifest.to_json().decode()))
            for computer in self.computers:
                known = await unit.computers.get(computer.id)
                assert known is not None
                await unit.computers.put(replace(known, state=ComputerState.ACCEPTED, installed={"hello": "1"}))
            await unit.commit()


def _take(incident: str) -> Act:
    return lambda controller, who: controller.incidents.acknowledge(who, incident)


async def _answered(call: Awaitable[Any]) -> None:
    await call


def _calm(faults: Faults) -> Faults:
    for field in fields(faults.rates):
        setattr(faults.rates, field.name, 0.0)
    return faults


def _tame(computer: SimulatedComputer, faults: Faults) -> None:
    """Take away what the simulation's dice gave it; its faults are its own."""
    computer.faults = faults
    computer.disk.installed = {"hello": "1"}
    computer.cannot_go_back = computer._unhealthy_under_bad = computer._reboots = computer._absent = False
