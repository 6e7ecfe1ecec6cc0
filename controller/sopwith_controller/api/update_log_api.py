"""UpdateLogService: the wire's side of `services.update_log`. Converts and calls; decides nothing.

Rows are converted as they lie in the store: what somebody falsified so that it is no time, number or text any more
travels as absent or escaped, and never stops the reading of the others.
"""
# ruff: noqa: N802  gRPC dictates the names of calls

import base64
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf import timestamp_pb2

from sopwith.v1 import update_log_pb2, update_log_service_pb2_grpc
from sopwith.v1 import update_log_service_pb2 as wire
from sopwith_controller.api.interceptors import caller
from sopwith_controller.services.update_log import UpdateLogs
from sopwith_formats.errors import FormatError
from sopwith_formats.log_entry import LogRow
from sopwith_formats.units import parse_time

_TEXTS = (
    *("date", "local_time", "kind", "computer", "release", "version_before", "version_after", "outcome", "symptom"),
    *("operator", "rollout", "ticket", "sop_id", "receipt_sha256", "corrected_outcome", "message", "entry_sha256"),
)
_INT32_MAX = 2**31 - 1


class UpdateLogApi(update_log_service_pb2_grpc.UpdateLogServiceServicer):
    """Serves the update log's calls."""

    def __init__(self, logs: UpdateLogs) -> None:
        self._logs = logs

    async def ListEntries(self, request: wire.ListEntriesRequest, context: Any) -> wire.ListEntriesResponse:
        """Read entries in order."""
        rows, following = await self._logs.list(
            caller(context),
            start=request.start,
            limit=request.limit,
            rollout=request.rollout,
            computer=request.computer,
        )
        return wire.ListEntriesResponse(entries=[to_entry(row) for row in rows], next_start=following)

    async def FollowEntries(
        self, request: wire.FollowEntriesRequest, context: Any
    ) -> AsyncIterator[wire.FollowEntriesResponse]:
        """Stream entries, and go on as they come."""
        async for rows in self._logs.follow(caller(context), start=request.start):
            yield wire.FollowEntriesResponse(entries=[to_entry(row) for row in rows])

    async def VerifyLog(self, request: wire.VerifyLogRequest, context: Any) -> wire.VerifyLogResponse:
        """Recompute the whole log."""
        verdict = await self._logs.verify(caller(context))
        return wire.VerifyLogResponse(
            size=verdict.size,
            root_hash=base64.b64encode(verdict.root).decode(),
            faults=verdict.faults,
            checkpoints=verdict.checkpoints,
        )

    async def GetCheckpoint(self, request: wire.GetCheckpointRequest, context: Any) -> wire.GetCheckpointResponse:
        """Read the newest signed checkpoint."""
        checkpoint, log_key = await self._logs.checkpoint()
        return wire.GetCheckpointResponse(checkpoint=checkpoint, log_key=log_key)

    async def ExportLog(self, request: wire.ExportLogRequest, context: Any) -> AsyncIterator[wire.ExportLogResponse]:
        """Stream what offline verification needs."""
        async for piece in self._logs.export(caller(context)):
            yield wire.ExportLogResponse(piece=piece)


def to_entry(row: LogRow) -> update_log_pb2.LogEntry:
    """Return an entry as it travels."""
    texts = {name: _text(getattr(row, name)) for name in _TEXTS}
    return update_log_pb2.LogEntry(
        index=row.index,
        time=_time(row.time),
        attempts=_number(row.attempts),
        sop_revision=_number(row.sop_revision),
        canonical_json=_text(row.canonical_json),
        **texts,
    )


def _text(value: Any) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def _number(value: Any) -> int:
    return value if isinstance(value, int) and abs(value) <= _INT32_MAX else 0


def _time(text: Any) -> timestamp_pb2.Timestamp | None:
    try:
        time = parse_time(str(text))
    except FormatError:
        return None
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(time.replace(tzinfo=None))
    return message
