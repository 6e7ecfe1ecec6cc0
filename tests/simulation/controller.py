"""One life of a controller: the real services over tables that outlive it, its streams and its timers.

Decides which parts make a controller, and what happens when a stream comes, speaks and goes, in the order of the
house's own stream servicer. When it dies everything in memory is lost, at once and in the middle of whatever it does.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from sopwith_certs.signing import verify as verify_signature
from sopwith_controller.api.arrivals import Arrivals
from sopwith_controller.api.event_writer import EventWriter, Listeners
from sopwith_controller.api.presence import PresenceRegister
from sopwith_controller.api.watchers import Watchers
from sopwith_controller.domain.errors import SopwithError
from sopwith_controller.domain.rollout import ENDED_STATES
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.services.access import Access
from sopwith_controller.services.advance import Advance
from sopwith_controller.services.advancing import Advancing
from sopwith_controller.services.agent_reports import Report
from sopwith_controller.services.clock_guard import ClockGuard
from sopwith_controller.services.computers import Fleet
from sopwith_controller.services.deviations import Deviations
from sopwith_controller.services.dispatch import Dispatch
from sopwith_controller.services.freezes import Freezes
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.newcomers import Newcomers
from sopwith_controller.services.planning import Planner
from sopwith_controller.services.ports import Clock, Ids, SourceStore
from sopwith_controller.services.progress import Progress
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.rollout_retry import RolloutRetry
from sopwith_controller.services.rollout_start import RolloutStart
from sopwith_controller.services.rollouts import Rollouts, RolloutTools
from sopwith_controller.services.views import Views
from sopwith_formats.receipt import PREFIX
from tests.simulation import messages
from tests.simulation.clocks import SteadyClock
from tests.simulation.database import (
    CommitFaults,
    ControllerDied,
    DiskRefusedError,
    WatchedDatabase,
)
from tests.simulation.network import Link
from tests.simulation.streams import Streams
from tests.simulation.virtual_time import VirtualLoop, VirtualTimers

HEARTBEAT = timedelta(seconds=30)
FLUSH_EVERY = timedelta(minutes=5)
DEVIATIONS_EVERY = timedelta(minutes=1)
SWEEP_EVERY = timedelta(minutes=5)
"""Ten times rarer than the house's own: what nobody pokes and no time of the planner's reaches stays undone."""
REST_SECONDS_EACH = 0.01
"""A rollout of a hundred rests as long as one of thousands does in the house."""
LINKS_LOOKED_AT = 64
"""Dead links are forgotten when there are more of them than of living ones, and than this."""


@dataclass(frozen=True)
class Premises:
    """What every life of the controller finds: tables, time, keys, and who hears of trouble."""

    loop: VirtualLoop
    clock: Clock
    database: WatchedDatabase
    ids: Ids
    source: SourceStore
    receipt_keys: dict[str, Any]
    """Public keys by their PEM text: read once, because nothing is learnt from reading them again."""
    commit_fault: CommitFaults
    slowness: Callable[[], float]
    """How many seconds a unit of work that writes takes."""
    trouble: Callable[[BaseException], None]
    listening: Callable[[], None]
    """Called when a controller takes streams."""


class SimulatedController:
    """The services of one life."""

    def __init__(self, premises: Premises) -> None:
        self.alive = True
        self.listens = False
        """Nobody gets a stream before the clock was looked at."""
        self._premises = premises
        self._tasks: set[asyncio.Task[Any]] = set()
        self._links: list[Link] = []
        self._links_alive = LINKS_LOOKED_AT
        clock, ids = premises.clock, premises.ids
        database = premises.database.one_life(lambda: self.alive, premises.commit_fault, premises.slowness)
        self.database = database
        self.timers = VirtualTimers(premises.loop, clock, self.run)
        self.streams = Streams(clock, premises.loop)
        self.access = Access(database)
        self.access.on_cut(lambda *cut: self.streams.cut_now(cut[0]))
        records = RolloutRecords()
        self.incidents = Incidents(database, clock, ids, records, timers=self.timers, wake=lambda: None)
        views = Views(self.streams, records, HEARTBEAT)
        self.guard = ClockGuard(
            database,
            clock,
            SteadyClock(premises.loop),
            ids,
            self.incidents,
            gateway=self.streams,
            changed=lambda: self.advancing.poke_all(),  # noqa: PLW0108  it is made below
        )
        self.timers.run_only_while(self._trusted)
        advance = Advance(
            database,
            clock,
            self.streams,
            views=views,
            records=records,
            incidents=self.incidents,
            trusted=self.guard.agrees,
        )
        self.advancing = Advancing(
            advance,
            database,
            clock,
            self.timers,
            self._rollout_advanced,
            sweep_every=SWEEP_EVERY,
            rest_seconds_each=REST_SECONDS_EACH,
        )
        self.freezes = Freezes(
            database,
            clock,
            ids,
            self.streams,
            timers=self.timers,
            changed=self.advancing.poke_all,
            trusted=self.guard.agrees,
        )
        self.arrivals = Arrivals(Dispatch(database, clock, self.streams, records, self.incidents))
        tools = RolloutTools(
            database,
            clock,
            ids,
            Planner(premises.source, clock),
            records,
            self.incidents,
            self._rollout_changed,
            self.guard.trusted,
        )
        self.deviations = Deviations(database, clock, ids, tools.planner, changed=self.advancing.poke_all)
        self.newcomers = Newcomers(tools, self.streams, self.timers)
        self.rollouts = Rollouts(tools)
        self.rollout_start = RolloutStart(tools, self.streams)
        self.rollout_retry = RolloutRetry(tools)
        self.fleet = Fleet(database, clock, self.access, self.streams, self.computer_changed)
        progress = Progress(database, clock, self.incidents, records, self._receipt_holds)
        listeners = Listeners(
            presence=cast("PresenceRegister", self.streams),
            watchers=Watchers(),
            advancing=self.advancing,
            incidents=self.incidents,
            views=views,
            access=self.access,
            newcomers=self.newcomers,
        )
        self.writer = EventWriter(progress, listeners)

    async def start(self) -> None:
        """Begin to serve, in the order of the house's own start."""
        await self.access.load()
        self.writer.start()
        await self.guard.begin()
        self.listens = True
        self._premises.listening()
        self.run(self.guard.watch())
        await self.advancing.start()
        await self.newcomers.start()
        await self.freezes.resume_watching()
        await self.incidents.climb()
        self.timers.every("last seen", FLUSH_EVERY, self._flush)
        self.timers.every("deviations", DEVIATIONS_EVERY, self.deviations.expire_due)
        for task in (self.writer._task, self.advancing._task):
            if task is not None:
                self._keep(task)

    def die(self) -> None:
        """End at once, and every stream with it, also one that nobody has greeted yet."""
        self.alive = False
        self.timers.stop()
        for task in self._tasks:
            task.cancel()
        for link in self._links:
            link.cut(controller_knows=True)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something in a task that dies with the controller."""
        task = self._premises.loop.create_task(work)
        self._keep(task)
        return task

    def accept(self, link: Link) -> None:
        """Take a new stream in; its first message is a Hello."""
        if len(self._links) > 2 * self._links_alive:
            self._links = [known for known in self._links if known.alive]
            self._links_alive = max(LINKS_LOOKED_AT, len(self._links))
        self._links.append(link)
        link.to_controller = lambda message: self._hear(link, message)
        link.lost_by_controller = lambda: self._lost(link)

    def _hear(self, link: Link, message: Any) -> None:
        if not self.alive:
            return
        if isinstance(message, messages.Hello):
            if link.alive:
                self.run(self._greet(link, message))
        elif isinstance(message, messages.GoingToSleep):
            self.streams.touch(link)
            self.streams.went_to_sleep(link)
        elif isinstance(message, Report):
            self.streams.touch(link)
            self.run(self.writer.put(message))

    async def _greet(self, link: Link, hello: messages.Hello) -> None:
        try:
            self.access.admit("computer", link.computer_id, "")
        except SopwithError:
            link.cut()
            return
        if not self.streams.open(link):
            raise AssertionError(f"{link.computer_id} was taken for a clone of itself")
        try:
            found = await self.arrivals.arrive(hello.arrival)
            async with self.database.read() as unit:
                frozen = bool(await unit.freezes.active(self._premises.clock.now()))
        except Exception:
            link.cut()
            raise
        now = self._premises.clock.now()
        self.streams.welcome(link, messages.Welcome(found.computer.acknowledged_sequence, frozen, now))
        self.advancing.poke(*found.rollouts)
        self.newcomers.notice([link.computer_id])

    def _lost(self, link: Link) -> None:
        if self.alive:
            self.streams.close(link)
            self.run(self.advancing.poke_of([link.computer_id]))

    async def _trusted(self) -> bool:
        """Tell whether the time of day may be acted upon; not while nobody can write down that it may not."""
        try:
            return await self.guard.trusted()
        except DiskRefusedError:
            return False

    async def _flush(self) -> None:
        async with self.database.write() as unit:
            await unit.computers.touch(self.streams.seen_times())
            await unit.commit()

    def computer_changed(self, computer_id: str) -> None:
        """Look at every running rollout, and at what this computer may have a share in now."""
        self.advancing.poke_all()
        self.newcomers.notice([computer_id])

    def _rollout_changed(self, rollout_id: str) -> None:
        self.advancing.poke(rollout_id)
        self.newcomers.notice([])

    def _rollout_advanced(self, rollout: Rollout, _: list[Assignment]) -> None:
        if rollout.state in ENDED_STATES:
            self.newcomers.notice_everybody()

    def _receipt_holds(self, key_pem: str, payload: bytes, signature: bytes) -> bool:
        key = self._premises.receipt_keys.get(key_pem)
        return key is not None and verify_signature(key, PREFIX + payload, signature)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and (self.alive or not isinstance(error, ControllerDied)):
            self._premises.trouble(error)
