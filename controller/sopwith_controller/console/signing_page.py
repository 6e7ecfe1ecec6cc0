"""The page of a signing link: what is signed, as whom, how; no script, no outside file, nothing that runs.

Decides the page's words and markup only. Rules: everything that comes from the document, the roster or a file is
escaped; the one style stands inside and is named by its digest in the Content-Security-Policy; a page says what it is
not: it never asks for a private key.
"""

import base64
import hashlib
import html
import re

from sopwith_controller.services.signing_links import Offer
from sopwith_formats.dsse_statement import MEANINGS
from sopwith_formats.ssh_signature import NAMESPACE

_STYLE = """
body{font:1rem/1.6 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.1rem;margin:2rem 0 .5rem;border-bottom:2px solid #1f4e79}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.25rem}dt{color:#555}
dd{margin:0;overflow-wrap:anywhere}
code,pre{font:.875rem/1.5 ui-monospace,monospace;background:#eef3f8;overflow-wrap:anywhere;white-space:pre-wrap}
pre{padding:.75rem;border-left:4px solid #1f4e79}code{padding:0 .2rem}
blockquote{margin:1rem 0;padding:.5rem 1rem;border-left:4px solid #1f4e79;background:#f7f9fb}
button,a.button{font:inherit;padding:.5rem 1rem;border:1px solid #1f4e79;border-radius:.25rem;background:#1f4e79;
color:#fff;text-decoration:none;cursor:pointer;display:inline-block}button.second{background:#fff;color:#1f4e79}
button:focus-visible,a:focus-visible,input:focus-visible,textarea:focus-visible{outline:3px solid #d98200}
textarea,input[type=file]{font:inherit;width:100%;box-sizing:border-box;margin:.25rem 0 .75rem}
.stamp{background:#8a1c1c;color:#fff;padding:.5rem 1rem;font-weight:bold}.problem{border-left:4px solid #8a1c1c;
background:#fdf3f3;padding:.5rem 1rem}footer{margin-top:3rem;border-top:1px solid #bbb;font-size:.75rem;color:#444}
"""
_ROLES = {"owner": "owner", "it_manager": "IT manager", "authority": "authority"}


def policy_of(page: str) -> str:
    """Return the Content-Security-Policy of a page: its own style by digest, forms to this server, nothing else."""
    digests = [
        "'sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() + "'"
        for style in re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    ]
    style = f"style-src {' '.join(digests)}; " if digests else ""
    return f"default-src 'none'; {style}form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def signing_page(offer: Offer, path: str, problem: tuple[str, str] = ("", "")) -> str:
    """Return the page of a good link; `problem` is what went wrong with a file that was brought, and its mend."""
    revision, link = offer.revision, offer.link
    name = statement_name(offer, "approve")
    title = f"Sign {revision.id} revision {revision.revision}"
    facts = (
        ("Document", f"{revision.title} ({revision.id}, revision {revision.revision})"),
        ("Organisation", offer.organization),
        ("What changed", f"{revision.change_description} ({revision.change_kind} change, by {revision.revised_by})"),
        ("You sign as", f"{offer.person.name}, {_ROLES[link.role]}"),
        ("With your key", offer.key_fingerprint),
        ("Document digest", revision.document_sha256),
        ("Policy digest", revision.policy_sha256),
        ("Link ends", f"{link.expires_time:%Y-%m-%d %H:%M} UTC, or with your signature"),
    )
    rows = "".join(f"<dt>{_(label)}</dt><dd>{_(value)}</dd>" for label, value in facts)
    declared = (
        f"I, {offer.person.name}, as {_ROLES[link.role]} of {offer.organization}, have {MEANINGS[link.role]} "
        f"{revision.id} revision {revision.revision}, {revision.title}."
    )
    told = _problem(*problem) if problem[0] else ""
    return _page(
        title,
        f"""{told}<h1>{_(title)}</h1>
<p>Nothing has to be installed for this. Your private key stays where it is: this page never asks for it, and takes only
the signature that your own <code>ssh-keygen</code> makes.</p>
<dl>{rows}</dl>
<h2>1. Read</h2>
<p><a class="button" href="{path}/document">Read the document</a> or take
<a href="{path}/document.md">its exact bytes</a>, whose SHA-256 is the document digest above.</p>
<h2>2. Take the statement</h2>
<blockquote>{_(declared)}</blockquote>
<form method="get" action="{path}/statement">
<input type="hidden" name="decision" value="approve"><button>Download the statement</button></form>
<h2>3. Sign it</h2>
<pre>ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n {_(NAMESPACE)} {_(name)}</pre>
<p>Use the key whose fingerprint is named above. The command writes <code>{_(name)}.sig</code> beside the file.</p>
<h2>4. Bring the signature</h2>
<form method="post" action="{path}" enctype="multipart/form-data">
<label for="signature">The file that ends in .sig</label>
<input id="signature" type="file" name="signature" accept=".sig" required><button>Sign</button></form>
<h2>Or send it back</h2>
<form method="get" action="{path}/statement">
<input type="hidden" name="decision" value="reject"><label for="comment">Why it cannot be signed as it is</label>
<textarea id="comment" name="comment" rows="3" maxlength="1000" required></textarea>
<button class="second">Download the rejection, to sign it likewise</button></form>""",
        evaluation=offer.evaluation,
        foot=f"{revision.id} revision {revision.revision}; document sha256 {revision.document_sha256}",
    )


def result_page(title: str, sentences: list[str], *, evaluation: bool = False) -> str:
    """Return a page that says how it ended."""
    words = "".join(f"<p>{_(sentence)}</p>" for sentence in sentences if sentence)
    return _page(title, f"<h1>{_(title)}</h1>{words}", evaluation=evaluation)


def statement_name(offer: Offer, decision: str) -> str:
    """Return the name of the statement's file."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", offer.revision.id)
    return f"{plain}-r{offer.revision.revision}-{decision}.json"


def _problem(reason: str, remedy: str) -> str:
    return f'<div class="problem" role="alert"><p>{_(reason)}</p><p>{_(remedy)}</p></div>'


def _page(title: str, body: str, *, evaluation: bool, foot: str = "") -> str:
    stamp = '<p class="stamp">EVALUATION: this SOP governs a trial only</p>' if evaluation else ""
    end = f"<footer>{_(foot)}</footer>" if foot else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body>{stamp}<main>{body}</main>{end}</body></html>\n"
    )


def _(text: str) -> str:
    return html.escape(text)
