"""The SOP as people read it: one source, as plain text and as a self-contained HTML page.

Decides how the Markdown of a SOP's body becomes headings, paragraphs, lists and tables, and how those look; what the
tables say is `sop_tables`', who is shown which section `sop_audiences`'. Rules: references are replaced by the values
of the front matter; nothing in a document can become markup of the page; each rendering names revision, state and both
digests, so that a printed copy can be compared with what is in force; a view for one audience says that it is one.
"""

import html
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from sopwith_formats.sop_audiences import AUDITOR, check_audience, shows_section
from sopwith_formats.sop_document import SopDocument
from sopwith_formats.sop_flow import flow_svg, flow_text
from sopwith_formats.sop_references import TABLES, replace_references
from sopwith_formats.sop_tables import Surroundings, Table, control_map, draw

TEXT_WIDTH = 118
_CELL_WIDTH_MIN = 6
_TABLE_LINE = re.compile(r"\{\{\s*(table\.[a-z_]+)\s*\}\}")
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
h1,h2,h3{line-height:1.2;margin-top:2rem}h2{border-bottom:2px solid #1f4e79;padding-bottom:.2rem}
table{border-collapse:collapse;width:100%;margin:1rem 0;font-size:.875rem}
th,td{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{background:#eef3f8}figure{margin:1rem 0}code{background:#f2f2f2;padding:0 .2rem}
footer{margin-top:3rem;border-top:1px solid #bbb;font-size:.75rem;color:#444;overflow-wrap:anywhere}
@media print{body{margin:0;max-width:none;font-size:11px}footer{position:fixed;bottom:0;left:0;right:0;background:#fff}
tr{break-inside:avoid}}
"""


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Flow:
    """The steps as a picture."""

    words: str
    svg: str


Block = Heading | Paragraph | Items | Table | Flow


def blocks_of(sop: SopDocument, around: Surroundings, audience: str = "") -> Iterator[Block]:
    """Yield the blocks that an audience is shown; an empty one is shown the document as it was signed."""
    if audience:
        yield from _for_audience(sop, around, check_audience(audience))
    else:
        yield from _all_blocks(sop, around)


def _for_audience(sop: SopDocument, around: Surroundings, audience: str) -> Iterator[Block]:
    shown, told = True, False
    for block in _all_blocks(sop, around):
        if isinstance(block, Heading):
            shown = block.level == 1 or shows_section(audience, block.text)
        if shown:
            yield block
        if not told and isinstance(block, Heading):
            told = True
            yield Paragraph(
                f"View for the {audience}. What was signed is the whole document: {sop.front.id} revision "
                f"{sop.front.revision}."
            )
    if audience == AUDITOR:
        yield Heading(2, "Controls")
        yield control_map(sop)


def _all_blocks(sop: SopDocument, around: Surroundings) -> Iterator[Block]:
    gathered: list[str] = []
    for line in [*sop.body.splitlines(), ""]:
        table = _TABLE_LINE.fullmatch(line.strip())
        heading = re.match(r"(#{1,6}) +(.*)", line)
        if line.strip() and not table and not heading:
            gathered.append(line)
            continue
        yield from _running(gathered, sop)
        gathered = []
        if heading:
            yield Heading(len(heading[1]), replace_references(heading[2].strip(), sop.tree.value))
        elif table and table[1] in TABLES:
            if table[1] == "table.steps":
                yield Flow(flow_text(sop.front.steps), flow_svg(sop.front.steps))
            yield draw(table[1], sop, around)


def _running(lines: list[str], sop: SopDocument) -> Iterator[Block]:
    if not lines:
        return
    text = "\n".join(lines)
    if re.match(r"[-*] ", text):
        parts = [part for part in re.split(r"(?m)^[-*] +", text) if part.strip()]
        yield Items(tuple(replace_references(" ".join(part.split()), sop.tree.value) for part in parts))
    else:
        yield Paragraph(replace_references(" ".join(text.split()), sop.tree.value))


def footer(sop: SopDocument, around: Surroundings) -> str:
    """Return the line that ties a copy to the signed revision."""
    state = f", {around.state}" if around.state else ""
    state += ", EVALUATION" if around.evaluation else ""
    return (
        f"{sop.front.id} revision {sop.front.revision}{state}; document sha256 {sop.document_sha256}; "
        f"policy sha256 {sop.policy_sha256}"
    )


def render_html(sop: SopDocument, around: Surroundings, audience: str = "", *, above: str = "") -> str:
    """Return the SOP as one HTML page that needs nothing else; `above` is markup that stands before the title."""
    body = above + "\n".join(_html_block(block) for block in blocks_of(sop, around, audience))
    title = f"{sop.front.id} revision {sop.front.revision}: {sop.front.title}"
    return page_of(title, f"{body}\n<footer>{html.escape(footer(sop, around))}</footer>")


def page_of(title: str, body: str) -> str:
    """Return a whole page of a title in words and a body in markup."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def _html_block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{_inline(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{_inline(block.text)}</p>"
    if isinstance(block, Flow):
        return f"<figure>{block.svg}</figure>"
    if isinstance(block, Items):
        return "<ul>" + "".join(f"<li>{_inline(text)}</li>" for text in block.texts) + "</ul>"
    head = "".join(f'<th scope="col">{html.escape(title)}</th>' for title in block.titles)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in block.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _inline(text: str) -> str:
    safe = html.escape(text)
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    safe = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe)
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", safe)


def render_text(sop: SopDocument, around: Surroundings, audience: str = "") -> str:
    """Return the SOP as plain text of at most TEXT_WIDTH columns."""
    pieces = [_text_block(block) for block in blocks_of(sop, around, audience)]
    line = "-" * TEXT_WIDTH
    return "\n\n".join([*pieces, f"{line}\n" + textwrap.fill(footer(sop, around), TEXT_WIDTH)]) + "\n"


def _text_block(block: Block) -> str:
    if isinstance(block, Heading):
        text = _plain(block.text)
        return f"{text}\n{('=' if block.level == 1 else '-') * len(text)}"
    if isinstance(block, Paragraph):
        return textwrap.fill(_plain(block.text), TEXT_WIDTH)
    if isinstance(block, Flow):
        return textwrap.fill(block.words, TEXT_WIDTH)
    if isinstance(block, Items):
        return "\n".join(
            textwrap.fill(_plain(text), TEXT_WIDTH, initial_indent="- ", subsequent_indent="  ") for text in block.texts
        )
    return _text_table(block)


def _plain(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"\1", re.sub(r"\*{1,2}([^*]+)\*{1,2}", r"\1", text))


def _text_table(table: Table) -> str:
    widths = _widths(table)
    lines = [_text_row(table.titles, widths), "  ".join("-" * width for width in widths)]
    tall = any(len(cell) > width for row in table.rows for cell, width in zip(row, widths, strict=True))
    for row in table.rows:
        lines.append(_text_row(row, widths))
        if tall:
            lines.append("")
    return "\n".join(lines).rstrip()


def _widths(table: Table) -> list[int]:
    """Share the line among the columns: each gets what it needs, the longest give way until all fit."""
    columns = list(zip(table.titles, *table.rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    words = [max((len(word) for cell in column for word in cell.split()), default=1) for column in columns]
    room = TEXT_WIDTH - 2 * (len(widths) - 1)
    while sum(widths) > room:
        spare = [max(0, width - max(word, _CELL_WIDTH_MIN)) for width, word in zip(widths, words, strict=True)]
        if not any(spare):
            break
        widest = max(range(len(widths)), key=lambda index: (spare[index] > 0, widths[index]))
        widths[widest] -= 1
    return widths


def _text_row(cells: tuple[str, ...], widths: list[int]) -> str:
    wrapped = [textwrap.wrap(cell, max(width, 1)) or [""] for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, wrapped))
    lines = []
    for number in range(height):
        parts = [
            (cell[number] if number < len(cell) else "").ljust(width)
            for cell, width in zip(wrapped, widths, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)
