"""Rollouts, their assignments, and freezes."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter

from sqlalchemy import and_, func, or_, select

from sopwith_controller.adapters.database.tables import assignments, freezes, rollouts
from sopwith_controller.adapters.database.transaction import Transaction, columns_for, pieces
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, WaveShare
from sopwith_formats.vocabulary import AssignmentState

_ROLLOUTS = select(*columns_for(Rollout, rollouts))
_ASSIGNMENTS = select(*columns_for(Assignment, assignments))
_NAMES = [item.name for item in fields(Assignment)]
_values = attrgetter(*_NAMES)
"""An assignment has slots, since a tick passes over a hundred thousand of them: there are no `vars` of it."""
_FREEZES = select(*columns_for(Freeze, freezes))


class SqlRollouts:
    """Implements the `Rollouts` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, rollout_id: str) -> Rollout | None:
        """Return the rollout with this id."""
        return await self._transaction.entity(_ROLLOUTS.where(rollouts.c.id == rollout_id), Rollout)

    async def find(self, id_or_name: str) -> Rollout | None:
        """Return the rollout with this id, or the newest one with this name."""
        named = _ROLLOUTS.where(rollouts.c.name == id_or_name)
        newest = named.order_by(rollouts.c.created_time.desc(), rollouts.c.id.desc())
        return await self.get(id_or_name) or await self._transaction.entity(newest, Rollout)

    async def all(self) -> Sequence[Rollout]:
        """Return all, newest first."""
        newest = _ROLLOUTS.order_by(rollouts.c.created_time.desc(), rollouts.c.id.desc())
        return await self._transaction.entities(newest, Rollout)

    async def in_states(self, states: Sequence[str]) -> Sequence[Rollout]:
        """Return those in one of these states, oldest first."""
        wanted = _ROLLOUTS.where(rollouts.c.state.in_(list(states)))
        return await self._transaction.entities(wanted.order_by(rollouts.c.created_time, rollouts.c.id), Rollout)

    async def put(self, rollout: Rollout) -> None:
        """Insert or replace."""
        await self._transaction.put(rollouts, [vars(rollout)])


class SqlAssignments:
    """Implements the `Assignments` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, assignment_id: str) -> Assignment | None:
        """Return one."""
        return await self._transaction.entity(_ASSIGNMENTS.where(assignments.c.id == assignment_id), Assignment)

    async def many(self, assignment_ids: Sequence[str]) -> Sequence[Assignment]:
        """Return these."""
        found: list[Assignment] = []
        for some in pieces(assignment_ids):
            found += await self._transaction.entities(_ASSIGNMENTS.where(assignments.c.id.in_(some)), Assignment)
        return found

    async def of_rollout(self, rollout_id: str) -> Sequence[Assignment]:
        """Return a rollout's assignments in plan order, of each computer the newest generation."""
        mine = _ASSIGNMENTS.where(assignments.c.rollout_id == rollout_id, assignments.c.replaced.is_(False))
        return await self._transaction.entities(mine.order_by(assignments.c.position, assignments.c.id), Assignment)

    async def of_computer(self, computer_id: str, *, unended_only: bool = False) -> Sequence[Assignment]:
        """Return a computer's assignments, newest rollout first."""
        mine = _ASSIGNMENTS.join_from(assignments, rollouts).where(assignments.c.computer_id == computer_id)
        if unended_only:
            mine = mine.where(assignments.c.state != AssignmentState.ENDED)
        newest = mine.order_by(rollouts.c.created_time.desc(), assignments.c.id.desc())
        return await self._transaction.entities(newest, Assignment)

    async def last_change(self) -> int | None:
        """Return the number of the last change of any assignment; None once this unit of work has written."""
        return None if self._transaction.wrote else await self._transaction.last_change(assignments)

    async def changed_since(self, rollout_id: str, change: int) -> Sequence[Assignment]:
        """Return a rollout's assignments that changed after this number, in no order."""
        mine = _ASSIGNMENTS.where(assignments.c.change_number > change, assignments.c.rollout_id == rollout_id)
        return await self._transaction.entities(mine, Assignment)

    async def at_work(self, states: Sequence[str], *, other_than: str) -> Sequence[tuple[Assignment, str]]:
        """Return what is offered and not ended in rollouts in these states but one, each with its rollout's name."""
        waiting = [AssignmentState.PENDING, AssignmentState.ENDED]
        theirs = select(rollouts.c.name, *columns_for(Assignment, assignments)).join_from(rollouts, assignments)
        theirs = theirs.where(
            rollouts.c.state.in_(list(states)), rollouts.c.id != other_than, assignments.c.state.not_in(waiting)
        )
        return [(Assignment(*row), name) for name, *row in await self._transaction.rows(theirs)]

    async def stalled(self, rollout_id: str) -> Sequence[str]:
        """Return the names of computers whose assignments in a rollout are stalled, in plan order."""
        mine = select(assignments.c.computer).where(
            assignments.c.rollout_id == rollout_id, assignments.c.stalled_time.is_not(None)
        )
        return [name for (name,) in await self._transaction.rows(mine.order_by(assignments.c.position))]

    async def shares(self, rollout_id: str) -> Sequence[WaveShare]:
        """Return how many of a rollout's assignments stand alike, by wave, state and outcome."""
        alike = (assignments.c.wave, assignments.c.state, assignments.c.outcome)
        mine = and_(assignments.c.rollout_id == rollout_id, assignments.c.replaced.is_(False))
        numbers = select(*alike, func.count()).where(mine).group_by(*alike)
        return [WaveShare(*row) for row in await self._transaction.rows(numbers)]

    async def put_all(self, those: Sequence[Assignment]) -> None:
        """Insert or replace many."""
        await self._transaction.put_changed(
            assignments, [dict(zip(_NAMES, _values(one), strict=True)) for one in those]
        )


class SqlFreezes:
    """Implements the `Freezes` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def all(self) -> Sequence[Freeze]:
        """Return all, newest first."""
        newest = _FREEZES.order_by(freezes.c.start_time.desc(), freezes.c.id.desc())
        return await self._transaction.entities(newest, Freeze)

    async def active(self, now: datetime) -> Sequence[Freeze]:
        """Return those in force at a time."""
        in_force = _FREEZES.where(
            freezes.c.start_time <= now, or_(freezes.c.end_time.is_(None), freezes.c.end_time > now)
        )
        newest = in_force.order_by(freezes.c.start_time.desc(), freezes.c.id.desc())
        return await self._transaction.entities(newest, Freeze)

    async def next_start(self, now: datetime) -> datetime | None:
        """Return when the next one begins that is still to come and was not called off."""
        coming = _FREEZES.where(
            freezes.c.start_time > now, or_(freezes.c.end_time.is_(None), freezes.c.end_time > freezes.c.start_time)
        )
        first = await self._transaction.entity(coming.order_by(freezes.c.start_time).limit(1), Freeze)
        return first.start_time if first else None

    async def put(self, freeze: Freeze) -> None:
        """Insert or replace."""
        await self._transaction.put(freezes, [vars(freeze)])
