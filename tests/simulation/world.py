"""One run: a fleet, a controller that dies and comes back, people, faults, and the check of every promise.

Decides the order of a run: everybody appears, rollouts are started and looked after until they have ended, then all
faults end, every computer comes and tells its truth, and the records are compared with it. The same seed and number of
computers give the same run, to the last message.
"""

import asyncio
import collections
import contextlib
import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from sopwith_certs.signing import public_key_pem
from sopwith_controller.domain.entities import Computer, ComputerState, Release, ReleaseState, SopState
from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.services.clock_guard import NAME
from sopwith_controller.services.ports import SourceStore, SourceView
from sopwith_formats.rollout_spec import RolloutSpec
from tests import builders
from tests.controller.domain.builders import a_manifest, a_policy
from tests.simulation.clocks import ClockStory, ControllerClock
from tests.simulation.computer import SimulatedComputer
from tests.simulation.controller import Premises, SimulatedController
from tests.simulation.database import (
    Changes,
    CommitFault,
    ControllerDied,
    DiskRefusedError,
    Tables,
    WatchedDatabase,
)
from tests.simulation.deadlines import Deadlines
from tests.simulation.ending import check_everything
from tests.simulation.faults import Faults
from tests.simulation.gate_keepers import ANNAS_PEM
from tests.simulation.invariants import Invariants
from tests.simulation.keys import key_of
from tests.simulation.network import Link
from tests.simulation.people import People, specs_for
from tests.simulation.promises import Promise
from tests.simulation.stalls import Stalls
from tests.simulation.starts import Starts
from tests.simulation.trace import Trace
from tests.simulation.truth import Truth
from tests.simulation.virtual_time import START, VirtualClock, VirtualLoop
from tests.simulation.watched import Watched

CHANGE_CLASSES = ("standard", "standard", "normal")
SITES = ("berlin", "hamburg", "köln")
CONTACTS = frozenset({"computers", "computer_changes"})
"""Commits that change nothing else say who was there, and are most of all: no controller dies of them."""
TOLD_WITHIN_SECONDS = 3 * 3600.0
"""How long after the faults every computer has to have told its truth."""


class CountedIds:
    """Implements the `Ids` port without chance."""

    def __init__(self) -> None:
        self._numbers: collections.Counter[str] = collections.Counter()

    def new(self, prefix: str) -> str:
        self._numbers[prefix] += 1
        return f"{prefix}-{self._numbers[prefix]}"

    def secret(self) -> str:
        return self.new("secret")


class DesignatedSource:
    """The one answer of the `SourceStore` port that plans need."""

    async def view(self) -> SourceView:
        return SourceView("ab" * 32, {}, (), 1)


@dataclass(frozen=True)
class RunResult:
    """What came of one run."""

    seed: int
    computers: int
    broken: tuple[str, ...]
    commits: int
    starts: int
    controllers: int
    acts: int
    virtual: timedelta
    outcomes: dict[str, int]
    rollouts: tuple[str, ...]
    digest: str
    """Of every event of the run, in order."""
    last: tuple[str, ...]
    """The last events, where a promise was broken."""


class World:
    """Everything of one run."""

    def __init__(self, seed: int, computers: int, blind_to: frozenset[Promise] = frozenset()) -> None:
        """Prepare a run; `blind_to` are promises that are not judged, so that another one can be seen broken."""
        random.seed(seed)  # the agent's back-off rolls the module's dice
        self.seed, self.loop = seed, VirtualLoop()
        self.clock, self.faults, self.truth = VirtualClock(self.loop), Faults(seed, computers), Truth()
        self.wall = ControllerClock(self.clock)
        self.time = ClockStory(self, self.wall, self._clock_was_set)
        self._blind_to = blind_to
        self.broken: list[str] = []
        self._ended = asyncio.Event()
        self.trace = Trace(self.loop.time)
        self.watched = watched = Watched(self.wall, self.clock.now, self.time)
        self._invariants = Invariants(watched, self.truth, self.note_broken)
        self._starts = Starts(watched, self.truth, self.note_broken)
        self.database = WatchedDatabase(self.wall, self._committed)
        self.controller: SimulatedController | None = None
        self.controllers = 0
        self.people = People(self)
        self._stalls, self._deadlines = Stalls(self), Deadlines(self)
        keys = [key_of(f"{seed} {number}") for number in range(computers)]
        pems = [public_key_pem(key.public_key()).decode() for key in keys]
        self._premises = Premises(
            loop=self.loop,
            clock=self.wall,
            database=self.database,
            ids=CountedIds(),
            source=cast("SourceStore", DesignatedSource()),
            receipt_keys={pem: key.public_key() for key, pem in zip(keys, pems, strict=True)},
            commit_fault=self._commit_fault,
            slowness=self.faults.slowness,
            trouble=self._trouble,
            listening=self.listening,
        )
        self.computers = [
            SimulatedComputer(
                number,
                seed,
                key=key,
                receipt_key_pem=pem,
                clock=self.clock,
                loop=self.loop,
                faults=self.faults,
                truth=self.truth,
                dial=self._dial,
                trouble=self._trouble,
            )
            for number, (key, pem) in enumerate(zip(keys, pems, strict=True))
        ]

    @property
    def tables(self) -> Tables:
        """Return what is committed."""
        return self.database.tables

    def rollouts(self) -> list[Rollout]:
        """Return all rollouts."""
        return list(self.tables.get("rollouts", {}).values())

    def rollout(self, rollout_id: str) -> Rollout:
        """Return one rollout."""
        found: Rollout = self.tables["rollouts"][rollout_id]
        return found

    def note_broken(self, promise: Promise, text: str) -> None:
        """Write down a promise that does not hold, with the time; the run ends soon."""
        if promise in self._blind_to:
            return
        self.broken.append(f"{self.clock.now() - START} {promise}: {text}")
        self.trace.note(f"BROKEN {promise}: {text}")
        self._ended.set()

    def _committed(self, tables: Tables, changes: Changes) -> None:
        for _, entry in changes.get("update_log", ()):
            self.trace.note(f"{entry.kind} {entry.message}")
        for old, new in changes.get("assignments", ()):
            if old is None or (old.state, old.start_until_time) != (new.state, new.start_until_time):
                self.trace.note(f"{new.id} on {new.computer} {new.state} {new.start_until_time or ''}")
        for old, new in changes.get("freezes", ()):
            if new.started_by == NAME and new.end_time is not None and (old is None or old.end_time is None):
                wrong = self.time.ended(new)
                if wrong:
                    self.note_broken(Promise.CLOCK, wrong)
        self._invariants.committed(tables, changes)

    def run(self) -> RunResult:
        """Run to the end, or to the first broken promise."""
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._run())
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()
            asyncio.set_event_loop(None)
        outcomes = collections.Counter(one.outcome for one in self.tables.get("assignments", {}).values())
        return RunResult(
            seed=self.seed,
            computers=len(self.computers),
            broken=tuple(self.broken),
            commits=self._invariants.commits,
            starts=self._starts.starts,
            controllers=self.controllers,
            acts=self.people.acts,
            virtual=self.clock.now() - START,
            outcomes=dict(sorted(outcomes.items())),
            rollouts=tuple(f"{rollout.name} {rollout.state}" for rollout in self.rollouts()),
            digest=self.trace.digest(),
            last=tuple(self.trace.last()) if self.broken else (),
        )

    async def _run(self) -> None:
        story = self.loop.create_task(self._story())
        story.add_done_callback(lambda _: self._ended.set())
        await self._ended.wait()
        story.cancel()
        (error,) = await asyncio.gather(story, return_exceptions=True)
        if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
            raise error

    async def _story(self) -> None:
        specs = specs_for(self)
        await self._furnish(specs)
        await self._start_controller()
        for number, computer in enumerate(self.computers):
            if computer.enrolled:
                computer.begin()
            else:
                self.loop.create_task(self._enrol_later(number, computer))
        self.loop.create_task(self._crashes())
        self.loop.create_task(self.people.whims())
        self.loop.create_task(self.time.run())
        await asyncio.sleep(60.0)
        work = self.loop.create_task(self.people.work(specs))
        while not work.done():
            await asyncio.sleep(60.0)
            self._check_every_minute()
        await work
        await self._tell_the_truth()
        for promise, text in check_everything(
            self.tables, self.truth, self.computers, clock_was_set=self.time.jumps > 0
        ):
            self.note_broken(promise, text)

    async def _enrol_later(self, number: int, computer: SimulatedComputer) -> None:
        """Put a computer on record when its time comes and the controller answers, and switch it on."""
        await asyncio.sleep(self.faults.between(120.0, 5400.0))
        while not computer.enrolled:
            await asyncio.sleep(self.faults.between(1.0, 30.0))
            controller = self.controller
            if controller is None:
                continue
            with contextlib.suppress(ControllerDied, DiskRefusedError):
                async with controller.database.write() as unit:
                    await unit.computers.put(_record_of(number, computer))
                    await unit.commit()
                controller.access.refresh_computer(_record_of(number, computer))
                controller.computer_changed(computer.id)
            computer.enrolled = computer.id in self.tables["computers"]
        computer.begin()

    def _check_every_minute(self) -> None:
        for text in self._stalls.overdue():
            self.note_broken(Promise.STALLED, text)
        for text in self._deadlines.overdue():
            self.note_broken(Promise.DEADLINE, text)

    async def _tell_the_truth(self) -> None:
        """End all faults and wait until every computer has finished and told everything."""
        self.faults.heal()
        await self.time.settle()
        await self.people.confirm_time()
        self.computers = [computer for computer in self.computers if computer.enrolled]
        for computer in self.computers:
            computer.heal()
        waited = 0.0
        while waited < TOLD_WITHIN_SECONDS or self._active():
            await asyncio.sleep(60.0)
            waited += 60.0
            await self.people.look_after_everything()
            self._check_every_minute()
            if self._is_quiet():
                await asyncio.sleep(60.0)
                if self._is_quiet():
                    return
            for computer in self.computers:
                if computer.agent is not None and waited % 600.0 == 0.0:
                    computer.heal()
        late = self._unfinished()[:5]
        self.note_broken(Promise.TOLD, f"not finished although nothing goes wrong any more: {late}")

    def _is_quiet(self) -> bool:
        """Tell whether everything is over; a catch-up may begin a moment later."""
        return not self._unfinished() and not self._active()

    def _active(self) -> bool:
        """Tell whether a rollout runs, such as a catch-up for a computer that came late."""
        return any(rollout.state in ACTIVE_STATES for rollout in self.rollouts())

    def _unfinished(self) -> list[str]:
        """Return the computers that have something to do or to tell; nobody waits for one that was retired."""
        table = self.tables["computers"]
        staying = [one for one in self.computers if table[one.id].state is not ComputerState.RETIRED]
        return [one.name for one in staying if not one.agent or one.agent.jobs or one.disk.waiting]

    # The controller's lives.

    async def _start_controller(self) -> None:
        self.controllers += 1
        self.trace.note(f"controller {self.controllers} starts")
        controller = SimulatedController(self._premises)
        self.controller = controller
        self.time.starts(self.tables)
        try:
            await controller.start()
        except (ControllerDied, DiskRefusedError):
            self._stop_controller()

    def _stop_controller(self) -> None:
        controller, self.controller = self.controller, None
        if controller is not None:
            self.trace.note("the controller dies")
            controller.die()
            self.loop.call_later(self.faults.between(1.0, 120.0), self._restart)

    def _restart(self) -> None:
        self.loop.create_task(self._start_controller())

    async def _crashes(self) -> None:
        mean = self.faults.rates.controller_crash
        while mean and not self.faults.healed:
            await asyncio.sleep(self.faults.pause(mean) or 0.0)
            if not self.faults.healed:
                self._stop_controller()

    def _commit_fault(self, touched: Collection[str]) -> CommitFault:
        rates = self.faults.rates
        if self.faults.happens(rates.crash_at_commit) and not CONTACTS.issuperset(touched):
            self.loop.call_soon(self._stop_controller)
            return self.faults.random.choice(("before", "after"))
        return "refused" if self.faults.happens(rates.commit_refused) else ""

    def _trouble(self, error: BaseException) -> None:
        if not isinstance(error, (ControllerDied, DiskRefusedError)):
            self.note_broken(Promise.CALM, f"{type(error).__name__}: {error}")

    def _dial(self, computer: SimulatedComputer, nonce: str) -> Link | None:
        if self.controller is None or not self.controller.listens:
            return None
        link = Link(computer.id, nonce, self.faults, self.loop)
        self.controller.accept(link)
        return link

    def listening(self) -> None:
        """Let the computers dial that wait for that: a controller listens."""
        for computer in self.computers:
            computer.may_dial()

    def _clock_was_set(self) -> None:
        if self.controller is not None:
            self.controller.timers.clock_was_set()

    async def withdraw(self, controller: SimulatedController, release: str) -> None:
        """Withdraw a release, as the use case of releases does."""
        async with controller.database.write() as unit:
            name, _, version = release.partition("@")
            found = await unit.releases.get(name, version)
            if found is not None:
                await unit.releases.put(replace(found, state=ReleaseState.WITHDRAWN, withdrawn_reason="it is bad"))
                await unit.commit()
        controller.advancing.poke_all()

    async def _furnish(self, specs: list[RolloutSpec]) -> None:
        """Write down organization, SOP, releases and computers."""
        policy, now = a_policy(), self.wall.now()
        async with self.database.write() as unit:
            await unit.put_settings(builders.settings())
            await unit.people.put(builders.person("otto", roles=("owner", "operator", "it_manager")))
            await unit.people.put(builders.person("anna", roles=("it_manager",), public_key_pem=ANNAS_PEM))
            await unit.sops.put(
                builders.sop_revision(
                    state=SopState.EFFECTIVE,
                    policy_json=policy.to_json().decode(),
                    policy_sha256=policy.sha256(),
                    acknowledged_by=("otto",),
                    effective_time=now - timedelta(days=1),
                )
            )
            for spec in specs:
                await unit.releases.put(_release(spec.release, now, self.faults.random.choice(CHANGE_CLASSES)))
            for number, computer in enumerate(self.computers):
                if computer.enrolled:
                    await unit.computers.put(_record_of(number, computer))
            await unit.commit()


def _record_of(number: int, computer: SimulatedComputer) -> Computer:
    return builders.computer(
        computer.name,
        id=computer.id,
        installed=dict(computer.disk.installed),
        labels={"site": SITES[number % len(SITES)]},
    )


def _release(release: str, now: datetime, change_class: str) -> Release:
    name, _, version = release.partition("@")
    manifest: Any = a_manifest(name=name, version=version, change_class=change_class)
    return Release(
        name=name,
        version=version,
        state=ReleaseState.PUBLISHED,
        manifest_json=manifest.to_json().decode(),
        manifest_sha256="a" * 64,
        published_by="rita",
        published_time=now,
    )
