"""CONFIRMING and ROLLING_BACK of the agent's own release: who of the two versions does what.

Decides when the new version is confirmed and when one process makes way for the other; watching it is the supervisor's,
which runs while neither does. Rules: the old version never confirms, it hands over; the new one is confirmed only when
its health checks held and the controller has welcomed it; a new version that is to go back writes down why and hands
over, and the old one finishes the rollback and tells the truth; AGENT_CRASH_LOOP is the symptom of a new version that
could not start, connect and confirm.
"""

from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.record import Record
from sopwith_agent.domain.trial import Verdict
from sopwith_agent.steps.health_port import HealthReport
from sopwith_agent.steps.workbench import Done, Wait, Workbench
from sopwith_formats.manifest import Manifest
from sopwith_formats.vocabulary import Symptom

_LOOK_SECONDS = 1.0


def confirm_agent(record: Record, manifest: Manifest, bench: Workbench) -> Done | Wait:
    """Return HEALTHY in the new version, UNHEALTHY in the old one; wait while the other one has to work."""
    trials = bench.trials
    trial = trials.trial()
    if trials.running_version() != manifest.version:
        if trial is None or trial.verdict is Verdict.FELL_BACK:
            why = trial.why if trial else f"Agent {manifest.version} was never confirmed, and its trial is gone."
            return Done(record, Event.UNHEALTHY, Symptom.AGENT_CRASH_LOOP, why)
        trials.hand_over()
        return Wait(record, None, detail=f"Agent {manifest.version} is tried.")
    if trial is None or trial.verdict is Verdict.CONFIRMED:
        bench.register.remember(manifest)
        return Done(record, Event.HEALTHY)
    if trial.verdict is Verdict.FELL_BACK:
        trials.hand_over()
        return Wait(record, None, detail=f"Agent {manifest.version} goes back.")
    return _try(record, manifest, bench)


def gives_way(record: Record, manifest: Manifest, bench: Workbench) -> Wait | None:
    """Return what the new version does when it is to be rolled back: it makes way; None for everybody else."""
    trials = bench.trials
    if not manifest.updates_agent or trials.running_version() != manifest.version or trials.trial() is None:
        return None
    trials.fall_back(record.detail or f"Agent {manifest.version} takes itself back.")
    trials.hand_over()
    return Wait(record, None, record.symptom, record.detail)


def _try(record: Record, manifest: Manifest, bench: Workbench) -> Done | Wait:
    report = bench.health.watch(manifest, bench.health_context("confirm"), bench.stopping)
    if report.cancelled:
        return Wait(record, None, detail="The agent was asked to stop; confirmed again after its start.")
    if not report.healthy:
        return Done(record, Event.UNHEALTHY, Symptom.HEALTH_CHECK_FAILED, _described(report))
    if not bench.trials.connected():
        detail = f"Agent {manifest.version} is not connected to the controller yet."
        return Wait(record, _LOOK_SECONDS, Symptom.CONTROLLER_UNREACHABLE, detail)
    bench.trials.confirm()
    bench.register.remember(manifest)
    record = record.step("confirm", bench.clock.now(), "done", f"agent {manifest.version} runs and is connected")
    return Done(record, Event.HEALTHY)


def _described(report: HealthReport) -> str:
    return "; ".join(f"{failure.check}: {failure.message}" for failure in report.failures) + "."
