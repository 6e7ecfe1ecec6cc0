"""Watching the room that the controller's own records need: people are told while there still is some to write it down.

This module decides when little room is an incident; what happens once there is none is the writers' business: nothing
is acknowledged that is not durable, so computers keep their words. Rules: one incident of severity 1, told once until
there is twice that room again; a disk that does not even take the incident is asked again at the next look.
"""

from collections.abc import Callable
from datetime import timedelta

import structlog

from sopwith_controller.domain.errors import SopwithError
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Clock, Database, Timers
from sopwith_formats.units import format_size
from sopwith_formats.vocabulary import Symptom

LOOK_EVERY = timedelta(minutes=1)
FREE_MIN_BYTES = 128 * 2**20
"""Below it people are told; a fleet of 10,000 writes about that much in a large rollout."""

_log = structlog.get_logger()


class DiskWatch:
    """The look at the controller's disk."""

    def __init__(self, database: Database, clock: Clock, incidents: Incidents, free_bytes: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._incidents = incidents
        self._free_bytes = free_bytes
        self._told = False

    def start(self, timers: Timers) -> None:
        """Look now and every minute."""
        timers.at("disk/look_first", self._clock.now(), self.look)
        timers.every("disk/look", LOOK_EVERY, self.look)

    async def look(self) -> None:
        """Tell people when there is little room, once."""
        free = self._free_bytes()
        if self._told:
            self._told = free < 2 * FREE_MIN_BYTES
            return
        if free >= FREE_MIN_BYTES:
            return
        summary = (
            f"the controller's disk has {format_size(free)} left: once it is full nothing is recorded and no rollout "
            "goes on; make room beside its data folder"
        )
        _log.error("disk_nearly_full", free_bytes=free)
        try:
            async with self._database.write() as unit:
                await self._incidents.raise_in(unit, symptom=Symptom.DISK_FULL, severity=1, summary=summary)
                await unit.commit()
        except SopwithError as error:
            _log.error("disk_alarm_not_recorded", reason=str(error))
            return
        self._told = True
        await self._incidents.after_commit()
