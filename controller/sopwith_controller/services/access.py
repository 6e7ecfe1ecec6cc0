"""Who may call at all: certificates, people and computers, kept in memory so that every call can be checked.

This module decides whether the holder of a certificate is still somebody: not revoked, on the roster or in the fleet.
Which call needs which role is the table in `api.roles`. The memory is loaded at the start and changed after each commit
that changes a person, a computer or a certificate; services call `refresh_*` then, which also ends the live calls of
whoever lost the right to be here. While somebody is away their deputy has their roles besides.

Rules: unknown is refused; a REVOKED person, one whose time on the roster is over, a RETIRED or REJECTED computer and a
revoked certificate are refused; a PENDING or QUARANTINED computer may connect, receives no work and may do nothing
else; roles come from the roster, never from the certificate.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sopwith_controller.domain import roster
from sopwith_controller.domain.entities import Computer, ComputerState, Person
from sopwith_controller.domain.errors import NotFoundError, Refusal, RefusedError, TrustError
from sopwith_controller.services.ports import Clock, Database

CallerKind = Literal["computer", "person", "controller"]
_MAY_CONNECT = frozenset({ComputerState.ACCEPTED, ComputerState.PENDING, ComputerState.QUARANTINED})


@dataclass(frozen=True)
class Caller:
    """Somebody whose certificate and standing were checked for this call."""

    kind: CallerKind
    id: str
    name: str
    roles: frozenset[str] = frozenset()
    request_id: str = ""
    """What the call's request is known by when it is sent again; empty: it names none."""

    def has(self, *roles: str) -> bool:
        """Tell whether the caller has one of these roles."""
        return not self.roles.isdisjoint(roles)


class Access:
    """The memory of who is somebody."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock
        self._people: dict[str, Person] = {}
        self._computers: dict[str, tuple[str, ComputerState]] = {}
        self._revoked: set[str] = set()
        self._cutters: list[Callable[[str, str], None]] = []
        self.profile = ""
        """The controller's profile, by which screens are stamped; empty before `init`."""

    async def load(self) -> None:
        """Read everything anew; done once before the first call is served."""
        async with self._database.read() as unit:
            self._people = {person.id: person for person in await unit.people.all()}
            self._computers = {computer.id: (computer.name, computer.state) for computer in await unit.computers.all()}
            self._revoked = set(await unit.certificates.revoked_serials())
            with suppress(NotFoundError):
                self.profile = (await unit.settings()).profile

    def on_cut(self, cutter: Callable[[str, str], None]) -> None:
        """Let `cutter(subject_id, reason)` be called whenever somebody's live calls must end."""
        self._cutters.append(cutter)

    def admit(self, kind: str, subject_id: str, serial: str) -> Caller:
        """Return the caller; raise TrustError when the certificate's holder is nobody any more."""
        if serial in self._revoked:
            raise TrustError("the certificate was revoked", remedy="ask the owner for a new invitation or token")
        if kind == "person":
            person = self._people.get(subject_id)
            now = self._clock.now() if self._clock else datetime.now(UTC)
            if person is None or person.state == "REVOKED" or roster.has_ended(person, now):
                raise TrustError("this person is not on the roster", remedy="ask the owner for an invitation")
            return Caller("person", person.id, person.name, roster.acting_roles(person, self._people.values(), now))
        if kind == "computer":
            name, state = self._computers.get(subject_id, ("", ComputerState.REJECTED))
            if state not in _MAY_CONNECT:
                raise TrustError("this computer does not belong to the fleet", remedy="enrol it with a new token")
            return Caller("computer", subject_id, name)
        raise TrustError("this kind of certificate may not call")

    def refresh_person(self, person: Person) -> None:
        """Take over a committed change of a person; a revoked one's calls end."""
        before = self._people.get(person.id)
        self._people[person.id] = person
        if person.state == "REVOKED":
            self.cut(person.id, "the person was revoked")
        elif before is not None and set(before.roles) - set(person.roles):
            self.cut(person.id, "a role was taken away")

    def refresh_computer(self, computer: Computer) -> None:
        """Take over a committed change of a computer; the stream of one that left the fleet ends."""
        self._computers[computer.id] = (computer.name, computer.state)
        if computer.state not in _MAY_CONNECT:
            self.cut(computer.id, f"the computer is {computer.state}")

    def revoke_certificates(self, serials: list[str]) -> None:
        """Take over committed revocations."""
        self._revoked.update(serials)

    def cut(self, subject_id: str, reason: str) -> None:
        """End the live calls of somebody at once."""
        for cutter in self._cutters:
            cutter(subject_id, reason)


def require_role(caller: Caller, *roles: str, act: str) -> None:
    """Raise RefusedError of gate operator_role unless the caller has one of the roles; `act` as in "may not start"."""
    if not caller.has(*roles):
        raise RefusedError(role_refusal(caller, frozenset(roles), act))


def role_refusal(caller: Caller, roles: frozenset[str], act: str) -> Refusal:
    """Return the refusal that teaches which role an act needs and who gives it."""
    wanted = " or ".join(sorted(roles)) or "nobody"
    return Refusal(
        gate="operator_role",
        clause="III",
        reason=f"{caller.name or caller.id} may not {act}: it needs the role {wanted}",
        remedy=f"sopwith person grant {caller.name} --role {min(roles)}" if roles and caller.kind == "person" else "",
        deviation="",
    )
