"""What every outbox promises: no gap, no loss, no second number for one message, whenever the power fails."""

import base64
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from sopwith_agent.adapters import outbox as outbox_module
from sopwith_agent.adapters.outbox import FileOutbox
from sopwith_agent.domain.messages import OutboxMessage
from sopwith_certs.signing import new_key, sign, verify
from sopwith_formats.receipt import PREFIX, Receipt, read_receipt

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
KEY = new_key()


class PowerCutError(BaseException):
    """The process ends here."""


def receipt(assignment_id: str, generation: int = 1) -> Receipt:
    return Receipt(
        number=0,
        previous_sha256="",
        assignment_id=assignment_id,
        generation=generation,
        rollout_id="r-1",
        computer_id="c-1",
        release="hello",
        version="2",
        manifest_sha256="0" * 64,
        warrant_sha256="1" * 64,
        sop_id="SU-SOP-001",
        sop_revision=1,
        policy_sha256="a" * 64,
        outcome="SUCCEEDED",
        symptom="",
        detail="",
        version_before="1",
        version_after="2",
        attempts=1,
        commits=1,
        started_time=NOW,
        ended_time=NOW,
        boot_id="b",
        boot_seconds=1,
        steps=(),
        utc_offset_seconds=0,
    )


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., FileOutbox]:
    def begin(now: datetime = NOW) -> FileOutbox:
        return FileOutbox(tmp_path / "outbox", lambda data: sign(KEY, data), lambda: now)

    return begin


def read(message: OutboxMessage) -> Receipt:
    return read_receipt(str(message.body["payload"]).encode())


def receipts(outbox: FileOutbox) -> list[Receipt]:
    return [read(message) for message in outbox.after(0, 1000) if message.kind == "receipt"]


def digest(receipt: Receipt) -> str:
    return hashlib.sha256(receipt.payload()).hexdigest()


def started(assignment_id: str, entered: datetime = NOW) -> Receipt:
    return replace(receipt(assignment_id), kind="STARTED", outcome="", ended_time=entered)


def test_sequences_count_from_one_without_gaps_over_restarts(start: Callable[..., FileOutbox]) -> None:
    numbers = []
    for _ in range(3):
        outbox = start()
        numbers += [outbox.put("progress", {"state": "PREPARING"}), outbox.put("progress", {"state": "STAGED"})]

    assert numbers == [1, 2, 3, 4, 5, 6]
    assert [message.sequence for message in start().after(0)] == numbers


def test_acknowledged_messages_go_and_their_numbers_are_never_used_again(start: Callable[..., FileOutbox]) -> None:
    outbox = start()
    for _ in range(3):
        outbox.put("progress", {})
    outbox.acknowledge(3)

    again = start()

    assert again.after(0) == []
    assert again.first_unacknowledged == 0
    assert again.put("progress", {}) == 4
    assert again.first_unacknowledged == 4


def test_acknowledgement_of_some_leaves_the_others(start: Callable[..., FileOutbox]) -> None:
    outbox = start()
    for _ in range(3):
        outbox.put("progress", {})

    outbox.acknowledge(2)
    outbox.acknowledge(1)

    assert [message.sequence for message in outbox.after(0)] == [3]


def test_receipts_are_numbered_chained_and_signed(start: Callable[..., FileOutbox]) -> None:
    start().ended(receipt("a-1"))
    outbox = start()
    outbox.ended(receipt("a-2"))

    first, second = receipts(outbox)
    assert (first.number, first.previous_sha256) == (1, "")
    assert (second.number, second.previous_sha256) == (2, hashlib.sha256(first.payload()).hexdigest())
    body = outbox.after(0)[0].body
    assert verify(KEY.public_key(), PREFIX + body["payload"].encode(), base64.b64decode(body["signature"]))


def test_receipt_of_one_assignment_is_kept_once(start: Callable[..., FileOutbox]) -> None:
    outbox = start()
    outbox.ended(receipt("a-1"))
    outbox.ended(receipt("a-2"))
    start().ended(receipt("a-1"))
    outbox.acknowledge(2)
    outbox.ended(receipt("a-1"))
    outbox.ended(receipt("a-1", generation=2))

    assert [(found.assignment_id, found.generation, found.number) for found in receipts(outbox)] == [("a-1", 2, 3)]


def test_acknowledged_receipts_stay_thirty_days_and_the_newest_for_ever(
    start: Callable[..., FileOutbox], tmp_path: Path
) -> None:
    outbox = start()
    outbox.ended(receipt("a-1"))
    outbox.ended(receipt("a-2"))
    outbox.acknowledge(2)
    kept = tmp_path / "outbox" / "receipts"
    before = sorted(path.name for path in kept.glob("*.json"))

    later = start(datetime.now(UTC) + timedelta(days=31))
    later.put("progress", {})
    later.acknowledge(3)

    assert len(before) == 2
    assert sorted(path.name for path in kept.glob("*.json")) == before[1:]
    later.ended(receipt("a-3"))
    assert receipts(later)[0].number == 3


def test_acknowledged_receipt_can_be_sent_once_more(start: Callable[..., FileOutbox]) -> None:
    outbox = start()
    outbox.ended(receipt("a-1"))
    sent = outbox.after(0)[0]
    outbox.acknowledge(1)

    assert outbox.repeat_receipt("a-1", 1)
    assert not outbox.repeat_receipt("a-9", 1)

    (again,) = outbox.after(0)
    assert (again.sequence, again.body) == (2, sent.body)


def test_started_record_stands_in_the_same_chain_once_for_each_start(start: Callable[..., FileOutbox]) -> None:
    outbox = start()
    outbox.started(started("a-1"))
    start().started(started("a-1"))
    outbox = start()
    outbox.started(started("a-1", NOW + timedelta(hours=1)))
    outbox.ended(receipt("a-1"))

    chain = receipts(outbox)
    assert [(found.number, found.kind, found.outcome) for found in chain] == [
        (1, "STARTED", ""),
        (2, "STARTED", ""),
        (3, "ENDED", "SUCCEEDED"),
    ]
    assert [found.previous_sha256 for found in chain] == ["", digest(chain[0]), digest(chain[1])]


def test_controller_that_lacks_acknowledged_records_is_given_exactly_those_again_in_order(
    start: Callable[..., FileOutbox],
) -> None:
    outbox = start()
    for name in ("a-1", "a-2", "a-3"):
        outbox.ended(receipt(name))
    sent = outbox.after(0)
    outbox.acknowledge(3)
    outbox.ended(receipt("a-4"))

    again = start()

    assert again.lacking(again.newest_receipt) == again.lacking(None) == []
    assert again.lacking((1, digest(read(sent[0])))) == [2, 3]
    assert [again.again(number) for number in (2, 3)] == [
        replace(message, sequence=0, kind="receipt_again") for message in sent[1:]
    ]
    assert [message.sequence for message in again.after(0)] == [4]


def test_folder_older_than_the_controllers_records_goes_on_behind_them_and_makes_no_fork(
    start: Callable[..., FileOutbox],
) -> None:
    start().ended(receipt("a-1"))

    assert start().lacking((7, "c" * 64)) == []
    outbox = start()
    outbox.ended(receipt("a-2"))

    assert [(found.number, found.previous_sha256) for found in receipts(outbox)] == [(1, ""), (8, "c" * 64)]


@pytest.mark.parametrize("at", range(1, 7))
@pytest.mark.parametrize("function", ["durable_replace", "durable_move", "durable_remove"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_cut_at_any_change_of_the_disk_loses_nothing_and_counts_on(
    start: Callable[..., FileOutbox],
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    at: int,
    *,
    before: bool,
) -> None:
    original, calls = getattr(outbox_module, function), [0]

    def cut(*arguments: object) -> None:
        calls[0] += 1
        if calls[0] == at and before:
            raise PowerCutError
        original(*arguments)
        if calls[0] == at:
            raise PowerCutError

    def script(outbox: FileOutbox) -> None:
        outbox.put("progress", {"state": "PREPARING"})
        outbox.ended(receipt("a-1"))
        outbox.acknowledge(2)
        outbox.put("progress", {"state": "PREPARING"})
        outbox.ended(receipt("a-2"))
        outbox.acknowledge(4)

    monkeypatch.setattr(outbox_module, function, cut)
    with contextlib.suppress(PowerCutError):
        script(start())
    monkeypatch.setattr(outbox_module, function, original)

    outbox = start()
    outbox.ended(receipt("a-1"))
    outbox.ended(receipt("a-2"))
    sequences = [message.sequence for message in outbox.after(0, 100)]
    first = outbox.first_unacknowledged or sequences[0] if sequences else 0
    assert sequences == list(range(first, first + len(sequences)))
    acknowledged = [outbox.again(number) for number in outbox.lacking((0, ""))]
    chain = sorted((read(message) for message in acknowledged if message), key=lambda found: found.number)
    chain += [found for found in receipts(outbox) if found.number > len(chain)]
    assert [(found.number, found.assignment_id) for found in chain] == [(1, "a-1"), (2, "a-2")]
    assert chain[1].previous_sha256 == digest(chain[0])
    assert outbox.newest_receipt == (2, digest(chain[1]))


def test_message_that_cannot_be_read_leaves_its_number_and_holds_nothing_back(
    start: Callable[..., FileOutbox], tmp_path: Path
) -> None:
    outbox = start()
    for _ in range(3):
        outbox.put("progress", {})
    (tmp_path / "outbox" / f"{2:012}.json").write_bytes(b"\x00")

    assert [(message.sequence, message.kind) for message in start().after(0)] == [
        (1, "progress"),
        (2, ""),
        (3, "progress"),
    ]


def test_folder_older_than_what_the_controller_knows_gives_new_numbers(start: Callable[..., FileOutbox]) -> None:
    outbox = start()
    outbox.put("progress", {"state": "STAGED"})
    outbox.ended(receipt("a-1"))

    outbox.acknowledge(10)

    assert [(message.sequence, message.kind) for message in outbox.after(0)] == [(11, "progress"), (12, "receipt")]


def test_repetition_is_equal_to_what_was_sent(start: Callable[..., FileOutbox]) -> None:
    outbox = start()
    outbox.put("progress", {"state": "STAGED", "detail": "é\n"})
    outbox.ended(receipt("a-1"))

    assert start().after(0) == outbox.after(0)


def test_whoever_delivers_is_told_of_new_messages(start: Callable[..., FileOutbox]) -> None:
    outbox, told = start(), []
    outbox.changed = lambda: told.append("changed")
    outbox.passing = lambda message: told.append(message.kind)

    outbox.put("progress", {})
    outbox.ended(replace(receipt("a-1"), outcome="FAILED"))

    assert told == ["changed", "changed"]


def test_day_without_a_controller_is_delivered_in_order_and_each_exactly_once(start: Callable[..., FileOutbox]) -> None:
    for hour in range(24):
        outbox = start(NOW + timedelta(hours=hour))  # the computer restarts every hour, and nobody listens
        outbox.started(started(f"a-{hour}", NOW + timedelta(hours=hour)))
        outbox.put("progress", {"hour": hour})
        outbox.ended(receipt(f"a-{hour}"))
    recorded: dict[int, OutboxMessage] = {}
    cuts = iter([1, 5, 0, 17, 30, 3])

    while messages := start(NOW + timedelta(hours=25)).after(0, 1000):
        outbox = start(NOW + timedelta(hours=25))
        for message in messages[: next(cuts, 1000)]:  # the stream breaks after so many, acknowledged or not
            assert recorded.setdefault(message.sequence, message) == message
        durable = max(recorded, default=0)
        outbox.acknowledge(durable - durable % 2)  # the last acknowledgement is lost on the way

    assert sorted(recorded) == list(range(1, 73))
    assert [message.body["hour"] for message in recorded.values() if message.kind == "progress"] == list(range(24))
    chain = [read(message) for message in recorded.values() if message.kind == "receipt"]
    assert [record.number for record in chain] == list(range(1, 49))
    assert all(later.previous_sha256 == digest(earlier) for earlier, later in pairwise(chain))
    assert start(NOW + timedelta(hours=26)).lacking((0, "")) == list(range(1, 49))
