"""The rows that ticks read, kept in memory between ticks: a tick then reads only what changed since the one before.

This module decides nothing; it answers as the tables would. Rules: the tables number their changes in the order of the
commits, whichever controller process made them, so that nothing is missed and nothing is seen that was undone. A
reader that looks at an older state than the kept one, or a unit of work that has written already, gets what it reads
itself, and leaves what is kept alone.
"""

from collections.abc import Sequence
from dataclasses import replace

from sopwith_controller.domain.bench import is_benched, why_benched
from sopwith_controller.domain.durations import platform_of
from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.tick import ComputerView
from sopwith_controller.services.ports import UnitOfWork

_ROLLOUTS_MAX = 32
_PIECE = 1000
"""How many computers are read at once when many are new: their rows are much larger than what is kept of them."""


class _Kept:
    """One rollout's assignments as they stood after a change."""

    def __init__(self, change: int, rows: Sequence[Assignment]) -> None:
        self.change = change
        self._put(rows)

    def take(self, change: int, changed: Sequence[Assignment]) -> None:
        """Bring the rows up to a later change."""
        self.change = change
        for row in changed:
            place = self._places.get(row.id)
            if place is not None:
                self.rows[place] = row
        new = [row for row in changed if row.id not in self._places]
        if new or any(row.replaced for row in changed):
            standing = [row for row in (*self.rows, *new) if not row.replaced]
            self._put(sorted(standing, key=lambda row: (row.position, row.id)))

    def _put(self, rows: Sequence[Assignment]) -> None:
        self.rows = list(rows)
        self._places = {row.id: place for place, row in enumerate(rows)}


class AssignmentMirror:
    """The assignments of rollouts that run."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    async def of_rollout(self, unit: UnitOfWork, rollout_id: str) -> Sequence[Assignment]:
        """Return a rollout's assignments in plan order, as this unit of work sees them."""
        kept = self._kept.get(rollout_id)
        now = await unit.assignments.last_change()
        if kept is not None and now is not None and kept.change <= now:
            changed = await unit.assignments.changed_since(rollout_id, kept.change) if kept.change < now else ()
            if kept.change <= now:  # nobody brought it beyond what this unit sees, while it read
                kept.take(now, changed)
                return tuple(kept.rows)
        rows = await unit.assignments.of_rollout(rollout_id)
        if now is not None and rollout_id not in self._kept:
            self._kept[rollout_id] = _Kept(now, rows)
            if len(self._kept) > _ROLLOUTS_MAX:
                del self._kept[next(iter(self._kept))]
        return rows

    def forget(self, rollout_id: str) -> bool:
        """Keep a rollout no longer that does not run any more; tell whether none is left."""
        self._kept.pop(rollout_id, None)
        return not self._kept


class ComputerMirror:
    """What a tick needs to know of computers, as far as the tables tell it: not who is connected now."""

    def __init__(self) -> None:
        self._kept: dict[str, ComputerView] = {}
        self._change = 0

    async def many(self, unit: UnitOfWork, computer_ids: Sequence[str]) -> dict[str, ComputerView]:
        """Return those of these that are on record."""
        now = await unit.computers.last_change()
        if now is None or now < self._change:
            return await _read(unit, computer_ids)
        if self._change < now:
            self._take(now, await unit.computers.changed_since(self._change) if self._kept else ())
        kept = self._kept
        missing = [computer_id for computer_id in computer_ids if computer_id not in kept]
        found = await _read(unit, missing)
        if self._change == now:
            kept.update(found)
        return {**{key: kept[key] for key in computer_ids if key in kept}, **found}

    def forget(self) -> None:
        """Keep nobody: no rollout runs."""
        self._kept.clear()

    def _take(self, change: int, changed: Sequence[Computer]) -> None:
        """Bring what is kept up to a later change, unless another reader did while this one read."""
        if self._change < change:
            self._change = change
            self._kept.update({one.id: _view(one) for one in changed if one.id in self._kept})


async def _read(unit: UnitOfWork, computer_ids: Sequence[str]) -> dict[str, ComputerView]:
    found: dict[str, ComputerView] = {}
    for start in range(0, len(computer_ids), _PIECE):
        some = await unit.computers.many(computer_ids[start : start + _PIECE])
        found.update((one.id, _view(one)) for one in some)
    return found


def _view(computer: Computer) -> ComputerView:
    zone = computer.facts.get("time_zone", "")
    return ComputerView(
        id=computer.id,
        name=computer.name,
        connected=True,  # nearly everybody is; `Views` corrects it for the others
        asleep=computer.asleep,
        last_seen_time=computer.last_seen_time,
        # The single checks are for people; they are most of a computer's row.
        readiness=replace(computer.readiness, checks=()) if computer.readiness.checks else computer.readiness,
        in_service=computer.state is ComputerState.ACCEPTED,
        out_of_service_reason=computer.state_reason or computer.state,
        benched=why_benched(computer.failures_in_a_row) if is_benched(computer) else "",
        labels=computer.labels,
        platform=platform_of(computer.facts),
        time_zone=zone if isinstance(zone, str) else "",
    )
