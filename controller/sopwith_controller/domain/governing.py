"""Which SOP governs a computer, where there are several: exactly one, or none and two are refused with the reason.

Decides by the scopes of the SOPs in force (clause II); reading them, and telling computers of theirs, comes after.
Rules:

- a SOP governs the computers that its `scope.targets` selects; an empty scope selects all;
- a computer under two SOPs takes part in nothing of either, because nobody could say which rules hold; one under none
  takes part in nothing at all;
- a SOP whose scope would take in what another one governs is not submitted.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from sopwith_controller.domain.deviation import GRANTED_BY
from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_controller.domain.errors import Refusal, RefusedError
from sopwith_formats.selector import Selector, parse_selector

_NAMES_MAX = 5


def governors(computer: Computer, scopes: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ids of the SOPs that govern a computer; `scopes` are selectors by SOP."""
    return tuple(
        sop_id for sop_id, scope in scopes.items() if _selector(scope).matches(computer.labels, computer.facts)
    )


def doubly_governed(sop_id: str, computers: Iterable[Computer], others: Mapping[str, str]) -> list[Refusal]:
    """Return what refuses a plan of one SOP for computers that others of these govern as well."""
    found: dict[tuple[str, ...], list[str]] = {}
    for computer in computers if others else ():
        also = governors(computer, others)
        if also:
            found.setdefault(also, []).append(computer.name)
    return [
        Refusal(
            "sop_scope",
            "II",
            f"{some(names)} is governed by {sop_id} and by {' and by '.join(also)}",
            remedy=f"revise scope.targets of {sop_id} or {also[0]}, so that one governs each computer",
            deviation=GRANTED_BY,
        )
        for also, names in found.items()
    ]


def who_governs(computers: Iterable[Computer], others: Mapping[str, str]) -> str:
    """Return in words who governs computers that lie outside a scope: another SOP, or none."""
    also = dict.fromkeys(sop_id for computer in computers for sop_id in governors(computer, others))
    return f"{' and '.join(also)} governs it" if also else "no SOP governs it"


def check_apart(sop_id: str, scope: str, others: Mapping[str, str], computers: Iterable[Computer]) -> None:
    """Raise RefusedError when a SOP of this scope would govern what another one governs."""
    members = [one for one in computers if one.state is ComputerState.ACCEPTED]
    for other, taken in others.items():
        both = [one.name for one in members if len(governors(one, {sop_id: scope, other: taken})) > 1]
        if both or not scope.strip() or not taken.strip():
            what = some(both) if both else "every computer" if not taken.strip() else f"what {other} governs"
            reason = f"{sop_id} would govern {what} beside {other} ({taken.strip() or 'every computer'})"
            remedy = f"narrow scope.targets of {sop_id}, or of {other} first, so that one governs each computer"
            raise RefusedError(Refusal("sop_scope", "II", reason, remedy))


def some(names: list[str]) -> str:
    """Return names that fit a line."""
    more = len(names) - _NAMES_MAX
    return ", ".join(names[:_NAMES_MAX]) + (f" and {more} more" if more > 0 else "")


@lru_cache(maxsize=64)
def _selector(text: str) -> Selector:
    """Return a scope's selector; kept, because a plan asks it of every computer."""
    return parse_selector(text)
