"""The life of a rollout: which command is allowed in which state, and what each one leaves behind.

Decides the next state and writes it, with reason and times, into a new `Rollout`; whether a threshold is crossed
(`gates`), who may approve (`approvals`) and what happens to single computers (`planner`) is decided next door. Rule:
machines stop, people decide. What is not in `TRANSITIONS` raises TransitionNotAllowedError.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from sopwith_controller.domain.errors import InvalidInputError, TransitionNotAllowedError
from sopwith_controller.domain.rollout_entities import Approval, Rollout, RolloutState, WaveProgress


class RolloutCommand(StrEnum):
    """What a person or a tick asks of a rollout."""

    SUBMIT = "SUBMIT"
    SUBMIT_PREAPPROVED = "SUBMIT_PREAPPROVED"
    APPROVE = "APPROVE"
    REJECT = "REJECT"
    START = "START"
    REPLAN = "REPLAN"
    CLEAR = "CLEAR"
    OPEN_WAVE = "OPEN_WAVE"
    PAUSE = "PAUSE"
    SUSPEND = "SUSPEND"
    RESUME = "RESUME"
    RETRY = "RETRY"
    COMPLETE = "COMPLETE"
    ABORT = "ABORT"
    FINISH_ABORT = "FINISH_ABORT"


_S, _C = RolloutState, RolloutCommand

TRANSITIONS: dict[tuple[RolloutState, RolloutCommand], RolloutState] = {
    (_S.DRAFT, _C.SUBMIT): _S.IN_REVIEW,
    (_S.DRAFT, _C.SUBMIT_PREAPPROVED): _S.APPROVED,
    (_S.DRAFT, _C.ABORT): _S.ABORTING,
    (_S.IN_REVIEW, _C.APPROVE): _S.APPROVED,
    (_S.IN_REVIEW, _C.REJECT): _S.DRAFT,
    (_S.IN_REVIEW, _C.ABORT): _S.ABORTING,
    (_S.APPROVED, _C.START): _S.RUNNING,
    (_S.APPROVED, _C.REPLAN): _S.DRAFT,
    (_S.APPROVED, _C.CLEAR): _S.ABORTED,
    (_S.APPROVED, _C.ABORT): _S.ABORTING,
    (_S.RUNNING, _C.OPEN_WAVE): _S.RUNNING,
    (_S.RUNNING, _C.PAUSE): _S.PAUSED,
    (_S.RUNNING, _C.SUSPEND): _S.SUSPENDED,
    (_S.RUNNING, _C.COMPLETE): _S.COMPLETED,
    (_S.RUNNING, _C.RETRY): _S.RUNNING,
    (_S.RUNNING, _C.ABORT): _S.ABORTING,
    (_S.PAUSED, _C.RESUME): _S.RUNNING,
    (_S.PAUSED, _C.APPROVE): _S.PAUSED,
    (_S.PAUSED, _C.COMPLETE): _S.COMPLETED,
    (_S.PAUSED, _C.RETRY): _S.PAUSED,
    (_S.PAUSED, _C.ABORT): _S.ABORTING,
    (_S.SUSPENDED, _C.RESUME): _S.RUNNING,
    (_S.SUSPENDED, _C.APPROVE): _S.SUSPENDED,
    (_S.SUSPENDED, _C.COMPLETE): _S.COMPLETED,
    (_S.SUSPENDED, _C.RETRY): _S.SUSPENDED,
    (_S.SUSPENDED, _C.ABORT): _S.ABORTING,
    (_S.COMPLETED, _C.RETRY): _S.RUNNING,
    (_S.ABORTING, _C.FINISH_ABORT): _S.ABORTED,
}

ACTIVE_STATES = frozenset({_S.RUNNING, _S.PAUSED, _S.SUSPENDED, _S.ABORTING})
"""States in which assignments may still change; the scheduler looks at these."""
STOPPED_STATES = frozenset({_S.PAUSED, _S.SUSPENDED})
"""Nothing starts and nothing reboots until a person lets it go on."""
ENDED_STATES = frozenset({_S.COMPLETED, _S.ABORTED})
NOT_STARTED_STATES = frozenset({_S.DRAFT, _S.IN_REVIEW, _S.APPROVED})

_REMEDIES = {
    _S.DRAFT: "sopwith rollout submit {id}",
    _S.IN_REVIEW: "sopwith rollout approve {id}, by somebody else than {requester}",
    _S.APPROVED: "sopwith rollout start {id} --reason TEXT",
    _S.RUNNING: "sopwith rollout status {id}",
    _S.PAUSED: "sopwith rollout resume {id} --reason TEXT",
    _S.SUSPENDED: "sopwith incident acknowledge ID, then sopwith rollout resume {id} --reason TEXT",
    _S.ABORTING: "sopwith rollout status {id} --wait",
    _S.COMPLETED: "sopwith rollout retry {id} --reason TEXT, or sopwith rollout create -f FILE",
    _S.ABORTED: "sopwith rollout create -f FILE",
}


def next_state(rollout: Rollout, command: RolloutCommand) -> RolloutState:
    """Return the state after a command; raise TransitionNotAllowedError with what is allowed instead."""
    state = TRANSITIONS.get((rollout.state, command))
    if state is None:
        allowed = sorted(_words(c) for s, c in TRANSITIONS if s is rollout.state and c not in _OF_MACHINES)
        instead = f"it allows {', '.join(dict.fromkeys(allowed))}" if allowed else "nothing changes it any more"
        raise TransitionNotAllowedError(
            f"rollout {rollout.name} is {rollout.state} and cannot be asked to {_words(command)}; {instead}",
            remedy=_REMEDIES[rollout.state].format(id=rollout.id, requester=rollout.requester),
        )
    return state


_NOTHING_LEFT = "nothing is left of its plan"
_OF_MACHINES = frozenset({_C.REPLAN, _C.CLEAR, _C.OPEN_WAVE, _C.SUSPEND, _C.COMPLETE, _C.FINISH_ABORT})


def _words(command: RolloutCommand) -> str:
    return "submit" if command is _C.SUBMIT_PREAPPROVED else command.lower().replace("_", " ")


def _spoken(reason: str) -> str:
    text = " ".join(reason.split())
    if not text:
        raise InvalidInputError("a reason is needed, because it is recorded", remedy='add --reason "TEXT"')
    return text


def submit(rollout: Rollout, *, plan_json: str, plan_sha256: str, needs_approval: bool) -> Rollout:
    """Freeze the plan; approvals of another plan are void. To APPROVED where the change class needs nobody."""
    command = _C.SUBMIT if needs_approval else _C.SUBMIT_PREAPPROVED
    state = next_state(rollout, command)
    waiting = "waits for the approval of its plan" if needs_approval else "covered by the SOP; may be started"
    return replace(
        rollout, state=state, state_reason=waiting, plan_json=plan_json, plan_sha256=plan_sha256, approvals=()
    )


def approve(rollout: Rollout, approval: Approval, *, enough: bool) -> Rollout:
    """Add one approval that `approvals.check_approver` let pass; APPROVED when it is enough.

    One that stands still keeps its state and its reason: the approval is what a resume asks for when others ran out.
    """
    state = next_state(rollout, _C.APPROVE)
    with_it = replace(rollout, approvals=(*rollout.approvals, approval))
    if rollout.state is not _S.IN_REVIEW:
        return with_it
    if not enough:
        return replace(with_it, state_reason=f"approved by {approval.person}; waits for another approval")
    return replace(with_it, state=state, state_reason=f"approved by {approval.person}; may be started")


def reject(rollout: Rollout, *, person: str, reason: str) -> Rollout:
    """Send it back to its requester; approvals are void."""
    text = f"rejected by {person}: {_spoken(reason)}"
    return replace(rollout, state=next_state(rollout, _C.REJECT), state_reason=text, approvals=())


def replan(rollout: Rollout, *, reason: str) -> Rollout:
    """Send it back to its requester because its plan or its approvals are not what was approved any more."""
    return replace(rollout, state=next_state(rollout, _C.REPLAN), state_reason=reason, approvals=())


def clear(rollout: Rollout, *, why: str, now: datetime) -> Rollout:
    """Close it before its start: nothing is left to do."""
    reason = f"{_NOTHING_LEFT}: {why}"
    return replace(rollout, state=next_state(rollout, _C.CLEAR), state_reason=reason, ended_time=now)


def was_cleared(rollout: Rollout) -> bool:
    """Tell whether it was closed because nothing was left to do; a person aborts with their name."""
    return rollout.state is _S.ABORTED and rollout.state_reason.startswith(_NOTHING_LEFT)


def start(rollout: Rollout, *, operator: str, reason: str, now: datetime, deadline_seconds: int, waves: int) -> Rollout:
    """Start; `waves` counts the plan's waves without the tail, which gets a place after them."""
    return replace(
        rollout,
        state=next_state(rollout, _C.START),
        state_reason="",
        operator=operator,
        start_reason=_spoken(reason),
        started_time=now,
        deadline_time=now + timedelta(seconds=deadline_seconds),
        waves=(WaveProgress(),) * (waves + 1),
    )


def pause(rollout: Rollout, *, person: str, reason: str) -> Rollout:
    """Stop offering because a person says so."""
    text = f"paused by {person}: {_spoken(reason)}"
    return replace(rollout, state=next_state(rollout, _C.PAUSE), state_reason=text)


def suspend(rollout: Rollout, *, reason: str) -> Rollout:
    """Stop offering because a threshold says so."""
    return replace(rollout, state=next_state(rollout, _C.SUSPEND), state_reason=reason)


def resume(rollout: Rollout, *, person: str, reason: str, now: datetime, incident_acknowledged: bool) -> Rollout:
    """Go on; what was counted so far is accepted and all counters begin anew.

    `incident_acknowledged`: nobody waits for an acknowledgement of this rollout's suspension.
    """
    state = next_state(rollout, _C.RESUME)
    if rollout.state is _S.SUSPENDED and not incident_acknowledged:
        raise TransitionNotAllowedError(
            f"rollout {rollout.name} was suspended and its incident is not acknowledged",
            remedy="sopwith incident list, then sopwith incident acknowledge ID, then resume again",
        )
    return replace(rollout, state=state, state_reason=f"resumed by {person}: {_spoken(reason)}", counted_from=now)


def complete(rollout: Rollout, *, now: datetime, reason: str) -> Rollout:
    """Close it: every assignment has ended."""
    return replace(rollout, state=next_state(rollout, _C.COMPLETE), state_reason=reason, ended_time=now)


def retry(
    rollout: Rollout, *, person: str, reason: str, now: datetime, deadline_seconds: int, waves: frozenset[int]
) -> Rollout:
    """Begin a new generation in these waves; one that did not pass is judged again.

    A rollout that completed runs again: a deadline of the same length begins, and what it counted is accepted.
    """
    state = next_state(rollout, _C.RETRY)
    text = f"retried by {person}: {_spoken(reason)}"
    progress = tuple(
        replace(wave, ended_time=None) if index in waves else wave for index, wave in enumerate(rollout.waves)
    )
    following = replace(rollout, state=state, generation=rollout.generation + 1, waves=progress)
    if rollout.state is not _S.COMPLETED:
        return following if state is not _S.RUNNING else replace(following, state_reason=text)
    return replace(
        following,
        state_reason=text,
        operator=person,
        counted_from=now,
        ended_time=None,
        deadline_time=now + timedelta(seconds=deadline_seconds),
    )


def abort(rollout: Rollout, *, person: str, reason: str) -> Rollout:
    """Take back what has not begun; ABORTED comes with the last install that is past its point of no return."""
    text = f"aborted by {person}: {_spoken(reason)}"
    return replace(rollout, state=next_state(rollout, _C.ABORT), state_reason=text)


def finish_abort(rollout: Rollout, *, now: datetime) -> Rollout:
    """Close an aborted rollout: nothing runs any more."""
    return replace(rollout, state=next_state(rollout, _C.FINISH_ABORT), ended_time=now)


def open_wave(rollout: Rollout, index: int, *, now: datetime) -> Rollout:
    """Write down that a wave opened."""
    state = next_state(rollout, _C.OPEN_WAVE)
    return replace(_with_wave(rollout, index, opened_time=now), state=state)


def end_wave(rollout: Rollout, index: int, *, now: datetime) -> Rollout:
    """Write down that the last member of a wave ended; its soak counts from here."""
    return _with_wave(rollout, index, ended_time=now)


def pass_wave(rollout: Rollout, index: int, *, now: datetime) -> Rollout:
    """Write down that a wave held and soaked."""
    return _with_wave(rollout, index, passed_time=now)


def _with_wave(rollout: Rollout, index: int, **times: datetime) -> Rollout:
    waves = list(rollout.waves)
    waves[index] = replace(waves[index], **times)
    return replace(rollout, waves=tuple(waves))


def with_state_reason(rollout: Rollout, reason: str) -> Rollout:
    """Write down what it waits for; the state stays."""
    return replace(rollout, state_reason=reason)
