"""A SOP revision as the page that a signatory reads before signing: the document as it is rendered everywhere.

Decides nothing about the document's looks, which are `sopwith_formats.sop_rendering`'s, nor about who may read it.
"""

from collections.abc import Sequence

from sopwith_controller.domain.entities import SopRevision
from sopwith_controller.domain.sop import valid_signatures
from sopwith_formats.sop_document import read_sop_document
from sopwith_formats.sop_rendering import render_html
from sopwith_formats.sop_tables import RevisionLine, SignatureLine, Surroundings


def render_revision(revision: SopRevision, history: Sequence[SopRevision], *, evaluation: bool = False) -> str:
    """Return one revision as a whole HTML page; `history` are its SOP's revisions, oldest first."""
    signatures = tuple(
        SignatureLine(one.role, one.person, one.meaning, f"{one.signed_time:%Y-%m-%d %H:%M} UTC", one.key_id)
        for one in valid_signatures(revision)
    )
    rows = tuple(
        RevisionLine(one.revision, one.change_description, _date(one), one.revised_by)
        for one in history
        if one.revision <= revision.revision
    )
    document = read_sop_document(revision.document, revision.id)
    return render_html(document, Surroundings(str(revision.state), signatures, rows, evaluation))


def _date(revision: SopRevision) -> str:
    time = revision.effective_time or revision.submitted_time
    return f"{time:%Y-%m-%d}" if time else ""
