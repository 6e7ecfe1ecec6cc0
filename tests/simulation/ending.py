"""The last comparison: when everything is over and everybody told their truth, the records have to say the same.

Decides which differences break a promise; it looks at the tables and the truth only.
"""

import collections
import hashlib
import json
from collections.abc import Iterator, Sequence

from sopwith_controller.domain.entities import ComputerState
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout import ENDED_STATES
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.waves import count
from sopwith_formats import merkle
from sopwith_formats.log_entry import FIRST_PREVIOUS, LogRow, link
from sopwith_formats.vocabulary import Outcome
from tests.controller.domain.builders import shares
from tests.simulation.computer import SimulatedComputer
from tests.simulation.database import Tables
from tests.simulation.promises import Promise
from tests.simulation.truth import Truth

_CONCLUDED = {Outcome.CANCELLED, Outcome.UNREACHABLE, Outcome.NOT_READY, Outcome.NOT_STARTED}
"""Outcomes that the controller may write down without a receipt."""
_ENDS = {LogKind.ASSIGNMENT_ENDED, LogKind.OUTCOME_CORRECTED}
Breach = tuple[Promise, str]


def check_everything(
    tables: Tables, truth: Truth, computers: Sequence[SimulatedComputer], *, clock_was_set: bool
) -> Iterator[Breach]:
    """Yield every difference; computers that were retired told nothing more, and are asked for nothing.

    Where the clock was set, nothing may have been started: a plan that fitted its window may not fit the next one.
    """
    gone = {one.id for one in tables["computers"].values() if one.state is ComputerState.RETIRED}
    assignments: list[Assignment] = list(tables.get("assignments", {}).values())
    if not assignments and not clock_was_set:
        yield Promise.TERMINAL, "no rollout was started"
    for rollout in tables.get("rollouts", {}).values():
        if rollout.started_time is not None and rollout.state not in ENDED_STATES:
            yield Promise.TERMINAL, f"{rollout.id} is {rollout.state} at the end"
    yield from _outcomes([one for one in assignments if one.computer_id not in gone], truth)
    yield from _counts(tables, assignments, truth, gone)
    yield from _installed(tables, assignments, [one for one in computers if one.id not in gone])
    yield from _log(tables, assignments, truth)


def _outcomes(assignments: list[Assignment], truth: Truth) -> Iterator[Breach]:
    for one in assignments:
        told = truth.outcomes.get((one.id, one.generation))
        if not one.ended:
            yield Promise.TERMINAL, f"{one.id} never ended"
        elif told is None and (one.receipt_sha256 or one.outcome not in _CONCLUDED):
            yield Promise.COUNTS, f"{one.id} is {one.outcome}, and its computer told nothing"
        elif told is not None and (told != one.outcome or not one.receipt_sha256):
            yield Promise.COUNTS, f"{one.id} is {one.outcome}, and the truth is {told}"


def _counts(tables: Tables, assignments: list[Assignment], truth: Truth, gone: set[str]) -> Iterator[Breach]:
    of_rollout: dict[str, list[Assignment]] = collections.defaultdict(list)
    for one in assignments:
        if not one.replaced:
            of_rollout[one.rollout_id].append(one)
    for rollout_id in tables.get("rollouts", {}):
        mine = of_rollout[rollout_id]
        true = collections.Counter(
            one.outcome if one.computer_id in gone else truth.outcomes.get((one.id, one.generation), one.outcome)
            for one in mine
        )
        counts = count(shares(mine))
        for outcome in Outcome:
            said = getattr(counts, outcome.lower())
            if said != true[outcome]:
                yield Promise.COUNTS, f"{rollout_id} counts {said} {outcome}, the truth is {true[outcome]}"


def _installed(
    tables: Tables, assignments: list[Assignment], computers: Sequence[SimulatedComputer]
) -> Iterator[Breach]:
    issued = {computer.id: computer.disk.issued for computer in computers}
    for computer in computers:
        known = tables["computers"][computer.id].installed
        if known != computer.disk.installed:
            text = f"{computer.name} has {computer.disk.installed} installed, the record says {known}"
            yield Promise.INSTALLED, text
    for one in assignments:
        receipts = issued.get(one.computer_id)
        if one.receipt_sha256 and receipts is not None:
            receipt = receipts.get(one.receipt_sha256)
            if receipt is None or (receipt.assignment_id, receipt.outcome) != (one.id, one.outcome):
                yield Promise.RECEIPTS, f"{one.id} names a receipt that {one.computer} never made for it"


def _log(tables: Tables, assignments: list[Assignment], truth: Truth) -> Iterator[Breach]:
    rows: list[LogRow] = list(tables.get("update_log", {}).values())
    yield from _chain(tables, rows)
    said: dict[str, list[tuple[int, LogRow]]] = collections.defaultdict(list)
    for row in rows:
        if row.kind in _ENDS:
            details = json.loads(row.details)
            said[details["assignment"]].append((details.get("generation", 1), row))
    for one in assignments:
        mine = [row for generation, row in said[one.id] if generation == one.generation]
        ends = [row for row in mine if row.kind == LogKind.ASSIGNMENT_ENDED]
        if len(ends) != 1:
            yield Promise.ONE_OUTCOME, f"{one.id} has {len(ends)} ends in the log"
        elif (mine[-1].corrected_outcome or mine[-1].outcome) != one.outcome:
            yield Promise.LOG, f"the log's last word on {one.id} is not {one.outcome}"
    yield from _receipts(assignments, truth, said)


def _chain(tables: Tables, rows: list[LogRow]) -> Iterator[Breach]:
    previous, frontier = FIRST_PREVIOUS, merkle.Frontier(0, [])
    for index, row in enumerate(rows):
        previous = link(previous, row.canonical_json.encode())
        if row.index != index or row.entry_sha256 != previous.hex():
            yield Promise.LOG, f"entry {index} of the log is out of the chain"
        for node in frontier.append(merkle.leaf_hash(row.canonical_json.encode())):
            if tables["update_log_nodes"].get((node.level, node.index)) != node:
                yield Promise.LOG, f"node {node.level}/{node.index} of the log's tree is not that of its entries"


def _receipts(
    assignments: list[Assignment], truth: Truth, said: dict[str, list[tuple[int, LogRow]]]
) -> Iterator[Breach]:
    """Compare the receipts that computers forgot with the log."""
    numbers = collections.Counter(row.receipt_sha256 for rows in said.values() for _, row in rows)
    named = {one.receipt_sha256: one for one in assignments}
    for computer_id, payload in truth.acknowledged:
        digest = hashlib.sha256(payload).hexdigest()
        one = named.get(digest)
        concluded = one is not None and any(
            row.outcome == one.outcome and not row.receipt_sha256 for _, row in said[one.id]
        )
        if one is None or numbers[digest] + concluded != 1:
            text = f"a receipt that {computer_id} forgot stands {numbers[digest]} times in the log"
            yield Promise.RECEIPTS, text
