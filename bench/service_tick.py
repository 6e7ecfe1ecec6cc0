"""One whole tick of a rollout on SQLite, as the running controller does it: read, decide, write, send.

Three kinds of tick over 1,000, 10,000 and 100,000 assignments of a busy rollout: the first one after the controller's
start, one that finds nothing to do, and one after 100 computers reported. Beside them stand what the domain alone takes
for the decision, and what people wait for: `rollout show` (the counts) and `rollout explain`.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure import Line
from bench.planner_tick import SIZES, busy_view

from sopwith_controller.adapters.database.engine import SqlDatabase, open_database
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.domain.entities import Computer, ComputerState, Readiness
from sopwith_controller.domain.planner import plan_tick
from sopwith_controller.services.advance import Advance
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import AgentGateway, Presence, Timers
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.rollout_status import RolloutStatuses
from sopwith_controller.services.views import Views
from tests import builders
from tests.controller.domain.builders import NOW, READY, a_manifest, a_policy

if TYPE_CHECKING:
    from sopwith_controller.domain.tick import RolloutView

LIMIT_SECONDS = 1.0
"""For a tick of 100,000 after 100 reports: ticks follow every event, and the loop serves streams between them."""
REPORTS = 100
_FACTS = {"os": "linux", "arch": "x86_64", "time_zone": "Europe/Berlin", "kernel": "6.1.0", "memory_bytes": 2**33}


@dataclass(frozen=True, order=True)
class Took:
    """How long one thing took, in seconds: by the clock, which a busy computer spoils, and of the processor."""

    clock: float
    processor: float


@dataclass
class Seconds:
    """What was measured at one size."""

    first: Took
    quiet: Took
    reported: Took
    decided: float
    shown: Took
    explained: Took


def lines() -> list[Line]:
    """Measure all sizes."""
    measured = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            measured[size] = asyncio.run(_measure(Path(folder) / "house.db", size))
    small, large = measured[SIZES[0]], measured[SIZES[-1]]
    kinds = (
        ("tick after 100 reports", "reported", LIMIT_SECONDS),
        ("tick with nothing to do", "quiet", LIMIT_SECONDS),
        ("first tick after a start", "first", 30.0),
        ("rollout show", "shown", 1.0),
        ("rollout explain", "explained", 2.0),
    )
    found = [_line(measured, what, name, limit) for what, name, limit in kinds]
    growth = large.reported.processor / small.reported.processor
    times = SIZES[-1] / SIZES[0]
    return [
        *found,
        Line(
            f"service tick, growth from {SIZES[0]:,} to {SIZES[-1]:,}",
            f"{growth:.0f} x",
            f"{times:.0f} x (linear)",
            growth / times,
            f"processor; the decision alone: {large.decided * 1000:.0f} ms, {large.decided / small.decided:.0f} x",
        ),
    ]


def _line(measured: dict[int, Seconds], what: str, name: str, limit: float) -> Line:
    *smaller, largest = [getattr(measured[size], name) for size in SIZES]
    others = ", ".join(f"{size:,}: {took.clock * 1000:.0f} ms" for size, took in zip(SIZES, smaller, strict=False))
    return Line(
        f"{what}, {SIZES[-1]:,} assignments",
        f"{largest.clock * 1000:.0f} ms",
        f"{limit * 1000:.0f} ms",
        largest.clock / limit,
        f"processor: {largest.processor * 1000:.0f} ms; {others}",
    )


async def _measure(path: Path, size: int) -> Seconds:
    clock = builders.FixedClock(NOW)
    database = await open_database(path, clock=clock)
    try:
        view = busy_view(size)
        await _fill(database, view)
        gateway: Any = _Connected(frozenset(view.computers))
        records = RolloutRecords()
        views = Views(gateway, records, timedelta(seconds=30))
        incidents = Incidents(database, clock, RandomIds(), records, timers=_NoTimers(), wake=lambda: None)
        advance = Advance(database, clock, gateway, views=views, records=records, incidents=incidents)
        statuses = RolloutStatuses(database, clock, records, views)
        rollout = view.rollout.id
        first = await _timed(lambda: advance.run(rollout))
        quiet = min([await _timed(lambda: advance.run(rollout)) for _ in range(3)])
        reported = []
        for _ in range(3):
            await _report(database, view)
            reported.append(await _timed(lambda: advance.run(rollout)))
        begun = time.process_time()
        plan_tick(view, NOW)
        decided = time.process_time() - begun
        return Seconds(
            first=first,
            quiet=quiet,
            reported=min(reported),
            decided=decided,
            shown=await _timed(lambda: statuses.get(rollout)),
            explained=await _timed(lambda: statuses.explain(rollout, "")),
        )
    finally:
        await database.close()


async def _timed(work: Callable[[], Awaitable[object]]) -> Took:
    begun = (time.perf_counter(), time.process_time())
    await work()
    return Took(time.perf_counter() - begun[0], time.process_time() - begun[1])


async def _fill(database: SqlDatabase, view: "RolloutView") -> None:
    policy = a_policy()
    async with database.write() as unit:
        await unit.put_settings(builders.settings())
        await unit.sops.put(builders.sop_revision(policy_json=policy.to_json().decode()))
        manifest = a_manifest(name="hello", version="2").to_json().decode()
        await unit.releases.put(builders.release("hello", "2", manifest_json=manifest))
        await unit.rollouts.put(view.rollout)
        await unit.computers.put_all([_computer(one.id, one.name) for one in view.computers.values()])
        await unit.assignments.put_all(view.assignments)
        await unit.commit()


def _computer(identity: str, name: str) -> Computer:
    checks = tuple({"name": kind, "result": "PASSED", "measured": "20 GiB"} for kind in ("disk", "power", "lock"))
    return Computer(
        identity,
        name,
        ComputerState.ACCEPTED,
        f"sha256:{name}",
        NOW,
        labels={"site": "berlin", "ring": "broad"},
        facts=_FACTS,
        installed={"hello": "1"},
        readiness=Readiness("READY", (), checks, READY.measured_time),
        last_seen_time=NOW,
    )


async def _report(database: SqlDatabase, view: "RolloutView") -> None:
    """Let computers report: their rows and those of their assignments are written, as `services.progress` does."""
    busy = [one for one in view.assignments if one.install_started_time is None and one.offered_time][:REPORTS]
    async with database.write() as unit:
        computers = await unit.computers.many([one.computer_id for one in busy])
        await unit.computers.put_all(
            [replace(one, acknowledged_sequence=one.acknowledged_sequence + 1) for one in computers]
        )
        await unit.assignments.put_all([replace(one, percent=50, reported_time=NOW) for one in busy])
        await unit.commit()


class _Connected:
    """The streams of a fleet that is connected."""

    def __init__(self, ids: frozenset[str]) -> None:
        self._ids = ids

    def presence(self, computer_id: str) -> Presence | None:
        """Return a live stream."""
        return Presence(connected=True, asleep=False, last_seen_time=NOW) if computer_id in self._ids else None

    def started_time(self) -> datetime:
        """Return when the controller began to listen."""
        return NOW

    def connected_ids(self) -> frozenset[str]:
        """Return everybody."""
        return self._ids

    async def measure(self, computer_ids: Sequence[str], wait: timedelta) -> frozenset[str]:
        """Ask nobody."""
        return frozenset()

    async def renew_lease(self, *_: object) -> None:
        """Send nothing."""

    async def lease_reboot(self, *_: object) -> None:
        """Send nothing."""


class _NoTimers(Timers):
    """Nothing is planned while it is measured."""

    def at(self, key: str, when: object, callback: object) -> None:
        """Plan nothing."""

    def every(self, key: str, period: object, callback: object) -> None:
        """Plan nothing."""

    def cancel(self, key: str) -> None:
        """Plan nothing."""


if TYPE_CHECKING:
    _gateway: type[AgentGateway]
