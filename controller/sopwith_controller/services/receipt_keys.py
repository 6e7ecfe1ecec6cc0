"""The receipt keys of computers that come: bound once, each a log entry, and another one is refused aloud.

Decides whether a computer is who it was, by the key that signs its records and by the newest record that it knows.
Rules: the key that a computer shows first is its key for as long as it belongs to the fleet, however often its
certificate is renewed; the entry carries the public key, so that records can be verified from the log alone. A computer
that was reinstalled enrols anew, as another one, and where it takes the name of one that left, the entry names both
keys. A key that is not the recorded one turns the computer away; a newest record that cannot be is an alarm, but the
computer may speak: what it has to tell is the evidence. Each is told once while its incident waits for somebody.
"""

from sopwith_certs.errors import CertsError
from sopwith_certs.signing import fingerprint, read_public_key
from sopwith_controller.domain.entities import Computer, ComputerState, LogDraft
from sopwith_controller.domain.errors import TrustError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.agent_reports import Arrival
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Clock, UnitOfWork
from sopwith_controller.services.receipt_chain import ReceiptChains
from sopwith_formats.errors import FormatError
from sopwith_formats.vocabulary import Symptom

_LEFT = frozenset({ComputerState.RETIRED, ComputerState.REJECTED})


class ReceiptKeys:
    """Judges the arrivals of one unit of work."""

    def __init__(self, unit: UnitOfWork, clock: Clock, incidents: Incidents) -> None:
        self._unit = unit
        self._incidents = incidents
        self._chains = ReceiptChains(unit, clock)
        self.recorded = False
        """Something was written that has to be committed, also where the computer is turned away."""
        self.alarmed = False

    async def judge(self, before: Computer, arrival: Arrival) -> None:
        """Bind a first key; raise TrustError for another one than the recorded."""
        if arrival.receipt_key_pem and not before.receipt_key_pem:
            await self._bind(before, arrival.receipt_key_pem)
        elif arrival.receipt_key_pem not in ("", before.receipt_key_pem):
            await self._refuse(before, arrival.receipt_key_pem)
        if arrival.newest_receipt is None:
            return
        fault = await self._chains.compare(before, arrival.newest_receipt)
        if fault and await self._alarm(before, fault):
            await self._chains.log_fault(before, fault, arrival.newest_receipt)

    async def _bind(self, computer: Computer, pem: str) -> None:
        name = _fingerprint(pem)
        if not name:
            raise TrustError(f"{computer.name} shows a receipt key that is none", remedy="enrol it anew")
        left = [
            one
            for one in await self._unit.computers.named(computer.name)
            if one.id != computer.id and one.state in _LEFT and one.receipt_key_pem
        ]
        earlier = max(left, key=lambda one: (one.enrolled_time, one.id), default=None)
        details = {"computer_id": computer.id, "key_fingerprint": name, "receipt_key": _one_line(pem)}
        message = f"{computer.name} signs its records with the key {name}"
        if earlier is not None:
            before = _fingerprint(earlier.receipt_key_pem)
            details |= {"computer_id_before": earlier.id, "key_fingerprint_before": before}
            message += f"; the computer {earlier.id} that had this name signed with {before}"
        await self._log(
            LogKind.RECEIPT_KEY_CHANGED if earlier else LogKind.RECEIPT_KEY_BOUND, computer, message, details
        )

    async def _refuse(self, computer: Computer, pem: str) -> None:
        fault = "shows another receipt key than before"
        if await self._alarm(computer, f"it {fault}"):
            details = {
                "computer_id": computer.id,
                "key_fingerprint": _fingerprint(pem),
                "key_fingerprint_before": _fingerprint(computer.receipt_key_pem),
            }
            await self._log(LogKind.RECEIPT_KEY_REFUSED, computer, f"{computer.name} {fault}", details)
        raise TrustError(
            f"{computer.name} {fault}", remedy="if it was reinstalled: retire it and enrol it anew with a new key"
        )

    async def _log(self, kind: LogKind, computer: Computer, message: str, details: dict[str, str]) -> None:
        self.recorded = True
        await self._unit.update_log.append(LogDraft(kind, message, computer=computer.name, details=details))

    async def _alarm(self, computer: Computer, fault: str) -> bool:
        """Raise the incident; tell whether it is news: an incident of the same kind may wait for somebody already."""
        for known in await self._unit.incidents.unresolved():
            if known.symptom == Symptom.SIGNATURE_INVALID and computer.name in known.computers:
                return False
        self.recorded = self.alarmed = True
        await self._incidents.raise_in(
            self._unit,
            symptom=Symptom.SIGNATURE_INVALID,
            severity=1,
            summary=f"{computer.name}: {fault}",
            computers=(computer.name,),
        )
        return True


def _one_line(pem: str) -> str:
    """Return the PEM's base64 without its frame: an entry of the log is one line."""
    return "".join(pem.strip().splitlines()[1:-1])


def _fingerprint(pem: str) -> str:
    """Return the key's fingerprint; empty for what is no key."""
    try:
        return fingerprint(read_public_key(pem.encode()))
    except (FormatError, CertsError):
        return ""
