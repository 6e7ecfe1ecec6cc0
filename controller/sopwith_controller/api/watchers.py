"""Who watches which rollout: changes are pushed to them as they are committed.

Rules: a watcher gets the newest state, never a history; changes between two sends are merged, so that a slow watcher
costs no memory beyond one entry per computer; nothing here is durable.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from sopwith_controller.domain.rollout_entities import Assignment


class Watch:
    """One watcher's unread changes."""

    def __init__(self) -> None:
        self._changed: dict[str, Assignment] = {}
        self._wake = asyncio.Event()

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Note changes, possibly none: the rollout itself changed."""
        self._changed.update((assignment.id, assignment) for assignment in assignments)
        self._wake.set()

    async def next(self, timeout_seconds: float) -> list[Assignment]:
        """Return what changed since the last call, after at most so many seconds."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._wake.wait()
        except TimeoutError:
            return []
        self._wake.clear()
        changed, self._changed = list(self._changed.values()), {}
        return changed


class Watchers:
    """All watchers by rollout."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = defaultdict(set)

    def open(self, rollout_id: str) -> Watch:
        """Begin to watch."""
        watch = Watch()
        self._watches[rollout_id].add(watch)
        return watch

    def close(self, rollout_id: str, watch: Watch) -> None:
        """Watch no more."""
        self._watches[rollout_id].discard(watch)
        if not self._watches[rollout_id]:
            del self._watches[rollout_id]

    def changed(self, rollout_id: str, assignments: Iterable[Assignment] = ()) -> None:
        """Tell whoever watches this rollout."""
        for watch in self._watches.get(rollout_id, ()):
            watch.add(assignments)
