"""The SOP as a printable file, made on the reader's own machine.

Decides how a rendered page becomes a PDF: A4, with SOP, revision, state and both digests at the foot of every sheet, so
that a single sheet can be compared with what is in force. What the page says is `formats.sop_rendering`'s.
"""

from sopwith_controller.desk.errors import DeskError
from sopwith_formats.sop_document import SopDocument
from sopwith_formats.sop_rendering import footer, render_html
from sopwith_formats.sop_tables import Surroundings

_SHEET = """
@page {{ size: A4; margin: 18mm 14mm 24mm 14mm;
  @bottom-left {{ content: "{foot}"; font: 6.5px sans-serif; width: 82%; white-space: pre-wrap; }}
  @bottom-right {{ content: counter(page) " of " counter(pages); font: 8px sans-serif; }} }}
body {{ font-size: 10px !important; max-width: none !important; margin: 0 !important; }}
table {{ font-size: 7.5px !important; }} th, td {{ overflow-wrap: break-word !important; }}
footer {{ display: none !important; }} figure {{ break-inside: avoid; }} h1, h2, h3 {{ break-after: avoid; }}
"""


def render_pdf(sop: SopDocument, around: Surroundings, audience: str = "") -> bytes:
    """Return the SOP as a PDF; raise DeskError where the library for it is missing."""
    try:
        from weasyprint import CSS, HTML
    except (ImportError, OSError) as error:
        raise DeskError(
            f"this installation makes no PDF: {error}",
            remedy="pip install 'sopwith[pdf]' and Debian's libpangoft2-1.0-0, or take --format html and print it",
        ) from error
    foot = footer(sop, around).replace("\\", "\\\\").replace('"', '\\"').replace("; policy", "\\A policy")
    page = HTML(string=render_html(sop, around, audience), url_fetcher=_fetch_nothing)
    document: bytes = page.write_pdf(stylesheets=[CSS(string=_SHEET.format(foot=foot))])
    return document


def _fetch_nothing(url: str, *_: object, **__: object) -> dict[str, object]:
    """Refuse every address: a SOP's page needs nothing from elsewhere."""
    raise ValueError(f"{url} is not fetched")
