"""All revisions of a SOP as a folder of pages that any web server, or none, can show: the in-house wiki.

Decides which pages there are and how they are linked; what a page says is `formats.sop_rendering`'s. Rules: one start
page with the revision in force, the views for each audience, the history and what each revision changed; each revision
with the exact bytes that were signed beside it, so that a reader can verify the page's digests; pages need no script
and nothing from elsewhere.
"""

import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass

from sopwith_formats.sop_audiences import AUDIENCES
from sopwith_formats.sop_difference import Difference, compare
from sopwith_formats.sop_document import SopDocument
from sopwith_formats.sop_rendering import page_of, render_html
from sopwith_formats.sop_tables import Surroundings

INDEX = "index.html"


@dataclass(frozen=True)
class Edition:
    """One revision with what stands on its paper."""

    document: SopDocument
    around: Surroundings


def site_files(editions: Sequence[Edition]) -> dict[str, bytes]:
    """Return the pages by file name; editions are one SOP's, oldest first, at least one."""
    shown = next((item for item in reversed(editions) if item.around.state == "EFFECTIVE"), editions[-1])
    files: dict[str, bytes] = {}
    for position, edition in enumerate(editions):
        number = edition.document.front.revision
        above = _navigation(edition, shown)
        files[f"revision-{number}.html"] = render_html(edition.document, edition.around, above=above).encode()
        files[f"revision-{number}.md"] = edition.document.data
        if position:
            difference = compare(editions[position - 1].document, edition.document)
            files[f"changes-{number}.html"] = _changes_page(difference, above).encode()
    for audience in AUDIENCES:
        page = render_html(shown.document, shown.around, audience, above=_navigation(shown, shown))
        files[f"{audience}.html"] = page.encode()
    files[INDEX] = _index(editions, shown).encode()
    return files


def _navigation(edition: Edition, shown: Edition) -> str:
    number, current = edition.document.front.revision, shown.document.front.revision
    warning = ""
    if number != current:
        warning = (
            f' <strong>This is not the revision in force: <a href="revision-{current}.html">read that</a>.</strong>'
        )
    return f'<nav><a href="{INDEX}">{html.escape(edition.document.front.title)}</a>{warning}</nav>\n'


def _index(editions: Sequence[Edition], shown: Edition) -> str:
    front = shown.document.front
    views = "".join(f'<li><a href="{name}.html">for the {name}</a></li>' for name in AUDIENCES)
    rows = []
    for position, edition in reversed(list(enumerate(editions))):
        number = edition.document.front.revision
        changes = f'<a href="changes-{number}.html">what changed</a>' if position else ""
        digest = hashlib.sha256(edition.document.data).hexdigest()
        change = edition.document.front.change
        cells = (
            f'<a href="revision-{number}.html">{number}</a>',
            html.escape(edition.around.state),
            html.escape(change.description),
            html.escape(change.revised_by),
            changes,
            f'<a href="revision-{number}.md"><code>{digest[:16]}</code></a>',
        )
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    titles = ("Revision", "State", "Description", "Revised By", "Changes", "Signed bytes, sha256")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = (
        f"<h1>{html.escape(front.title)}</h1>\n<p>{html.escape(front.id)} of {html.escape(front.organization)}. "
        f'In force: <a href="revision-{front.revision}.html">revision {front.revision}</a> '
        f"({html.escape(shown.around.state)}).</p>\n<h2>Views</h2>\n<ul>{views}</ul>\n<h2>Revision History</h2>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    return page_of(f"{front.id}: {front.title}", body)


def _changes_page(difference: Difference, above: str) -> str:
    kind = "material" if difference.material else "editorial"
    title = f"{difference.sop_id}: revision {difference.before_revision} to {difference.after_revision}"
    values = "".join(
        f"<tr><td><code>{html.escape(value.key)}</code></td><td>{html.escape(value.before)}</td>"
        f"<td>{html.escape(value.after)}</td><td>{'enforced' if value.enforced else ''}</td></tr>"
        for value in difference.values
    )
    sections = "".join(
        f"<h3>{html.escape(section.heading)}</h3>"
        + "".join(
            f"<p><{tag}>{html.escape(line[2:])}</{tag}></p>"
            for line in section.lines
            for tag in ("del" if line.startswith("-") else "ins",)
        )
        for section in difference.sections
    )
    return page_of(
        title,
        f"{above}<h1>{html.escape(title)}</h1><p>A change of the kind: {kind}.</p>"
        '<h2>Parameters</h2><table><thead><tr><th scope="col">Key</th><th scope="col">Before</th>'
        f'<th scope="col">After</th><th scope="col"></th></tr></thead><tbody>{values}</tbody></table>'
        f"<h2>Text</h2>{sections or '<p>No sentence changed.</p>'}",
    )
