"""The last comparison: when everything is over and everybody told their truth, the records have to say the same.

Decides which differences break a promise; it looks at the tables and the truth only.
"""

import collections
import json
from collections.abc import Iterator, Sequence
from typing import Any

from sopwith_controller.domain.rollout import ENDED_STATES
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.waves import count
from sopwith_formats.log_entry import FIRST_PREVIOUS, LogRow, link
from sopwith_formats.vocabulary import Outcome
from tests.controller.domain.builders import shares
from tests.simulation.computer import SimulatedComputer
from tests.simulation.truth import Truth

_CONCLUDED = {Outcome.CANCELLED, Outcome.UNREACHABLE, Outcome.NOT_READY, Outcome.NOT_STARTED}
"""Outcomes that the controller may write down without a receipt."""
Tables = dict[str, dict[Any, Any]]


def check_everything(tables: Tables, truth: Truth, computers: Sequence[SimulatedComputer]) -> Iterator[str]:
    """Yield every difference."""
    assignments: list[Assignment] = list(tables.get("assignments", {}).values())
    if not assignments:
        yield "no rollout was started"
    for rollout in tables.get("rollouts", {}).values():
        if rollout.started_time is not None and rollout.state not in ENDED_STATES:
            yield f"{rollout.id} is {rollout.state} at the end"
    yield from _outcomes(assignments, truth)
    yield from _counts(tables, assignments, truth)
    yield from _installed(tables, assignments, computers)
    yield from _log(tables, assignments)


def _outcomes(assignments: list[Assignment], truth: Truth) -> Iterator[str]:
    for one in assignments:
        told = truth.outcomes.get(one.id)
        if not one.ended:
            yield f"{one.id} never ended"
        elif told is None and (one.receipt_sha256 or one.outcome not in _CONCLUDED):
            yield f"{one.id} is {one.outcome}, and its computer told nothing"
        elif told is not None and (told != one.outcome or not one.receipt_sha256):
            yield f"{one.id} is {one.outcome}, and the truth is {told}"


def _counts(tables: Tables, assignments: list[Assignment], truth: Truth) -> Iterator[str]:
    for rollout_id in tables.get("rollouts", {}):
        mine = [one for one in assignments if one.rollout_id == rollout_id]
        true = collections.Counter(truth.outcomes.get(one.id, one.outcome) for one in mine)
        counts = count(shares(mine))
        for outcome in Outcome:
            if getattr(counts, outcome.lower()) != true[outcome]:
                yield f"{rollout_id} counts {getattr(counts, outcome.lower())} {outcome}, the truth is {true[outcome]}"


def _installed(tables: Tables, assignments: list[Assignment], computers: Sequence[SimulatedComputer]) -> Iterator[str]:
    for computer in computers:
        known = tables["computers"][computer.id].installed
        if known != computer.disk.installed:
            yield f"{computer.name} has {computer.disk.installed} installed, the record says {known}"
        for one in assignments:
            receipt = computer.disk.issued.get(one.receipt_sha256)
            if one.computer_id == computer.id and one.receipt_sha256 and receipt is None:
                yield f"{one.id} names a receipt that {computer.name} never made"


def _log(tables: Tables, assignments: list[Assignment]) -> Iterator[str]:
    rows: list[LogRow] = [tables["update_log"][index] for index in range(len(tables.get("update_log", {})))]
    previous = FIRST_PREVIOUS
    for index, row in enumerate(rows):
        previous = link(previous, row.canonical_json.encode())
        if row.index != index or row.entry_sha256 != previous.hex():
            yield f"entry {index} of the log is out of the chain"
    said: dict[str, list[LogRow]] = collections.defaultdict(list)
    for row in rows:
        if row.kind in {"ASSIGNMENT_ENDED", "OUTCOME_CORRECTED"}:
            said[json.loads(row.details)["assignment"]].append(row)
    for one in assignments:
        entries = said[one.id]
        if [entry.kind for entry in entries].count("ASSIGNMENT_ENDED") != 1:
            yield f"{one.id} has {len(entries)} ends in the log"
        elif (entries[-1].corrected_outcome or entries[-1].outcome) != one.outcome:
            yield f"the log's last word on {one.id} is not {one.outcome}"
