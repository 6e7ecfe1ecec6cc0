"""How a SOP revision is printed, and the newest revision of a SOP."""

from typing import Any

from sopwith_controller.cli.output import Column, emit, enum_name, print_facts, time_text
from sopwith_controller.cli.sop_reading import revisions_of
from sopwith_controller.cli.verbs import state

COLUMNS = (
    Column("SOP", lambda sop: sop.id),
    Column("REVISION", lambda sop: str(sop.revision)),
    Column("STATE", lambda sop: enum_name(sop, "state")),
    Column("TITLE", lambda sop: sop.title),
    Column("EFFECTIVE", lambda sop: time_text(sop, "effective_time")),
    Column("STILL TO SIGN", lambda sop: ", ".join(sop.signatures_missing)),
    Column("CHANGE", lambda sop: sop.change_kind, wide=True),
    Column("POLICY DIGEST", lambda sop: sop.policy_sha256[:16], wide=True),
)


def emit_sop(sop: Any) -> None:
    """Print one revision in the wanted form."""
    if state().output == "table":
        print_sop(sop)
    else:
        emit(state().output, sop, COLUMNS, name=lambda item: item.id)


def print_sop(sop: Any) -> None:
    """Print one revision for people."""
    signatures = [f"{item.person} ({item.role}, {time_text(item, 'signed_time')})" for item in sop.signatures]
    print_facts(
        (
            ("SOP", f"{sop.id} revision {sop.revision}: {sop.title}"),
            ("State", enum_name(sop, "state")),
            ("Change", f"{sop.change_kind}: {sop.change_description} (by {sop.revised_by})"),
            ("Effective", time_text(sop, "effective_time")),
            ("Signed by", "; ".join(signatures) or "nobody"),
            ("Still to sign", ", ".join(sop.signatures_missing)),
            ("Read by", ", ".join(sop.acknowledged_by)),
            ("Document digest", sop.document_sha256),
            ("Policy digest", sop.policy_sha256),
        )
    )


def newest_of(connection: Any, sop: str) -> int:
    """Return the newest revision's number: that is the one to sign."""
    return int(revisions_of(connection, sop)[-1].revision)
