"""`sopwith log`: read the update log, prove it, take it away."""

import json
import tempfile
from pathlib import Path
from typing import Any

import click

from sopwith_controller.cli.output import Column, emit, emit_document, print_facts, tell, time_text, to_document
from sopwith_controller.cli.verbs import connected, noun, state, verb

group = noun("log", "Read, verify and export the update log.")

PAGE = 10_000
VERIFY_TIMEOUT_SECONDS = 600.0

_COLUMNS = [
    Column("INDEX", lambda entry: str(entry.index)),
    Column("TIME", lambda entry: time_text(entry, "time")),
    Column("KIND", lambda entry: entry.kind),
    Column("COMPUTER", lambda entry: entry.computer),
    Column("RELEASE", lambda entry: entry.release),
    Column("FROM", lambda entry: entry.version_before),
    Column("TO", lambda entry: entry.version_after),
    Column("OUTCOME", lambda entry: entry.outcome or entry.corrected_outcome),
    Column("SYMPTOM", lambda entry: entry.symptom),
    Column("OPERATOR", lambda entry: entry.operator),
    Column("SOP", lambda entry: f"{entry.sop_id} rev {entry.sop_revision}" if entry.sop_id else ""),
    Column("MESSAGE", lambda entry: entry.message, wide=True),
    Column("LOCAL TIME", lambda entry: entry.local_time, wide=True),
    Column("ROLLOUT", lambda entry: entry.rollout, wide=True),
    Column("TICKET", lambda entry: entry.ticket, wide=True),
]


@verb(group, "list", example="sopwith log list --rollout r-7k2m9qx4 -o json")
@click.option("--rollout", default="", help="Only entries of this rollout id.")
@click.option("--computer", default="", help="Only entries of this computer's name.")
@click.option("--start", default=0, type=click.IntRange(min=0), help="First index.", show_default=True)
@click.option("--limit", default=0, type=click.IntRange(min=0), help="How many at most; 0 for all.", show_default=True)
def list_entries(rollout: str, computer: str, start: int, limit: int) -> None:
    """List entries, oldest first."""
    from sopwith.v1 import update_log_service_pb2 as pb

    entries: list[Any] = []
    with connected() as connection:
        while True:
            count = min(PAGE, limit - len(entries)) if limit else PAGE
            request = pb.ListEntriesRequest(start=start, limit=count, rollout=rollout, computer=computer)
            reply = connection.call(connection.update_log.ListEntries, request)
            entries += reply.entries
            start = reply.next_start
            if not start or (limit and len(entries) >= limit):
                break
    emit(state().output, entries, _COLUMNS, name=lambda entry: str(entry.index), empty="No entry.")


@verb(group, "show", example="sopwith log show 42")
@click.argument("index", type=click.IntRange(min=0))
def show(index: int) -> None:
    """Show one entry with everything that it says."""
    from sopwith.v1 import update_log_service_pb2 as pb

    with connected() as connection:
        reply = connection.call(connection.update_log.ListEntries, pb.ListEntriesRequest(start=index, limit=1))
    if not reply.entries or reply.entries[0].index != index:
        raise click.ClickException(f"the log has no entry {index}")
    entry = reply.entries[0]
    if state().output == "name":
        print(entry.index)
    elif state().output in ("json", "yaml"):
        emit_document(state().output, to_document(entry))
    else:
        document = to_document(entry)
        facts = [(name, str(value)) for name, value in document.items() if name != "canonical_json" and value != 0]
        print_facts([*facts, ("details", _details(entry.canonical_json))])


@verb(group, "follow", example="sopwith log follow")
@click.option("--start", default=-1, type=click.IntRange(min=-1), help="First index; the next new one by default.")
def follow(start: int) -> None:
    """Print entries as they come, until interrupted."""
    from sopwith.v1 import update_log_service_pb2 as pb

    with connected() as connection:
        request = pb.FollowEntriesRequest(start=start)
        for message in connection.stream(connection.update_log.FollowEntries, request):
            for entry in message.entries:
                _print_followed(entry)


@verb(group, "verify", example="sopwith log verify log.zip --log-key log_key.txt")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--log-key", "log_key", metavar="KEY", help="Log key that must have signed it: its line, or a file.")
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Checkpoint of one's own that the log must contain.",
)
def verify(file: Path | None, log_key: str | None, checkpoint: Path | None) -> None:
    """Recompute the whole log, here and on the controller, or an exported FILE; exit 1 when it is not whole."""
    from sopwith_controller.desk.verification import read_log_key, read_note, verify_export

    key = read_log_key(log_key) if log_key else None
    note = read_note(checkpoint) if checkpoint else ""
    if file is not None:
        _conclude(verify_export(file, key=key, checkpoint=note), [])
    else:
        _verify_live(key, note)


@verb(group, "checkpoint", example="sopwith log checkpoint --out checkpoint.txt")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
def checkpoint(out: Path | None) -> None:
    """Print the newest signed checkpoint, to be kept elsewhere."""
    from sopwith.v1 import update_log_service_pb2 as pb

    with connected() as connection:
        reply = connection.call(connection.update_log.GetCheckpoint, pb.GetCheckpointRequest())
    if not reply.checkpoint:
        raise click.ClickException("the log has no checkpoint yet")
    if out is not None:
        from sopwith_formats.durable import durable_replace

        durable_replace(out, reply.checkpoint.encode())
        tell(f"wrote {out}; the log key is {reply.log_key}")
    elif state().output in ("json", "yaml"):
        emit_document(state().output, to_document(reply))
    else:
        print(reply.checkpoint, end="")


@verb(group, "export", example="sopwith log export --out log.zip")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
def export(out: Path) -> None:
    """Write the whole log to a file that proves itself without the controller."""
    with connected() as connection:
        size = _export(connection, out)
    if state().output in ("json", "yaml"):
        emit_document(state().output, {"file": str(out), "size_bytes": size})
    else:
        tell(f"wrote {out} ({size} bytes); check it anywhere with `sopwith log verify {out}`")


def _verify_live(key: Any, note: str) -> None:
    """Let the controller recompute, then recompute here what it hands out, held against the pinned log key."""
    from sopwith.v1 import update_log_service_pb2 as pb
    from sopwith_controller.desk.errors import RefusedError
    from sopwith_controller.desk.verification import read_log_key, told, verify_export

    with connected() as connection, tempfile.TemporaryDirectory() as folder:
        pinned = connection.context.log_key
        key = key or (read_log_key(pinned) if pinned else None)
        reply = connection.call(
            connection.update_log.VerifyLog, pb.VerifyLogRequest(), timeout_seconds=VERIFY_TIMEOUT_SECONDS
        )
        file = Path(folder) / "log.zip"
        try:
            _export(connection, file)
        except RefusedError:
            tell("this role may not export the log, so only the controller itself recomputed it")
            _conclude(told(reply), [])
            return
        finding = verify_export(file, key=key, checkpoint=note, root_wanted_at=reply.size)
    extra = [f"The controller: {fault}" for fault in reply.faults]
    if finding.root_at_checkpoint != told(reply).verdict.root:
        extra.append("The controller computed another root than this machine.")
    if key is None:
        tell("this context pins no log key, so the origin cannot be proven; give --log-key KEY")
    _conclude(finding, extra)


def _export(connection: Any, out: Path) -> int:
    from sopwith.v1 import update_log_service_pb2 as pb
    from sopwith_formats.durable import durable_move

    with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", delete=False) as file:
        unfinished = Path(file.name)
        try:
            for message in connection.stream(connection.update_log.ExportLog, pb.ExportLogRequest()):
                file.write(message.piece)
            size = file.tell()
            file.close()
            durable_move(unfinished, out)
        finally:
            unfinished.unlink(missing_ok=True)
    return size


def _conclude(finding: Any, extra: list[str]) -> None:
    """Print what was found; a log that is not whole is an exit code of 1."""
    import base64

    verdict = finding.verdict
    faults = [*verdict.faults, *extra]
    if state().output in ("json", "yaml"):
        emit_document(
            state().output,
            {
                "size": verdict.size,
                "root_hash": base64.b64encode(verdict.root).decode(),
                "faults": faults,
                "checkpoints": verdict.checkpoints,
                "records_proven": finding.records_proven,
                "records_unproven": finding.records_unproven,
                "consistent": not faults,
                "origin_proven_by": "" if faults else finding.log_key,
            },
        )
    else:
        for fault in faults:
            tell(fault)
        print(finding.conclusion if verdict.faults or not faults else f"NOT WHOLE: {len(faults)} faults")
    if faults:
        raise click.exceptions.Exit(1)


def _print_followed(entry: Any) -> None:
    if state().output in ("json", "yaml"):
        print(json.dumps(to_document(entry), ensure_ascii=False), flush=True)
        return
    from sopwith_controller.cli.output import escape

    subject = " ".join(part for part in (entry.kind, entry.outcome) if part)
    print(escape(f"{entry.index}  {time_text(entry, 'time')}  {subject}  {entry.message}"), flush=True)


def _details(canonical: str) -> str:
    try:
        details = json.loads(canonical)["details"]
    except (ValueError, KeyError, TypeError):
        return "cannot be read; run `sopwith log verify`"
    return json.dumps(details, ensure_ascii=False, sort_keys=True) if details else ""
