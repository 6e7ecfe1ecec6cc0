"""The demo's closing page: one HTML file without anything from elsewhere, telling what happened."""

from collections.abc import Sequence
from html import escape

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2733}
h1{font-size:1.6rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%;font-size:.85rem}
td,th{border-bottom:1px solid #d5dde5;padding:.3rem .5rem;text-align:left;vertical-align:top}
pre{background:#f2f5f8;padding:1rem;overflow:auto;font-size:.85rem;border-radius:4px}
td:nth-child(2){white-space:nowrap}.wide{overflow-x:auto}
li{margin:.3rem 0}.time{color:#63758a;font-variant-numeric:tabular-nums}footer{margin-top:3rem;color:#63758a}"""


def page(
    title: str, beats: Sequence[tuple[float, str]], mail: str, entries: Sequence[dict[str, object]], verified: str
) -> str:
    """Return the page. `beats` are seconds since the start and what happened; `entries` are rows of the update log."""
    told = "\n".join(f'<li><span class="time">{at:5.1f} s</span> {escape(text)}</li>' for at, text in beats)
    columns = ("index", "time", "kind", "computer", "release", "outcome", "symptom", "operator")
    head = "".join(f"<th>{column}</th>" for column in columns)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(str(entry[column]))}</td>" for column in columns) + "</tr>" for entry in entries
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p>Five computers, one controller, one signed source and one mail server ran on this machine. This is what happened.</p>
<ol>
{told}
</ol>
<h2>The mail that the IT manager received</h2>
<pre>{escape(mail)}</pre>
<h2>The update log: date, time, outcome</h2>
<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>
{rows}
</tbody></table></div>
<h2>The log, verified</h2>
<pre>{escape(verified)}</pre>
<footer>Written by sopwith demo.</footer>
</body></html>
"""
