"""Computers as people look after them: accept, reject, retire, quarantine, label.

This module decides which change of a computer's state a person may ask for. Enrolment is `enrolment`'s, what a computer
says of itself `progress`'s. Rules: a computer that leaves loses certificate and stream in the same breath; its running
assignments end by the planner's next look, because it is out of service; a person can hold one apart and let it back,
also one that the controller held apart after a failed rollback; whoever lets it back has looked at it, and its failures
are counted anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sopwith_controller.domain.bench import is_benched
from sopwith_controller.domain.entities import Computer, ComputerState, LogDraft
from sopwith_controller.domain.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    TransitionNotAllowedError,
)
from sopwith_controller.domain.evaluation import check_computers
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.access import Access, Caller
from sopwith_controller.services.people import revoke_certificates
from sopwith_controller.services.ports import AgentGateway, Clock, Database, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.tokens import check_labels

_S = ComputerState

TRANSITIONS: dict[tuple[ComputerState, str], ComputerState] = {
    (_S.PENDING, "accept"): _S.ACCEPTED,
    (_S.PENDING, "reject"): _S.REJECTED,
    (_S.PENDING, "retire"): _S.RETIRED,
    (_S.ACCEPTED, "retire"): _S.RETIRED,
    (_S.ACCEPTED, "quarantine"): _S.QUARANTINED,
    (_S.QUARANTINED, "release"): _S.ACCEPTED,
    (_S.QUARANTINED, "accept"): _S.ACCEPTED,
    (_S.QUARANTINED, "retire"): _S.RETIRED,
}
_KINDS = {
    "accept": LogKind.COMPUTER_ACCEPTED,
    "reject": LogKind.COMPUTER_REJECTED,
    "retire": LogKind.COMPUTER_RETIRED,
    "quarantine": LogKind.COMPUTER_QUARANTINED,
    "release": LogKind.COMPUTER_RELEASED,
}
_LEAVING = frozenset({_S.RETIRED, _S.REJECTED})


class Fleet:
    """Use cases of computers. `changed(computer_id)` wakes whoever plans with the computer."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        access: Access,
        gateway: AgentGateway,
        changed: Callable[[str], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._access = access
        self._gateway = gateway
        self._changed = changed

    async def all(self) -> Sequence[Computer]:
        """Return all computers by name."""
        async with self._database.read() as unit:
            return await unit.computers.all()

    async def get(self, name_or_id: str) -> Computer:
        """Return one computer."""
        async with self._database.read() as unit:
            return await find_computer(unit, name_or_id)

    async def accept(self, caller: Caller, name_or_id: str, key_fingerprint: str) -> Computer:
        """Let a waiting computer into the fleet, comparing the fingerprint that the person saw on its screen."""
        async with self._database.read() as unit:
            computer = await find_computer(unit, name_or_id)
        if key_fingerprint and key_fingerprint != computer.key_fingerprint:
            raise ConflictError(
                f"{computer.name} asks with the key {computer.key_fingerprint}, not {key_fingerprint}",
                remedy="do not accept it; compare the fingerprint on the computer's own screen once more",
            )
        return await self._transition(caller, name_or_id, "accept", "")

    async def reject(self, caller: Caller, name_or_id: str, reason: str) -> Computer:
        """Refuse a waiting computer."""
        return await self._transition(caller, name_or_id, "reject", _needed(reason))

    async def retire(self, caller: Caller, name_or_id: str, reason: str) -> Computer:
        """Take a computer out of the fleet for good."""
        return await self._transition(caller, name_or_id, "retire", _needed(reason))

    async def quarantine(self, caller: Caller, name_or_id: str, reason: str, *, release: bool) -> Computer:
        """Hold a computer apart, or let it back."""
        return await self._transition(caller, name_or_id, "release" if release else "quarantine", _needed(reason))

    async def label(self, caller: Caller, name_or_id: str, labels: dict[str, str], remove: Sequence[str]) -> Computer:
        """Set and remove labels."""
        async with self._database.write() as unit:
            before = await find_computer(unit, name_or_id)
            if await done_before(unit, caller, LogKind.COMPUTER_LABELLED, before.id):
                return before
            kept = {key: value for key, value in before.labels.items() if key not in remove}
            computer = replace(before, labels=check_labels({**kept, **labels}))
            if computer.labels == before.labels:
                return before
            await unit.computers.put(computer)
            await unit.update_log.append(
                LogDraft(
                    kind=LogKind.COMPUTER_LABELLED,
                    message=f"{caller.name} labelled {computer.name}",
                    computer=computer.name,
                    operator=caller.name,
                    details={"before": before.labels, "after": computer.labels},
                )
            )
            await remember(unit, caller, LogKind.COMPUTER_LABELLED, computer.id, self._clock.now())
            await unit.commit()
        await self._gateway.tell_labels(computer.id, computer.labels)
        self._changed(computer.id)
        return computer

    async def _transition(self, caller: Caller, name_or_id: str, command: str, reason: str) -> Computer:
        async with self._database.write() as unit:
            before = await find_computer(unit, name_or_id)
            if await done_before(unit, caller, _KINDS[command], before.id):
                return before
            if command == "accept" and before.state is _S.ACCEPTED and is_benched(before):
                return await self._let_back(unit, caller, before)
            if command == "accept":
                members = [c for c in await unit.computers.all() if c.state is ComputerState.ACCEPTED]
                check_computers(await unit.settings(), len(members))
            computer, serials = await change_state(
                unit, before, command, person=caller.name, reason=reason, clock=self._clock
            )
            await remember(unit, caller, _KINDS[command], computer.id, self._clock.now())
            await unit.commit()
        self._access.revoke_certificates(serials)
        self._access.refresh_computer(computer)
        self._changed(computer.id)
        return computer

    async def _let_back(self, unit: UnitOfWork, caller: Caller, before: Computer) -> Computer:
        """Take an accepted computer from the bench; its failures are counted anew."""
        computer = replace(before, failures_in_a_row=0)
        await unit.computers.put(computer)
        await unit.update_log.append(
            LogDraft(
                kind=LogKind.COMPUTER_ACCEPTED,
                message=f"{caller.name} let {computer.name} back into rollouts after "
                f"{before.failures_in_a_row} updates that failed",
                computer=computer.name,
                operator=caller.name,
                details={"computer_id": computer.id, "failures_in_a_row": before.failures_in_a_row},
            )
        )
        await remember(unit, caller, LogKind.COMPUTER_ACCEPTED, computer.id, self._clock.now())
        await unit.commit()
        self._changed(computer.id)
        return computer


async def change_state(
    unit: UnitOfWork, before: Computer, command: str, *, person: str, reason: str, clock: Clock
) -> tuple[Computer, list[str]]:
    """Change a computer's state in this transaction, with its log entry; return it and the revoked serials.

    `person` is empty where the machine acts, as after a failed rollback.
    """
    state = TRANSITIONS.get((before.state, command))
    if state is None:
        allowed = sorted(name for start, name in TRANSITIONS if start is before.state)
        raise TransitionNotAllowedError(
            f"{before.name} is {before.state}; to {command} it is not possible",
            remedy=f"possible are: {', '.join(allowed)}" if allowed else "enrol it again with a new token",
        )
    failures = 0 if before.state is _S.QUARANTINED and state is _S.ACCEPTED else before.failures_in_a_row
    computer = replace(before, state=state, state_reason=reason, failures_in_a_row=failures)
    await unit.computers.put(computer)
    serials = await revoke_certificates(unit, computer.id, clock) if state in _LEAVING else []
    actor = person or "the controller"
    await unit.update_log.append(
        LogDraft(
            kind=_KINDS[command],
            message=f"{actor} changed {computer.name} from {before.state} to {state}"
            + (f": {reason}" if reason else ""),
            computer=computer.name,
            operator=person,
            details={"computer_id": computer.id, "key_fingerprint": computer.key_fingerprint, "reason": reason},
        )
    )
    return computer, serials


async def find_computer(unit: UnitOfWork, name_or_id: str) -> Computer:
    """Return the computer; raise NotFoundError."""
    computer = await unit.computers.find(name_or_id)
    if computer is None:
        raise NotFoundError(f"there is no computer {name_or_id}", remedy="sopwith computer list")
    return computer


def _needed(reason: str) -> str:
    if not reason.strip():
        raise InvalidInputError("a reason is needed, because it is recorded", remedy='add --reason "TEXT"')
    return " ".join(reason.split())
