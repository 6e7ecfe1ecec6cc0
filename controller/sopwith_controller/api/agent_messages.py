"""Messages of computers, from the wire into reports: converts and bounds, decides nothing.

A message that breaks its format becomes an `UnreadableReported`, so that it is recorded and acknowledged. The digest
is over the message without its sequence, in protobuf's deterministic writing: the same content has the same digest.
"""

import hashlib
from collections.abc import Callable

from sopwith.v1 import agent_service_pb2
from sopwith_controller.api.translate import from_readiness, from_reason, from_struct, from_timestamp
from sopwith_controller.domain.assignment import RebootWish
from sopwith_controller.domain.receipt_chain import Place
from sopwith_controller.services.agent_reports import (
    Arrival,
    Content,
    DeferralReported,
    FactsReported,
    FeedbackReported,
    JournalEntry,
    ProgressReported,
    ReadinessReported,
    ReceiptReported,
    Report,
    SleepReported,
    SourceReported,
    UnreadableReported,
)
from sopwith_formats.vocabulary import AssignmentState, Symptom

MESSAGE_SIZE_MAX_BYTES = 2**20
DETAIL_LENGTH_MAX = 1000
FEEDBACK_LENGTH_MAX = 2000
_STATES = frozenset(AssignmentState) - {AssignmentState.PENDING, AssignmentState.ENDED}
_PERCENT_MAX = 100
_PURPOSES = frozenset({"install", "reboot"})


def to_report(computer_id: str, message: agent_service_pb2.AgentMessage) -> Report | None:
    """Return the report of a message; None for one that carries nothing to record."""
    content = _content(message)
    if content is None:
        return None
    return Report(computer_id, message.sequence, _digest(message), content)


def to_arrival(computer_id: str, hello: agent_service_pb2.Hello) -> Arrival:
    """Return what a computer says when it comes."""
    return Arrival(
        computer_id=computer_id,
        version=hello.version,
        process_nonce=hello.process_nonce,
        boot_id=hello.boot_id,
        facts=from_struct(hello.facts),
        installed=dict(hello.installed),
        receipt_key_pem=hello.receipt_key_pem.decode("ascii", "replace"),
        journal=tuple(JournalEntry(entry.assignment_id, entry.state) for entry in hello.journal),
        first_unacknowledged=hello.first_unacknowledged,
        source_root_sha256=hello.source_root_sha256,
        newest_receipt=(
            Place(max(0, hello.newest_receipt.number), hello.newest_receipt.payload_sha256)
            if hello.HasField("newest_receipt")
            else None
        ),
    )


def _content(message: agent_service_pb2.AgentMessage) -> Content | None:
    if message.ByteSize() > MESSAGE_SIZE_MAX_BYTES:
        return UnreadableReported(f"is {message.ByteSize()} bytes long; at most {MESSAGE_SIZE_MAX_BYTES} are read")
    kind = message.WhichOneof("content")
    read = _READERS.get(kind or "")
    if read is not None:
        return read(message)
    if message.sequence:
        return UnreadableReported(f"carries {kind or 'nothing'} that this controller does not know")
    return None


def _receipt(message: agent_service_pb2.AgentMessage) -> Content:
    return ReceiptReported(message.receipt.payload, message.receipt.signature)


def _receipt_again(message: agent_service_pb2.AgentMessage) -> Content:
    return ReceiptReported(message.receipt_again.payload, message.receipt_again.signature)


def _readiness(message: agent_service_pb2.AgentMessage) -> Content:
    report = message.readiness_report
    return ReadinessReported(from_readiness(report.readiness), report.request_id)


def _facts(message: agent_service_pb2.AgentMessage) -> Content:
    return FactsReported(from_struct(message.facts_changed.facts), dict(message.facts_changed.installed))


def _source(message: agent_service_pb2.AgentMessage) -> Content:
    answer = message.source_designated
    return SourceReported(answer.root_sha256, answer.accepted, answer.reason[:DETAIL_LENGTH_MAX])


def _deferral(message: agent_service_pb2.AgentMessage) -> Content:
    word = message.deferral
    if word.purpose not in _PURPOSES or word.deferrals < 0:
        return UnreadableReported(f"puts off {word.purpose[:40]!r}, {word.deferrals} times")
    until = from_timestamp(word, "until_time")
    return DeferralReported(word.assignment_id, word.deferrals, word.deferrals_max, until, word.purpose)


def _feedback(message: agent_service_pb2.AgentMessage) -> Content:
    said = message.feedback
    text = "".join(character if character.isprintable() else " " for character in said.text).strip()
    if not text:
        return UnreadableReported("says nothing")
    return FeedbackReported(text[:FEEDBACK_LENGTH_MAX], from_timestamp(said, "given_time"), said.assignment_id)


def _progress(message: agent_service_pb2.AgentMessage) -> Content:
    progress = message.progress
    if progress.state not in _STATES:
        return UnreadableReported(f"names the unknown state {progress.state[:40]!r}")
    if progress.symptom and progress.symptom not in set(Symptom):
        return UnreadableReported(f"names the unknown symptom {progress.symptom[:40]!r}")
    return ProgressReported(
        assignment_id=progress.assignment_id,
        state=AssignmentState(progress.state),
        percent=max(0, min(_PERCENT_MAX, progress.percent)),
        symptom=progress.symptom,
        detail=progress.detail[:DETAIL_LENGTH_MAX],
        attempts=progress.attempts,
        version_before=progress.version_before,
        reasons=tuple(from_reason(reason) for reason in progress.reasons),
        next_try_time=from_timestamp(progress, "next_try_time"),
        reboot=_reboot_wish(progress.reboot) if progress.HasField("reboot") else None,
    )


def _reboot_wish(wish: agent_service_pb2.RebootWish) -> RebootWish:
    return RebootWish(from_timestamp(wish, "asked_time"), wanted=wish.wanted, forced=wish.forced)


_READERS: dict[str, Callable[[agent_service_pb2.AgentMessage], Content]] = {
    "progress": _progress,
    "receipt": _receipt,
    "receipt_again": _receipt_again,
    "readiness_report": _readiness,
    "facts_changed": _facts,
    "source_designated": _source,
    "deferral": _deferral,
    "feedback": _feedback,
    "going_to_sleep": lambda _message: SleepReported(),
}


def _digest(message: agent_service_pb2.AgentMessage) -> str:
    bare = agent_service_pb2.AgentMessage()
    bare.CopyFrom(message)
    bare.sequence = 0
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()
