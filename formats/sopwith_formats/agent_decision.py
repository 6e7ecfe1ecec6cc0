"""What a computer's own gate decided: gate, clause, result, and the measured beside the required value.

Started records and receipts carry these under the computer's signature, with the policy's digest once for all of them.
Rules: only gates that a computer keeps itself, each at most once in a record; a text is cut rather than refused, so
that a long message of a package tool can never keep a record from being written.
"""

from dataclasses import asdict, dataclass
from typing import Any

from sopwith_formats.errors import FormatError
from sopwith_formats.sop_words import AGENT_GATES
from sopwith_formats.vocabulary import GateResult

DECISIONS_MAX = 64
"""More than a computer has gates, so that records of a later agent with some more can still be read."""
TEXT_MAX_CHARACTERS = 200


@dataclass(frozen=True)
class AgentDecision:
    """One gate's decision, as it is signed. A computer knows no deviations: where one lets a gate warn, it warned."""

    gate: str
    clause: str
    result: str
    measured: str
    required: str

    def as_text(self) -> dict[str, str]:
        """Return the JSON object that records carry."""
        return asdict(self)


def decision(gate: str, result: GateResult, measured: str = "", required: str = "") -> AgentDecision:
    """Return the decision of a gate that the computer keeps, with its clause and with texts of bounded length."""
    cut = (text[:TEXT_MAX_CHARACTERS] for text in (measured, required))
    return AgentDecision(gate, AGENT_GATES[gate], result.value, *cut)


def merged(before: tuple[AgentDecision, ...], after: tuple[AgentDecision, ...]) -> tuple[AgentDecision, ...]:
    """Return the newest decision of each gate, in the order in which the gates were first asked."""
    return tuple({one.gate: one for one in (*before, *after)}.values())


def read_decisions(documents: list[Any]) -> tuple[AgentDecision, ...]:
    """Return the decisions of a record; raise FormatError for anything else."""
    if len(documents) > DECISIONS_MAX:
        raise FormatError(f"holds more than {DECISIONS_MAX} decisions", where="decisions")
    for index, one in enumerate(documents):
        whole = isinstance(one, dict) and one.keys() == AgentDecision.__dataclass_fields__.keys()
        if not whole or not all(isinstance(value, str) for value in one.values()):
            raise FormatError("is no decision of a gate", where=f"decisions[{index}]")
        if one["result"] not in set(GateResult):
            raise FormatError("names an unknown result", where=f"decisions[{index}]")
    return tuple(AgentDecision(**one) for one in documents)
