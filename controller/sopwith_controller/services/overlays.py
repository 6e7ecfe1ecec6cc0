"""What this process lays over the tables' word about computers, worked out anew only where something changed.

Decides how a computer without a live stream looks to the planner (asleep, offline since when), and puts in what other
rollouts and earlier requests say of it. Everybody who is connected and idle looks as the tables say and costs nothing
here. What was laid over a view stays good while the very same view, presence and word of others come again, so that a
tick over a fleet of which half is away makes no view twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sopwith_controller.domain.presence import offline_time
from sopwith_controller.domain.tick import ComputerView
from sopwith_controller.services.ports import AgentGateway, Presence, UnitOfWork


@dataclass(frozen=True, slots=True)
class _Away:
    """A view of one without a stream, and what it was made of."""

    table: ComputerView
    presence: Presence | None
    last_seen_time: datetime | None
    """What the tables say of its last contact, where this process never heard of it."""
    view: ComputerView


class AwayViews:
    """The views of computers that have no live stream. `heartbeat` is how often computers give a sign of life."""

    def __init__(self, gateway: AgentGateway, heartbeat: timedelta) -> None:
        self._gateway = gateway
        self._heartbeat = heartbeat
        self._kept: dict[str, _Away] = {}

    async def of(self, unit: UnitOfWork, away: Sequence[ComputerView]) -> dict[str, ComputerView]:
        """Return how these look, by id."""
        presence_of = self._gateway.presence
        presences = [presence_of(one.id) for one in away]
        unseen = [one.id for one, presence in zip(away, presences, strict=True) if presence is None]
        seen = await unit.computers.last_seen(unseen) if unseen else {}
        views, kept_of = {}, self._kept.get
        for one, presence in zip(away, presences, strict=True):
            key = one.id
            last = seen.get(key) if presence is None else None
            kept = kept_of(key)
            if kept is None or kept.table is not one or kept.presence is not presence or kept.last_seen_time != last:
                kept = self._kept[key] = _Away(one, presence, last, self._view(one, presence, last))
            views[key] = kept.view
        return views

    def forget(self) -> None:
        """Keep nobody: no rollout runs."""
        self._kept.clear()

    def _view(self, table: ComputerView, presence: Presence | None, last_seen_time: datetime | None) -> ComputerView:
        asleep = presence.asleep if presence else table.asleep
        seen = (presence.last_seen_time if presence else None) or last_seen_time or table.last_seen_time
        return replace(
            table,
            connected=False,
            asleep=asleep,
            offline_time=offline_time(
                connected=False,
                asleep=asleep,
                last_seen_time=seen,
                controller_started_time=self._gateway.started_time(),
                heartbeat=self._heartbeat,
            ),
            last_seen_time=seen,
        )


@dataclass(frozen=True, slots=True)
class Word:
    """What others say of one computer, from a rollout's point of view."""

    busy_with: str = ""
    rolled_back_before: bool = False
    measure_asked_time: datetime | None = None


class SpokenOf:
    """The views of computers of which others say something; one per rollout, for each has others of its own."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[ComputerView, Word, ComputerView]] = {}

    def lay_over(self, views: dict[str, ComputerView], words: dict[str, Word]) -> None:
        """Put what is said into the views."""
        kept_before, self._kept = self._kept, {}
        for key, word in words.items():
            view = views.get(key)
            if view is None:
                continue
            kept = kept_before.get(key)
            if kept is None or kept[0] is not view or kept[1] != word:
                said = replace(
                    view,
                    busy_with=word.busy_with,
                    rolled_back_before=word.rolled_back_before,
                    measure_asked_time=word.measure_asked_time,
                )
                kept = (view, word, said)
            self._kept[key] = kept
            views[key] = kept[2]
