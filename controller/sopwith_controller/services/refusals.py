"""Recording what was refused: who knocked and was not let in, and what a gate of the SOP did not let pass."""

from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import Refusal
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.ports import Database


class Refusals:
    """Writes ACCESS_REFUSED and GATE_REFUSED entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refused(self, who: str, kind: str, method: str, reason: str) -> None:
        """Record one refused call; `kind` is person, computer or unknown."""
        call = method.rpartition("/")[2]
        draft = LogDraft(
            kind=LogKind.ACCESS_REFUSED,
            message=f"{kind} {who} was refused {call}: {reason}",
            computer=who if kind == "computer" else "",
            operator=who if kind == "person" else "",
            details={"caller": who, "caller_kind": kind, "call": method, "reason": reason},
        )
        async with self._database.write() as unit:
            await unit.update_log.append(draft)
            await unit.commit()

    async def gate_refused(self, who: str, method: str, refusal: Refusal) -> None:
        """Record that a gate said no to somebody who may ask."""
        call = method.rpartition("/")[2]
        draft = LogDraft(
            kind=LogKind.GATE_REFUSED,
            message=f"the gate {refusal.gate} refused {who}'s {call}: {refusal.reason}",
            operator=who,
            details={"gate": refusal.gate, "clause": refusal.clause, "reason": refusal.reason, "call": method},
        )
        async with self._database.write() as unit:
            await unit.update_log.append(draft)
            await unit.commit()
