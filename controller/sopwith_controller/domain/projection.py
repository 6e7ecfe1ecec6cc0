"""When a rollout would finish: its waves walked through with windows, soaks, freezes and measured durations.

Decides the times that a plan shows and whether it can end by its deadline; whether installs really start is the
planner's. Everybody is taken as ready, connected and successful, so that the truth is not earlier. Rules:

- A wave opens when the one before it has ended and soaked and some member's window is open; soak runs on between
  windows, that of the last wave is not waited for.
- No more computers are under way than `max_concurrency` and, of one group, the disruption budget allow; each takes its
  place for a download and an install, or for the install alone where it fetches the files ahead of its window.
- An install starts before the cutoff, outside freezes that are known to end, and only where it ends in the window.
- Where nothing was measured the documented guess shows a time, but it refuses no plan: only what is known does.
- The deadline counts from the start, or from the start time where that lies ahead.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sopwith_controller.domain.durations import Estimates, bytes_for, platform_of
from sopwith_controller.domain.entities import Computer
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.openings import earliest_start, opening
from sopwith_controller.domain.plan import Plan
from sopwith_formats.manifest import Manifest

HORIZON = timedelta(days=366)
"""How far beyond its deadline a rollout is followed; then it counts as never finished."""
_NOTHING = timedelta(0)
_Alike = tuple[str, str, tuple[str, ...], timedelta, timedelta, timedelta]


@dataclass(frozen=True, eq=False)
class Kind:
    """Computers that differ in nothing that matters here; one object for all of them."""

    group: str
    """Maintenance group."""
    time_zone: str
    budget: tuple[str, ...]
    """Group of the disruption budget."""
    takes: timedelta
    """What an install is known to take: it has to end in the window."""
    install: timedelta
    download: timedelta


@dataclass(frozen=True)
class WaveTimes:
    """One wave in time; None: not within the horizon."""

    name: str
    opens: datetime | None
    ends: datetime | None
    """When its last member has ended; its soak begins then."""


@dataclass(frozen=True)
class Projection:
    """A rollout in time, were it started now."""

    waves: tuple[WaveTimes, ...]
    finish: datetime | None
    """None: not within the horizon."""
    deadline: datetime
    measured: bool
    """Its durations were measured, not guessed."""
    longest: timedelta
    """What the slowest kind of computer takes to install; nothing where only what is known was counted."""

    @property
    def late(self) -> bool:
        """Tell whether it would not have ended at its deadline."""
        return self.finish is None or self.finish >= self.deadline


def project(
    plan: Plan,
    computers: Mapping[str, Computer],
    manifest: Manifest,
    estimates: Estimates,
    *,
    freezes: Sequence[Freeze],
    now: datetime,
    known_only: bool = False,
) -> Projection:
    """Return a rollout in time; `computers` by id; `known_only` counts a guess as nothing: it cannot end earlier."""
    counted = None if known_only and not estimates.overall.measured else estimates
    waves = _kinds_of_waves(plan, computers, manifest, counted)
    zones = {kind.time_zone for wave in waves for kind in wave}
    deadline = earliest_start(plan, zones, now) + timedelta(seconds=plan.deadline_seconds)
    walk = _Walk(plan, [freeze for freeze in freezes if freeze.end_time], deadline + HORIZON)
    times: list[WaveTimes] = []
    passed: datetime | None = now
    for wave, kinds in zip(plan.waves, waves, strict=True):
        opens, ends = walk.through(kinds, passed) if passed else (None, None)
        times.append(WaveTimes(wave.name, opens, ends))
        passed = ends + timedelta(seconds=wave.soak_seconds) if ends else None
    return Projection(
        waves=tuple(times),
        finish=times[-1].ends if times else now,
        deadline=deadline,
        measured=estimates.overall.measured,
        longest=max((kind.install for wave in waves for kind in wave), default=_NOTHING),
    )


def _kinds_of_waves(
    plan: Plan, computers: Mapping[str, Computer], manifest: Manifest, estimates: Estimates | None
) -> list[Counter[Kind]]:
    """Return how many computers of which kind each wave has, in plan order."""
    asked = sorted({key for artifact in manifest.artifacts for key in artifact.when})
    labels = plan.disruption_budget.group_by if plan.disruption_budget else ()
    estimated: dict[tuple[str, ...], tuple[timedelta, timedelta, timedelta]] = {}
    known: dict[_Alike, Kind] = {}
    starts, waves = plan.wave_starts(), []
    for first, end in itertools.pairwise(starts):
        kinds: Counter[Kind] = Counter()
        for member in plan.members[first:end]:
            computer = computers[member.id]
            facts = computer.facts
            key = (platform_of(facts), *(str(facts.get(name)) for name in asked))
            if key not in estimated:
                estimated[key] = _times(estimates, key[0], bytes_for(manifest, facts))
            takes, install, download = estimated[key]
            ahead = plan.staging_seconds > 0 and plan.window_of(member.group) is not None
            budget = tuple(computer.labels.get(label, "") for label in labels)
            zone = str(facts.get("time_zone", ""))
            alike = (member.group, zone, budget, takes, install, _NOTHING if ahead else download)
            if alike not in known:
                known[alike] = Kind(*alike)
            kinds[known[alike]] += 1
        waves.append(kinds)
    return waves


def _times(estimates: Estimates | None, platform: str, length: int) -> tuple[timedelta, timedelta, timedelta]:
    """Return what an install is known to take, what it counts as, and what its download counts as."""
    if estimates is None:
        return _NOTHING, _NOTHING, _NOTHING
    estimate = estimates.of(platform)
    return estimate.takes, estimate.install, estimate.download(length)


@dataclass
class _Walk:
    """What stays the same from wave to wave."""

    plan: Plan
    freezes: Sequence[Freeze]
    horizon: datetime
    next_starts: dict[Kind, datetime | None] = field(default_factory=dict)

    def through(self, kinds: Counter[Kind], passed: datetime) -> tuple[datetime | None, datetime | None]:
        """Return when a wave opens and when its last member has ended."""
        waiting = dict(kinds)
        opens = self._earliest(waiting, passed)
        now, last = opens, passed
        running: list[tuple[datetime, int, Kind, int]] = []
        busy: Counter[tuple[str, ...]] = Counter()
        free = self.plan.max_concurrency
        order = itertools.count()
        while waiting:
            if now is None or now > self.horizon:
                return opens, None
            while running and running[0][0] <= now:
                _, _, kind, count = heapq.heappop(running)
                free += count
                busy[kind.budget] -= count
            for kind in [*waiting]:
                if not free:
                    break
                count = min(waiting[kind], free, self._room(kind, busy))
                if count and self._next_start(kind, now) == now:
                    ends = now + kind.download + kind.install
                    heapq.heappush(running, (ends, next(order), kind, count))
                    last, free = max(last, ends), free - count
                    busy[kind.budget] += count
                    waiting[kind] -= count
                    if not waiting[kind]:
                        del waiting[kind]
            now = self._next_look(waiting, running, busy, free, now)
        return opens, last

    def _room(self, kind: Kind, busy: Counter[tuple[str, ...]]) -> int:
        budget = self.plan.disruption_budget
        return budget.max_unavailable - busy[kind.budget] if budget else self.plan.max_concurrency

    def _next_look(
        self,
        waiting: Mapping[Kind, int],
        running: list[tuple[datetime, int, Kind, int]],
        busy: Counter[tuple[str, ...]],
        free: int,
        now: datetime,
    ) -> datetime | None:
        """Return when somebody who waits may start: a place comes free, or a window opens for one who has a place."""
        times = [running[0][0]] if running else []
        if free:
            opens = [self._next_start(kind, now) for kind in waiting if self._room(kind, busy)]
            times += [time for time in opens if time]
        return min(times, default=None)

    def _earliest(self, kinds: Mapping[Kind, int], now: datetime) -> datetime | None:
        times = [self._next_start(kind, now) for kind in kinds]
        return min((time for time in times if time), default=None)

    def _next_start(self, kind: Kind, now: datetime) -> datetime | None:
        """Return the first moment from now on at which a computer may start; None: none within the horizon."""
        if kind in self.next_starts:
            known = self.next_starts[kind]
            if known is None or known >= now:
                return known
        found = self.next_starts[kind] = self._look(kind, now)
        return found

    def _look(self, kind: Kind, now: datetime) -> datetime | None:
        while now <= self.horizon:
            state = opening(self.plan, kind.group, kind.time_zone, now, kind.takes)
            if not state.open:
                if state.next_open is None:
                    return None
                now = state.next_open
                continue
            freeze = next((one for one in self.freezes if one.start_time <= now and _ends(one) > now), None)
            if freeze is None:
                return now
            now = _ends(freeze)
        return None


def _ends(freeze: Freeze) -> datetime:
    return freeze.end_time or freeze.start_time
