"""Watching the update log: it is verified at the start and every hour, and a fault stops rollouts and tells people.

This module decides what a fault leads to; what a fault is, is `sopwith_formats.log_verification`'s. Rules: a fault is
an incident of severity 1, told once while it is open; running rollouts are suspended with it, because what was done can
no longer be proven; once somebody took the incident, rollouts that people resume are left alone.
"""

from collections.abc import Callable
from datetime import timedelta

import structlog

from sopwith_controller.domain import rollout as machine
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import SopwithError
from sopwith_controller.domain.gate_decisions import GateDecision
from sopwith_controller.domain.incident_entities import IncidentState
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout_entities import Rollout, RolloutState
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Clock, Database, Timers, UnitOfWork
from sopwith_controller.services.update_log import UpdateLogs
from sopwith_formats.log_verification import Verdict
from sopwith_formats.vocabulary import GateResult, Symptom

VERIFY_EVERY = timedelta(hours=1)
_SHOWN = 3
_log = structlog.get_logger()


_REFUSED = GateDecision("log_integrity", "V.E", GateResult.REFUSED, reason="the update log is not what was written")


class LogWatch:
    """The hourly verification, and what follows from any that finds a fault."""

    def __init__(self, database: Database, clock: Clock, incidents: Incidents, changed: Callable[[str], None]) -> None:
        self._database = database
        self._clock = clock
        self._incidents = incidents
        self._changed = changed

    def start(self, timers: Timers, logs: UpdateLogs) -> None:
        """Verify now and every hour."""

        async def run() -> None:
            try:
                await self.report(await logs.verify())
            except SopwithError as error:
                _log.error("update_log_not_verified", reason=error.message)

        timers.at("update_log/verify_first", self._clock.now(), run)
        timers.every("update_log/verify", VERIFY_EVERY, run)

    async def report(self, verdict: Verdict) -> None:
        """Raise the incident of a log that is not whole and suspend what runs; do nothing for a whole one."""
        if not verdict.faults:
            return
        more = f" And {len(verdict.faults) - _SHOWN} more." if len(verdict.faults) > _SHOWN else ""
        summary = " ".join(verdict.faults[:_SHOWN]) + more
        _log.error("update_log_not_whole", faults=len(verdict.faults), first=verdict.faults[0])
        async with self._database.write() as unit:
            known = [one for one in await unit.incidents.unresolved() if one.symptom == Symptom.LOG_INTEGRITY]
            suspended: list[Rollout] = []
            if not any(one.state is IncidentState.ACKNOWLEDGED for one in known):
                suspended = [
                    await self._suspend(unit, one) for one in await unit.rollouts.in_states([RolloutState.RUNNING])
                ]
            for rollout in [*suspended, *([] if suspended or known else [None])]:
                await self._incidents.raise_in(
                    unit, symptom=Symptom.LOG_INTEGRITY, severity=1, summary=summary, rollout=rollout
                )
            await unit.commit()
        await self._incidents.after_commit()
        for rollout in suspended:
            self._changed(rollout.id)

    async def _suspend(self, unit: UnitOfWork, running: Rollout) -> Rollout:
        rollout = machine.suspend(running, reason="the update log is not what was written")
        await unit.rollouts.put(rollout)
        await unit.update_log.append(
            LogDraft(
                LogKind.ROLLOUT_SUSPENDED,
                f"{rollout.name} suspended: {rollout.state_reason}",
                rollout=rollout.id,
                release=rollout.release,
                symptom=Symptom.LOG_INTEGRITY,
                ticket=rollout.ticket,
                sop_id=rollout.sop_id,
                sop_revision=rollout.sop_revision,
                details={"policy_sha256": rollout.policy_sha256, "gates": [_REFUSED.record()]},
            )
        )
        return rollout
