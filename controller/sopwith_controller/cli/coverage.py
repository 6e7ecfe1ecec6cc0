"""`sopwith computer import`, `excuse` and `coverage`: the company's own list of computers beside the fleet."""

import csv
import io
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from sopwith.v1 import fleet_service_pb2 as pb
from sopwith_controller.cli.output import Column, emit, emit_document, tell, to_document
from sopwith_controller.cli.verbs import connected, duration, reason_asked, reasoned, state, verb
from sopwith_controller.desk.errors import DeskError

_COLUMNS = [
    Column("NAME", lambda one: one.name),
    Column("STANDING", lambda one: one.standing),
    Column("WHY", lambda one: one.message, flows=True),
    Column("TO MEND IT", lambda one: one.remedy, wide=True, flows=True),
]


def add_coverage_verbs(group: click.Group) -> None:
    """Add the verbs to `sopwith computer`."""

    @verb(group, "import", example="sopwith computer import inventory.csv")
    @click.argument("file", type=click.Path(path_type=Path))
    @click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
    def import_list(file: Path, dry_run: bool) -> None:
        """Replace the list of known computers: one name a line, or CSV with a column called name."""
        computers = [pb.ListedComputer(name=name, note=note) for name, note in read_list(file)]
        request = pb.ImportComputersRequest(computers=computers, dry_run=dry_run, request_id=str(uuid.uuid4()))
        with connected() as connection:
            reply = connection.call(connection.fleet.ImportComputers, request)
        if state().output in ("json", "yaml"):
            emit_document(state().output, to_document(reply))
            return
        would = "would be " if dry_run else ""
        tell(f"{reply.added} {would}new, {reply.removed} {would}gone, {reply.unchanged} as before")
        tell("next: sopwith computer coverage")

    @verb(group, "excuse", example='sopwith computer excuse pc9 --reason "in repair" --until 30d')
    @click.argument("computer")
    @click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
    @click.option("--until", required=True, metavar="DATE|DURATION", help="Until when, for example 2027-01-31 or 30d.")
    def excuse(computer: str, reason: str, until: str) -> None:
        """Say why a known computer is not enrolled, until a time."""
        request = pb.ExcuseComputerRequest(name=computer, reason=reason_asked(reason), request_id=str(uuid.uuid4()))
        request.until_time.FromDatetime(until_time(until))
        with connected() as connection:
            reply = reasoned(connection, connection.fleet.ExcuseComputer, request)
        emit(state().output, reply.computer, _COLUMNS, name=lambda one: one.name)

    @verb(group, "coverage", example="sopwith computer coverage")
    @click.option("--all", "everything", is_flag=True, help="Also those that are enrolled.")
    def coverage(everything: bool) -> None:
        """Say of each known computer whether it is enrolled, excused or missing."""
        with connected() as connection:
            reply = connection.call(connection.fleet.GetCoverage, pb.GetCoverageRequest())
        table = state().output in ("table", "wide")
        rows = [one for one in reply.computers if everything or not table or one.standing != "ENROLLED"]
        if not table:
            emit(state().output, rows, _COLUMNS, name=lambda one: one.name)
            return
        if not reply.listed:
            tell("no list was imported yet: sopwith computer import FILE")
            return
        tell(f"{reply.covered} of {reply.listed} known computers are enrolled or excused")
        if rows:
            emit(state().output, rows, _COLUMNS, name=lambda one: one.name)


def read_list(file: Path) -> list[tuple[str, str]]:
    """Return (name, note) of each line; raise DeskError for a file that is no list."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DeskError(f"{file} cannot be read: {error}", remedy="name a text file, UTF-8") from error
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise DeskError(f"{file} names no computer", remedy="one name a line, or CSV with a column called name")
    heads = [head.strip().lower() for head in next(csv.reader([lines[0]]))]
    if "name" in heads:
        rows = csv.DictReader(io.StringIO("\n".join(lines[1:])), fieldnames=heads)
        return [((row["name"] or "").strip(), (row.get("note") or "").strip()) for row in rows]
    return [(line.partition(",")[0].strip(), line.partition(",")[2].strip()) for line in lines]


def until_time(text: str) -> datetime:
    """Return the moment of a date, a time or a duration from now, without its zone, in UTC."""
    from sopwith_formats.errors import FormatError
    from sopwith_formats.units import parse_time

    try:
        if text[:4].isdigit() and "-" in text:
            return parse_time(text if "T" in text else f"{text}T00:00:00Z").replace(tzinfo=None)
    except FormatError as error:
        raise click.UsageError(f"--until: {error}") from error
    return (datetime.now(UTC) + timedelta(seconds=duration(text, "--until"))).replace(tzinfo=None)
