"""`sopwith sop`: write and sign the Standard Operating Procedure; what only reads it is `sop_reading`'s."""

import sys
from pathlib import Path
from typing import Any

import click

from sopwith.v1 import sop_service_pb2 as pb
from sopwith_controller.cli.output import emit, emit_document, escape, print_facts, tell
from sopwith_controller.cli.sop_drill import add_drill_verb
from sopwith_controller.cli.sop_practice import add_practice_verbs, show_what_changed
from sopwith_controller.cli.sop_reading import add_reading_verbs, revision_option
from sopwith_controller.cli.sop_reviewing import add_reviewing_verbs
from sopwith_controller.cli.sop_signing import add_signing_verb
from sopwith_controller.cli.sop_telling import add_telling_verbs, holding_of
from sopwith_controller.cli.sop_views import COLUMNS, emit_sop, newest_of, print_sop
from sopwith_controller.cli.verbs import agree, connected, noun, state, verb
from sopwith_controller.desk.errors import DeskError

group = noun("sop", "Write, sign and read the Standard Operating Procedure.")
add_reading_verbs(group)
add_reviewing_verbs(group)
add_practice_verbs(group)
add_drill_verb(group)
add_signing_verb(group)
add_telling_verbs(group)

yes_option = click.option("--yes", is_flag=True, help="Answer the question with yes.")


@verb(group, "new", example="sopwith sop new --out sop.md")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write; it must not exist.")
@click.option("--from", "sop", default="", metavar="ID", help="Begin with the newest revision of this SOP.")
def new(out: Path, sop: str) -> None:
    """Write the SOP's form, or the next revision of a SOP, to a file."""
    from sopwith_formats.durable import durable_write
    from sopwith_formats.sop_template import sop_template

    if out.exists():
        raise DeskError(f"{out} exists", remedy="name another file, or move this one away")
    document = _next_revision(sop) if sop else sop_template()
    durable_write(out, document, 0o644)
    tell(f"wrote {out}; next: fill it in, then sopwith sop lint {out}")


@verb(group, "lint", example="sopwith sop lint sop.md")
@click.argument("file", type=click.Path(path_type=Path))
def lint(file: Path) -> None:
    """Name every fault of a SOP file, with line and mend."""
    from sopwith_formats.sop_document import lint_sop_document

    problems = lint_sop_document(file.read_bytes(), str(file))
    if state().output in ("json", "yaml"):
        emit_document(state().output, [problem.as_dict() for problem in problems])
    else:
        for problem in problems:
            print(escape(str(problem)))
    errors = sum(problem.level == "error" for problem in problems)
    if errors:
        raise DeskError(f"{file} is not complete: {errors} fault{'s' if errors > 1 else ''}")
    tell(f"{file} is complete; next: sopwith sop submit {file}")


@verb(group, "submit", example="sopwith sop submit SU-SOP-001")
@click.argument("sop", metavar="ID|FILE")
@click.option("--effective-time", default="", metavar="TIME", help="When it shall take effect at the earliest.")
def submit(sop: str, effective_time: str) -> None:
    """Put the stored draft, or the revision in a file, into review."""
    request = pb.SubmitSopRequest(id=sop)
    if Path(sop).is_file():
        request.document = Path(sop).read_bytes()
        request.id = _complete(request.document, sop)
    if effective_time:
        from sopwith_formats.units import parse_time

        request.effective_time.FromDatetime(parse_time(effective_time).replace(tzinfo=None))
    with connected() as connection:
        reply = connection.call(connection.sops.SubmitSop, request)
    emit_sop(reply.sop)
    if state().output == "table" and reply.sop.signatures_missing:
        tell(f"next: sopwith sop sign {reply.sop.id}, by {', '.join(reply.sop.signatures_missing)}")


@verb(group, "show", example="sopwith sop show SU-SOP-001")
@click.argument("sop")
@revision_option
@click.option("--document", is_flag=True, help="Print the exact document.")
@click.option("--export", type=click.Path(path_type=Path), help="Write document and signatures to a file.")
def show(sop: str, revision: int, document: bool, export: Path | None) -> None:
    """Show one revision: state, signatures, digests."""
    with connected() as connection:
        reply = connection.call(connection.sops.GetSop, pb.GetSopRequest(id=sop, revision=revision))
        plain = state().output == "table" and export is None and not document
        held = holding_of(connection, reply.sop) if plain else ()
    if export is not None:
        _export(reply, export)
    elif document:
        sys.stdout.buffer.write(reply.document)
    elif state().output == "table":
        print_sop(reply.sop)
        print_facts(held)
    else:
        emit_sop(reply.sop)


@verb(group, "list", example="sopwith sop list")
def list_sops() -> None:
    """List the newest revision of each SOP."""
    with connected() as connection:
        reply = connection.call(connection.sops.ListSops, pb.ListSopsRequest())
    emit(state().output, reply.sops, COLUMNS, name=lambda sop: sop.id, empty="No SOP; sopwith sop new writes one.")


@verb(group, "acknowledge", example="sopwith sop acknowledge SU-SOP-001 --yes")
@click.argument("sop")
@revision_option
@yes_option
def acknowledge(sop: str, revision: int, yes: bool) -> None:
    """Say that you have read what changed in the effective revision since the one that you knew."""
    with connected() as connection:
        found = connection.call(connection.sops.GetSop, pb.GetSopRequest(id=sop, revision=revision))
        tell(f"{found.sop.id} revision {found.sop.revision}: {found.sop.change_description}")
        show_what_changed(connection, found)
        agree("Have you read it?", yes=yes)
        request = pb.AcknowledgeSopRequest(id=found.sop.id, revision=found.sop.revision)
        reply = connection.call(connection.sops.AcknowledgeSop, request)
    emit_sop(reply.sop)


@verb(group, "activate", example="sopwith sop activate SU-SOP-001")
@click.argument("sop")
@yes_option
def activate(sop: str, yes: bool) -> None:
    """Let a signed revision take effect now instead of later."""
    agree(f"Let {sop} take effect now?", yes=yes)
    with connected() as connection:
        reply = connection.call(connection.sops.ActivateSop, pb.ActivateSopRequest(id=sop))
    emit_sop(reply.sop)


def _complete(document: bytes, file: str) -> str:
    """Return the id of a document that lint finds complete; raise DocumentError with every fault."""
    from sopwith_formats.problems import refuse_if_any
    from sopwith_formats.sop_document import read_sop_document

    read = read_sop_document(document, file)
    refuse_if_any(read.problems)
    return read.front.id


def _next_revision(sop: str) -> bytes:
    with connected() as connection:
        newest = newest_of(connection, sop)
        reply = connection.call(connection.sops.GetSop, pb.GetSopRequest(id=sop, revision=newest))
    document: bytes = reply.document
    return document.replace(b"\nrevision: %d\n" % newest, b"\nrevision: %d\n" % (newest + 1), 1)


def _export(reply: Any, path: Path) -> None:
    from sopwith_controller.desk.sop_bundle import write_bundle
    from sopwith_formats.durable import durable_write

    durable_write(path, write_bundle(reply.document, [item.envelope_json for item in reply.sop.signatures]), 0o644)
    tell(f"wrote {path}; anybody proves it with: sopwith sop verify {path}")
