"""The verbs of `sopwith sop` that only read: history, diff, render, verify."""

import sys
from pathlib import Path
from typing import Any

import click

from sopwith.v1 import sop_service_pb2 as pb
from sopwith_controller.cli.output import emit_document, enum_name, escape, print_table, tell, time_text
from sopwith_controller.cli.verbs import connected, state, verb
from sopwith_controller.desk.errors import DeskError

AUDIENCES = ("operator", "manager", "executive", "auditor")
FORMATS = ("txt", "html", "pdf", "site")
audience_option = click.option(
    "--audience", type=click.Choice(AUDIENCES), default=None, help="Only what concerns these readers."
)
revision_option = click.option("--revision", type=int, default=0, help="Revision; default: the effective one.")


def add_reading_verbs(group: click.Group) -> None:
    """Put the verbs into the noun's group."""
    verb(group, "history", example="sopwith sop history SU-SOP-001")(history)
    verb(group, "diff", example="sopwith sop diff SU-SOP-001 --audience operator")(diff)
    verb(group, "verify", example="sopwith sop verify SU-SOP-001.sop.json")(verify)
    verb(group, "render", example="sopwith sop render SU-SOP-001 --format html --out sop.html")(render)


@click.argument("sop")
def history(sop: str) -> None:
    """Show the revision history, the table of the SOP's last section."""
    with connected() as connection:
        rows = [_history_row(item) for item in revisions_of(connection, sop)]
    if state().output in ("json", "yaml"):
        emit_document(state().output, rows)
    elif state().output == "name":
        for row in rows:
            print(row["revision"])
    else:
        titles = ("REVISION", "DESCRIPTION", "DATE", "REVISED BY")
        print_table(titles, [[str(value) for value in row.values()] for row in rows])


@click.argument("sop", metavar="ID|FILE")
@click.argument("newer", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option("--from", "before", type=int, default=0, help="Older revision; default: the one before the newer.")
@click.option("--to", "after", type=int, default=0, help="Newer revision; default: the newest.")
@audience_option
def diff(sop: str, newer: Path | None, before: int, after: int, audience: str | None) -> None:
    """Show what changed between two revisions: of a SOP by its id, of its newest and a FILE, or of two files."""
    from sopwith_formats.sop_difference import compare
    from sopwith_formats.sop_document import read_sop_document

    old, new = _two_documents(sop, newer, before, after)
    found = compare(read_sop_document(*old), read_sop_document(*new)).for_audience(audience or "")
    if state().output in ("json", "yaml"):
        emit_document(state().output, found.as_dict())
        return
    if state().output == "name":
        for value in found.values:
            print(value.key)
        return
    print_difference(found)
    if not (found.values or found.sections):
        tell("nothing differs" + (f" that concerns the {audience}" if audience else ""))


def print_difference(found: Any) -> None:
    """Print a `sopwith_formats.sop_difference.Difference`."""
    kind = "material: it needs every signature, and operators acknowledge it" if found.material else "editorial"
    print(f"{found.sop_id} revision {found.before_revision} to {found.after_revision}, {kind}")
    if found.values:
        rows = [
            [escape(value.key), escape(value.before), escape(value.after), "yes" if value.enforced else ""]
            for value in found.values
        ]
        print_table(("KEY", "BEFORE", "AFTER", "ENFORCED"), rows)
    for section in found.sections:
        print(f"\n{escape(section.heading)}")
        for line in section.lines:
            print(f"  {escape(line)}")


def _two_documents(
    sop: str, newer: Path | None, before: int, after: int
) -> tuple[tuple[bytes, str], tuple[bytes, str]]:
    """Return bytes and name of the older and the newer document."""
    if newer is not None and Path(sop).is_file():
        return (Path(sop).read_bytes(), sop), (_bytes_of(newer), str(newer))
    with connected() as connection:
        numbers = [int(item.revision) for item in revisions_of(connection, sop)]
        if newer is not None:
            older = before or numbers[-1]
            return _revision(connection, sop, older), (_bytes_of(newer), str(newer))
        newest = after or numbers[-1]
        older = before or newest - 1
        for number in (older, newest):
            if number not in numbers:
                known = ", ".join(map(str, numbers))
                raise DeskError(
                    f"{sop} has no revision {number} to compare; it has {known}",
                    remedy=f"sopwith sop diff {sop} --from N --to N, or sopwith sop diff {sop} FILE",
                )
        return _revision(connection, sop, older), _revision(connection, sop, newest)


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DeskError(f"{file} cannot be read: {error.strerror}", remedy="name a file that is there") from error


def _revision(connection: Any, sop: str, number: int) -> tuple[bytes, str]:
    reply = connection.call(connection.sops.GetSop, pb.GetSopRequest(id=sop, revision=number))
    return reply.document, f"{sop} revision {number}"


@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", "keys", multiple=True, metavar="FINGERPRINT", help="Believe only these keys (sha256:...).")
def verify(file: Path, keys: tuple[str, ...]) -> None:
    """Prove the signatures in an exported file; needs no controller."""
    from sopwith_controller.desk.sop_bundle import verify_bundle
    from sopwith_formats.errors import FormatError

    try:
        proof = verify_bundle(file.read_bytes(), keys)
    except FormatError as error:
        raise DeskError(f"{file} {error.message}", remedy=error.remedy) from error
    if state().output in ("json", "yaml"):
        document = {**vars(proof), "signatures": [vars(item) for item in proof.signatures], "valid": proof.valid}
        document["signatures_missing"] = list(proof.signatures_missing)
        emit_document(state().output, document)
    else:
        titles = ("PERSON", "ROLE", "MEANING", "SIGNED", "VALID", "WHY NOT")
        print_table(
            titles,
            [
                [item.person, item.role, item.meaning, item.signed_time, "yes" if item.valid else "NO", item.reason]
                for item in proof.signatures
            ],
        )
    if proof.valid < len(proof.signatures) or not proof.signatures:
        raise DeskError(f"{proof.valid} of {len(proof.signatures)} signatures are valid")
    missing = f"; none by {', '.join(proof.signatures_missing)}" if proof.signatures_missing else ""
    tell(f"{proof.valid} of {len(proof.signatures)} signatures are valid{missing}")


@click.argument("sop", metavar="ID|FILE")
@revision_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="txt", help="Form of the paper; site: a folder.")
@click.option("--out", type=click.Path(path_type=Path), help="File or folder to write; default: standard output.")
@audience_option
def render(sop: str, revision: int, form: str, out: Path | None, audience: str | None) -> None:
    """Write the SOP as people read it, with its signatures and its history."""
    if form in ("pdf", "site") and out is None:
        raise click.UsageError(f"--format {form} needs --out PATH")
    if form == "site" and out is not None:
        _write_site(sop, out)
        return
    from sopwith_formats.durable import durable_write

    content = _rendered(sop, revision, form, audience or "")
    if out is None:
        sys.stdout.buffer.write(content)
        return
    durable_write(out, content, 0o644)
    tell(f"wrote {out}")


def _rendered(sop: str, revision: int, form: str, audience: str) -> bytes:
    from sopwith_formats.sop_document import read_sop_document
    from sopwith_formats.sop_rendering import render_html, render_text
    from sopwith_formats.sop_tables import Surroundings

    if Path(sop).is_file():
        document, around = Path(sop).read_bytes(), Surroundings("DRAFT")
    else:
        with connected() as connection:
            reply = connection.call(connection.sops.GetSop, pb.GetSopRequest(id=sop, revision=revision))
            document = reply.document
            around = _surroundings(reply.sop, revisions_of(connection, sop), connection)
    read = read_sop_document(document, sop)
    if form == "pdf":
        from sopwith_controller.desk.sop_paper import render_pdf

        return render_pdf(read, around, audience)
    return (render_html if form == "html" else render_text)(read, around, audience).encode()


def _write_site(sop: str, folder: Path) -> None:
    from sopwith_controller.desk.sop_site import Edition, site_files
    from sopwith_formats.durable import durable_write
    from sopwith_formats.sop_document import read_sop_document

    with connected() as connection:
        revisions = revisions_of(connection, sop)
        editions = [
            Edition(
                read_sop_document(*_revision(connection, sop, item.revision)),
                _surroundings(item, revisions, connection),
            )
            for item in revisions
        ]
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in site_files(editions).items():
        durable_write(folder / name, content, 0o644)
    tell(f"wrote {folder / 'index.html'} and what it links to")


def revisions_of(connection: Any, sop: str) -> list[Any]:
    """Return all revisions of a SOP, oldest first."""
    return list(connection.call(connection.sops.ListSopRevisions, pb.ListSopRevisionsRequest(id=sop)).sops)


def _surroundings(sop: Any, revisions: list[Any], connection: Any) -> Any:
    from sopwith_formats.sop_tables import RevisionLine, SignatureLine, Surroundings

    signatures = tuple(
        SignatureLine(item.role, item.person, item.meaning, time_text(item, "signed_time"), item.key_id)
        for item in sop.signatures
    )
    rows = [_history_row(item) for item in revisions if item.revision <= sop.revision]
    history = tuple(RevisionLine(**row) for row in rows)
    return Surroundings(enum_name(sop, "state"), signatures, history, connection.evaluation)


def _history_row(sop: Any) -> dict[str, Any]:
    time = time_text(sop, "effective_time") or time_text(sop, "submitted_time")
    return {
        "revision": sop.revision,
        "description": sop.change_description,
        "date": time[:10],
        "revised_by": sop.revised_by,
    }
