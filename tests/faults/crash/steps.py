"""The steps that the agent is killed in, and for each what may be afterwards: the model that the harness asks.

A step says how the disk looks before it, what is done, and what must hold after a death and a new start. `promises` are
the words that the dead process had said to the outside: what was promised must be kept, whatever the disk forgot.
Every failed `assert` is a violation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.record import Record
from sopwith_certs.renewal import load_key
from sopwith_certs.signing import public_key_pem
from sopwith_formats.receipt import ReceiptKind
from sopwith_formats.vocabulary import AssignmentState
from tests.faults.crash.computer import Computer
from tests.faults.crash.killer import Promise
from tests.faults.crash.world import GOOD, SICK, World

Promises = tuple[str, ...]
_ORDER = [state.value for state in AssignmentState]


@dataclass(frozen=True)
class Step:
    """One row of the harness."""

    name: str
    lay: Callable[[World], None]
    act: Callable[[World, Promise], None]
    judge: Callable[[World, Promises], None]


class CutOffError(BaseException):
    """The lead-up of a step ends in the middle of an act."""


def _update(name: str, version: str, begin: AssignmentState, end: AssignmentState | None) -> Step:
    def act(world: World, promise: Promise) -> None:
        computer = world.computer()
        computer.outbox.changed = lambda: promise(f"message {_newest(computer)}")
        computer.work(end, promise)

    return Step(
        name, lambda world: world.lay(version, begin), act, lambda world, kept: _judge_update(world, kept, version)
    )


def _judge_update(world: World, promises: Promises, version: str) -> None:
    """OLD or NEW at once; then one outcome that is true, one commit at most, gap-free messages, nothing left."""
    assert world.running() in {"1", version, *world.passing}
    computer = world.computer()
    _check_promises(computer, promises)
    computer.offer(world.manifests[version], "a-2")  # as the controller does after each Hello
    computer.work()
    record = _record(computer)
    outcome = record.outcome
    wanted = "SUCCEEDED" if version == GOOD else "ROLLED_BACK"
    cut_off = outcome == "ROLLED_BACK" and "cut off after its commit point" in record.detail
    given_up = record.symptom == "AGENT_CRASH_LOOP" and record.attempts == record.warrant.attempts_max
    assert outcome == wanted or cut_off or (outcome == "FAILED" and given_up), f"{outcome}: {record.detail}"
    assert world.running() == (version if outcome == "SUCCEEDED" else "1") == record.version_after
    assert record.commits == (0 if outcome == "FAILED" else 1), f"committed {record.commits} times"
    *started, receipt = [record for record in computer.signed_records() if record.assignment_id == "a-2"]
    assert all(record.kind == ReceiptKind.STARTED for record in started)
    assert started or not record.commits, "the start was not signed before the computer was touched"
    assert (receipt.outcome, receipt.version_after) == (outcome, record.version_after)
    assert receipt.commits == record.commits
    _check_messages(computer)
    _check_nothing_left(world)
    if outcome != "FAILED":  # an install that was given up leaves its half-laid folder to the next one
        assert world.left_behind() == []


def _check_promises(computer: Computer, promises: Promises) -> None:
    states = [promise for promise in promises if promise in _ORDER]
    if states:
        record = _record(computer)
        assert record.state.value == states[-1] or _ORDER.index(record.state.value) > _ORDER.index(states[-1]), (
            f"{states[-1]} was entered, {record.state.value} is on the disk"
        )
    messages = [int(promise.removeprefix("message ")) for promise in promises if promise.startswith("message ")]
    if messages:
        assert _newest(computer) >= max(messages), f"message {max(messages)} is lost"


def _check_messages(computer: Computer) -> None:
    held = computer.outbox.after(0, 1000)
    first = computer.outbox.first_unacknowledged
    assert [message.sequence for message in held] == list(range(first, first + len(held)))
    assert all(message.kind for message in held), "a message cannot be read"


def _check_nothing_left(world: World) -> None:
    state = world.folder / "state"
    passing = [path for path in state.rglob("*") if path.name.endswith((".tmp", ".broken")) and path.is_file()]
    assert not passing, f"left behind: {passing}"
    assert not list((state / "staging").iterdir()), "staged files stay behind"


def _record(computer: Computer) -> Record:
    record = computer.journal.load("a-2")
    assert record is not None, "the assignment is forgotten"
    return record


def _newest(computer: Computer) -> int:
    return max((message.sequence for message in computer.outbox.after(0, 1000)), default=0)


def _accept(world: World, promise: Promise) -> None:
    computer = world.computer()
    computer.offer(world.manifests[GOOD], "a-2")
    computer.work(AssignmentState.PREPARING, promise)


def _lay_for_refresh(world: World) -> None:
    world.lay()
    world.serve(world.newer)


def _refresh(world: World, promise: Promise) -> None:
    world.computer().source.refresh()
    promise("refreshed")


def _judge_refresh(world: World, promises: Promises) -> None:
    """What was accepted stays; the older repository is refused from then on; the next refresh ends at the newest."""
    newest = world.newer["/metadata/timestamp.json"]
    folder = world.folder / "state/source"
    kept = any(
        path.exists() and path.read_bytes() == newest
        for path in (folder / "timestamp.json", folder / "floor/timestamp")
    )
    assert kept or "refreshed" not in promises, "the refresh succeeded, and its metadata is lost"
    if kept:
        world.serve(world.older)
        with pytest.raises(StepError) as refused:
            world.computer().source.refresh()
        assert refused.value.symptom == "METADATA_ROLLBACK"
    world.serve(world.newer)
    world.computer().source.refresh()
    assert (folder / "timestamp.json").read_bytes() == newest
    assert (folder / "floor/timestamp").read_bytes() == newest


def _designate(world: World, promise: Promise) -> None:
    world.designate(world.computer())
    promise("designated")


def _judge_designate(world: World, promises: Promises) -> None:
    computer = world.computer()
    assert computer.source.root_sha256() or "designated" not in promises, "the designated source is forgotten"
    world.designate(computer)
    computer = world.computer()
    computer.source.refresh()
    assert computer.source.metadata_url()


def _lay_enrolled(world: World) -> None:
    world.enrol()


def _lay_nothing(world: World) -> None:
    (world.folder / "state").mkdir()


def _enrol(world: World, promise: Promise) -> None:
    world.enrol()
    promise("key " + world.identity().receipt_key_pem().hex())


def _judge_enrol(world: World, promises: Promises) -> None:
    """Enrolled wholly or not at all; a second try ends whole and with the first one's key."""
    identity = world.identity()
    assert identity.enrolled or not promises, "the enrolment is forgotten"
    key = identity.enrolling_key()
    if identity.enrolled:
        identity.pair()
        identity.receipt_key_pem()
    for promise in promises:
        assert promise == "key " + identity.receipt_key_pem().hex()
    world.enrol()
    enrolled = identity.pair().key
    assert key is None or public_key_pem(key.public_key()) == public_key_pem(enrolled.public_key())
    assert identity.computer_id() == "c-1"


def _renew(world: World, promise: Promise) -> None:
    identity = world.identity()
    certificate = world.certificate(load_key(world.folder / "state/identity"))
    identity.replace_certificate(certificate)
    promise("renewed " + certificate.hex())


def _judge_renew(world: World, promises: Promises) -> None:
    """Key and certificate belong together at every moment, the key is the old one, and renewing goes on."""
    computer = world.computer()
    pair = computer.identity.pair()
    for promise in promises:
        assert promise == "renewed " + pair.certificate_pem.hex(), "the new certificate is lost"
    key = public_key_pem(pair.key.public_key())
    certificate = world.certificate(pair.key)
    computer.identity.replace_certificate(certificate)
    assert computer.identity.pair().certificate_pem == certificate
    assert public_key_pem(computer.identity.pair().key.public_key()) == key
    assert len(list((world.folder / "state/identity").glob("pair-*"))) == 2


def _lay_unreported(world: World) -> None:
    """An update that has its outcome in the journal, and no receipt in the outbox."""
    world.lay(GOOD, AssignmentState.CONFIRMING)
    computer = world.computer()

    def cut_off(_receipt: object) -> None:
        raise CutOffError

    computer.outbox.ended = cut_off  # type: ignore[assignment, method-assign]
    try:
        computer.work()
    except CutOffError:
        return
    raise AssertionError("the outcome was never reported")


def _lay_ended(world: World) -> None:
    world.lay(GOOD, AssignmentState.CONFIRMING)
    world.computer().work()


def _acknowledge(world: World, promise: Promise) -> None:
    computer = world.computer()
    promise(f"acknowledged {computer.outbox.first_unacknowledged - 1}")
    for message in computer.outbox.after(0, 1000):
        computer.outbox.acknowledge(message.sequence)
        promise(f"acknowledged {message.sequence}")


def _judge_acknowledge(world: World, promises: Promises) -> None:
    """What the controller has is not asked for again; what it has not is still held; receipts stay; numbers go on."""
    computer = world.computer()
    settled = max((int(promise.split()[1]) for promise in promises), default=0)
    first = computer.outbox.first_unacknowledged
    assert not promises or first in {0, settled + 1, settled + 2}, f"{settled} were acknowledged, {first} is held first"
    _check_messages(computer)
    ended = [record.assignment_id for record in computer.signed_records() if record.kind == ReceiptKind.ENDED]
    assert ended == ["a-1", "a-2"]
    before = _newest(computer) or settled
    assert computer.outbox.put("progress", {}) >= before + 1
    for message in computer.outbox.after(0, 1000):
        computer.outbox.acknowledge(message.sequence)
    assert computer.outbox.first_unacknowledged == 0


_S = AssignmentState

PACKAGE_STEPS: tuple[Step, ...] = (
    _update("install a package", GOOD, _S.INSTALLING, _S.CONFIRMING),
    _update("roll back a package", SICK, _S.ROLLING_BACK, None),
)
"""Steps of a world whose releases are packages."""

STEPS: tuple[Step, ...] = (
    Step("enrol", _lay_nothing, _enrol, _judge_enrol),
    Step("designate the source", _lay_enrolled, _designate, _judge_designate),
    Step("refresh", _lay_for_refresh, _refresh, _judge_refresh),
    Step("accept a warrant", lambda world: world.lay(), _accept, lambda w, p: _judge_update(w, p, GOOD)),
    _update("prepare", GOOD, _S.PREPARING, _S.DOWNLOADING),
    _update("download", GOOD, _S.DOWNLOADING, _S.STAGED),
    _update("stage and start", GOOD, _S.STAGED, _S.INSTALLING),
    _update("install and switch", GOOD, _S.INSTALLING, _S.CONFIRMING),
    _update("confirm", GOOD, _S.CONFIRMING, None),
    Step("report", _lay_unreported, lambda w, p: w.computer().work(None, p), lambda w, p: _judge_update(w, p, GOOD)),
    Step("acknowledge", _lay_ended, _acknowledge, _judge_acknowledge),
    _update("find it sick", SICK, _S.CONFIRMING, _S.ROLLING_BACK),
    _update("roll back", SICK, _S.ROLLING_BACK, None),
    Step("renew", _lay_enrolled, _renew, _judge_renew),
)
