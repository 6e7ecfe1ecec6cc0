"""Between messages and the wire: conversion, and no decision.

Proto types stop here. Unknown enum values and fields of a newer controller are survived; times without value are None.
"""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from sopwith.v1 import agent_service_pb2 as pb
from sopwith.v1 import computer_pb2
from sopwith_agent.domain import messages as m
from sopwith_agent.domain.readiness import Readiness
from sopwith_formats.units import parse_time


def to_wire(message: m.Outgoing) -> pb.AgentMessage:
    """Return the wire's form of what the agent says."""
    if isinstance(message, m.OutboxMessage):
        return _delivery(message)
    if isinstance(message, m.Hello):
        return pb.AgentMessage(hello=_hello(message))
    if isinstance(message, m.Heartbeat | m.GoingToSleep | m.SopHeld):
        return _sign_of_life(message)
    if isinstance(message, m.ReadinessMeasured):
        report = pb.ReadinessReport(readiness=_readiness(message.readiness), request_id=message.request_id)
        return pb.AgentMessage(readiness_report=report)
    facts = pb.FactsChanged(facts=_struct(message.facts), installed=message.installed)
    return pb.AgentMessage(facts_changed=facts)


def _sign_of_life(message: m.Heartbeat | m.GoingToSleep | m.SopHeld) -> pb.AgentMessage:
    if isinstance(message, m.Heartbeat):
        return pb.AgentMessage(heartbeat=pb.Heartbeat(sent_time=_timestamp(message.sent_time)))
    if isinstance(message, m.GoingToSleep):
        return pb.AgentMessage(going_to_sleep=pb.GoingToSleep())
    held = pb.SopHeld(id=message.id, revision=message.revision, policy_sha256=message.policy_sha256)
    return pb.AgentMessage(sop_held=held)


def from_wire(message: pb.ControllerMessage) -> m.Incoming:
    """Return what the controller says; what this agent does not know yet is `Unknown`."""
    kind = message.WhichOneof("content")
    reader = _READERS.get(str(kind))
    return reader(getattr(message, str(kind))) if reader else m.Unknown()


def _hello(hello: m.Hello) -> pb.Hello:
    return pb.Hello(
        version=hello.version,
        process_nonce=hello.process_nonce,
        boot_id=hello.boot_id,
        facts=_struct(hello.facts),
        receipt_key_pem=hello.receipt_key_pem,
        journal=[pb.JournalSummary(assignment_id=key, state=state) for key, state in hello.journal],
        installed=hello.installed,
        first_unacknowledged=hello.first_unacknowledged,
        source_root_sha256=hello.source_root_sha256,
        checkpoint=hello.checkpoint,
        sent_time=_timestamp(hello.sent_time),
        newest_receipt=pb.ReceiptPlace(number=hello.newest_receipt[0], payload_sha256=hello.newest_receipt[1]),
    )


def _delivery(message: m.OutboxMessage) -> pb.AgentMessage:
    body = message.body
    if message.kind == "progress":
        return pb.AgentMessage(sequence=message.sequence, progress=_progress(body))
    if message.kind in {"receipt", "receipt_again"}:
        receipt = pb.Receipt(payload=str(body["payload"]).encode(), signature=base64.b64decode(body["signature"]))
        if message.kind == "receipt_again":
            return pb.AgentMessage(receipt_again=receipt)
        return pb.AgentMessage(sequence=message.sequence, receipt=receipt)
    if message.kind == "source_designated":
        return pb.AgentMessage(sequence=message.sequence, source_designated=pb.SourceDesignated(**body))
    if message.kind in {"deferral", "feedback"}:
        return _of_people(message)
    return pb.AgentMessage(sequence=message.sequence, heartbeat=pb.Heartbeat())  # a number that lost its message


def _of_people(message: m.OutboxMessage) -> pb.AgentMessage:
    body = message.body
    if message.kind == "deferral":
        return pb.AgentMessage(sequence=message.sequence, deferral=_deferral(body))
    given = _timestamp(parse_time(body["given_time"]))
    said = pb.Feedback(text=body["text"], given_time=given, assignment_id=body["assignment_id"])
    return pb.AgentMessage(sequence=message.sequence, feedback=said)


def _deferral(body: m.Body) -> pb.Deferral:
    until = parse_time(body["until_time"]) if body["until_time"] else None
    return pb.Deferral(
        assignment_id=body["assignment_id"],
        deferrals=body["deferrals"],
        deferrals_max=body["deferrals_max"],
        until_time=_timestamp(until) if until else None,
        purpose=body["purpose"],
    )


def _progress(body: m.Body) -> pb.Progress:
    return pb.Progress(
        assignment_id=body["assignment_id"],
        state=body["state"],
        percent=body["percent"],
        symptom=body["symptom"],
        detail=body["detail"],
        attempts=body["attempts"],
        entered_time=_timestamp(parse_time(body["entered_time"])),
        version_before=body["version_before"],
        reasons=[computer_pb2.Reason(**reason) for reason in body.get("reasons", [])],
        next_try_time=_timestamp(parse_time(body["next_try_time"])) if body.get("next_try_time") else None,
        reboot=_reboot_wish(body["reboot"]) if body.get("reboot") else None,
    )


def _reboot_wish(wish: m.Body) -> pb.RebootWish:
    return pb.RebootWish(
        wanted=wish["wanted"],
        forced=wish["forced"],
        asked_time=_timestamp(parse_time(wish["asked_time"])),
        deferrals=wish["deferrals"],
    )


def _readiness(readiness: Readiness) -> computer_pb2.Readiness:
    return computer_pb2.Readiness(
        verdict=computer_pb2.Verdict.Value(f"VERDICT_{readiness.verdict}"),
        reasons=[
            computer_pb2.Reason(code=reason.code, message=reason.message, remedy=reason.remedy)
            for reason in readiness.reasons
        ],
        checks=[
            computer_pb2.Check(
                name=check.name,
                result=computer_pb2.CheckResult.Value(f"CHECK_RESULT_{check.result.value}"),
                code=check.code,
                measured=check.measured,
                required=check.required,
                message=check.message,
                remedy=check.remedy,
            )
            for check in readiness.checks
        ],
        measured_time=_timestamp(readiness.measured_time),
    )


def _welcome(welcome: pb.Welcome) -> m.Welcome:
    return m.Welcome(
        computer_id=welcome.computer_id,
        name=welcome.name,
        heartbeat_seconds=welcome.heartbeat_seconds,
        acknowledged_sequence=welcome.acknowledged_sequence,
        sop=_sop(welcome.sop) if welcome.HasField("sop") else None,
        controller_time=_time(welcome.controller_time) if welcome.HasField("controller_time") else None,
        version=welcome.version,
        frozen=welcome.frozen,
        newest_receipt=(
            (welcome.newest_receipt.number, welcome.newest_receipt.payload_sha256)
            if welcome.HasField("newest_receipt")
            else None
        ),
        labels=dict(welcome.labels),
    )


def _sop(sop: pb.SopUpdate) -> m.SopInForce:
    return m.SopInForce(sop.id, sop.revision, sop.policy_sha256, sop.agent_policy_json)


def _struct(values: dict[str, Any]) -> Struct:
    struct = Struct()
    struct.update(values)
    return struct


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time.astimezone(UTC))
    return timestamp


def _time(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


def _lease(lease: pb.LeaseRenewal) -> m.LeaseRenewed:
    until = _time(lease.start_until_time) if lease.HasField("start_until_time") else None
    return m.LeaseRenewed(lease.assignment_id, until, lease.reason, bool(lease.despite_freeze))


def _reboot_lease(lease: pb.RebootLease) -> m.RebootLeased:
    until = _time(lease.reboot_until_time) if lease.HasField("reboot_until_time") else None
    return m.RebootLeased(lease.assignment_id, until, lease.reason, bool(lease.despite_freeze))


def _checkpoint(told: pb.CheckpointUpdate) -> m.CheckpointTold:
    shown = told.recovery if told.HasField("recovery") else None
    recovery = m.RecoveryShown(shown.index, shown.entry_json, tuple(shown.inclusion_proof)) if shown else None
    return m.CheckpointTold(told.checkpoint, tuple(told.consistency_proof), recovery)


_READERS: dict[str, Callable[[Any], m.Incoming]] = {
    "welcome": _welcome,
    "warrant": lambda warrant: m.WarrantOffered(warrant.payload, warrant.signature),
    "lease_renewal": _lease,
    "reboot_lease": _reboot_lease,
    "withdraw": lambda withdraw: m.Withdrawn(withdraw.assignment_id, withdraw.reason),
    "freeze": lambda freeze: m.FreezeSet(freeze.active, freeze.reason),
    "measure_request": lambda request: m.MeasureAsked(request.request_id),
    "ack": lambda ack: m.Acknowledged(ack.sequence),
    "sop_update": _sop,
    "source_designation": lambda named: m.SourceNamed(named.root_json, named.metadata_url, named.files_url),
    "trust_bundle_update": lambda trust: m.TrustChanged(trust.trust_bundle_pem, trust.warrant_keys_pem, trust.log_key),
    "checkpoint_update": _checkpoint,
    "labels_update": lambda told: m.LabelsTold(dict(told.labels)),
    "drain": lambda drain: m.Draining(drain.reconnect_after_seconds),
}
