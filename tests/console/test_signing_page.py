"""The page of a signatory who installs nothing: over real HTTPS, and once in a real browser without scripts."""

import asyncio
import hashlib
import http.client
import re
import shutil
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest

from sopwith_controller.adapters.sop_pages import render_revision
from sopwith_controller.console.signing import SigningRoutes
from sopwith_controller.console.signing_page import result_page
from sopwith_controller.domain.entities import SopState
from tests.console.web import web_port
from tests.controller.sop_fleet import DOCUMENT, ID, SopFleet
from tests.controller.ssh_people import new_key, signed
from tests.controller.test_signing_links import mint, with_key

pytestmark = pytest.mark.needs_tool("ssh-keygen")


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status_code: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


class Site:
    """A served signing page, and who signs there."""

    def __init__(self, fleet: SopFleet, key: Path, secret: str, port: int, trust: ssl.SSLContext) -> None:
        self.fleet, self.key, self.secret, self.port, self.trust = fleet, key, secret, port, trust

    async def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Answer:
        """Make one real HTTPS request."""

        def ask() -> Answer:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.trust, timeout=30)
            try:
                connection.request(method, path, body, {"Content-Type": kind} if kind else {})
                got = connection.getresponse()
                return Answer(got.status, {key.lower(): value for key, value in got.getheaders()}, got.read())
            finally:
                connection.close()

        return await asyncio.to_thread(ask)

    async def get(self, path: str = "", **words: str) -> Answer:
        return await self.ask("GET", f"/sign/{self.secret}{path}?{urlencode(words)}")

    async def bring(self, armoured: str) -> Answer:
        """Send the file as a browser's form does."""
        edge = "----edge-of-a-form"
        head = 'Content-Disposition: form-data; name="signature"; filename="statement.json.sig"'
        body = f"--{edge}\r\n{head}\r\nContent-Type: application/octet-stream\r\n\r\n{armoured}\r\n--{edge}--\r\n"
        return await self.ask("POST", f"/sign/{self.secret}", body.encode(), f"multipart/form-data; boundary={edge}")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    fleet, _, key = await with_key(tmp_path)
    secret = await mint(fleet)
    (tmp_path / "web").mkdir()
    routes = SigningRoutes(fleet.links, render_revision, monotonic=lambda: 0.0)
    async with web_port(tmp_path / "web", signing=routes) as web:
        trust = ssl.create_default_context(cadata=web.issuer.trust_bundle_pem.decode())
        yield Site(fleet, key, secret, web.port, trust)


async def test_signatory_reads_takes_signs_and_brings_and_the_revision_is_effective(site):
    page = await site.get()
    exact = await site.get("/document.md")
    shown = await site.get("/document")
    statement = await site.get("/statement", decision="approve")

    done = await site.bring(signed(site.key, statement.content))

    assert page.status_code == 200
    assert "SU-SOP-001 revision 1" in page.text
    assert hashlib.sha256(DOCUMENT).hexdigest() in page.text
    assert "I, authority, as authority of Example, have approved SU-SOP-001 revision 1" in page.text
    assert exact.content == DOCUMENT
    assert "Safety Precautions" in shown.text
    assert 'filename="SU-SOP-001-r1-approve.json"' in statement.headers["content-disposition"]
    assert done.status_code == 200
    assert "It is EFFECTIVE now." in done.text
    assert (await site.fleet.sops.get(ID)).revision.state is SopState.EFFECTIVE
    assert (await site.get()).status_code == 403
    assert "was used on" in (await site.get()).text


async def test_no_page_runs_anything_or_asks_for_a_key_and_no_browser_keeps_it(site):
    for answer in (await site.get(), await site.get("/document"), await site.bring("nothing")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "<script" not in answer.text.lower()
        assert not re.search(r"\son[a-z]+=|javascript:|style=\"|src=", answer.text)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("another key", "was made with the key SHA256:"),
        ("another payload", "does not hold over this statement"),
        ("another purpose", "made for &#x27;file&#x27;, not for a SOP"),
        ("a private key", "is no signature of ssh-keygen"),
        ("nothing", "is no signature of ssh-keygen"),
    ],
)
async def test_what_is_no_signature_over_this_statement_is_refused_in_words(site, tmp_path, what, words):
    payload = (await site.get("/statement", decision="approve")).content
    brought = {
        "another key": lambda: signed(new_key(tmp_path, "stranger"), payload),
        "another payload": lambda: signed(site.key, payload + b" "),
        "another purpose": lambda: signed(site.key, payload, "file"),
        "a private key": site.key.read_text,
        "nothing": lambda: "",
    }[what]()

    answer = await site.bring(brought)

    assert answer.status_code == 400
    assert words in answer.text
    assert "Bring the signature" in answer.text
    if what == "a private key":
        assert brought.splitlines()[1] not in answer.text
    assert (await site.fleet.sops.get(ID)).signatures_missing == ("authority",)


async def test_bare_body_is_taken_as_well_and_one_that_is_too_large_is_not(site):
    payload = (await site.get("/statement", decision="approve")).content
    large = await site.ask("POST", f"/sign/{site.secret}", b"x" * 70_000)
    large_form = await site.bring("x" * 70_000)

    done = await site.ask("POST", f"/sign/{site.secret}", signed(site.key, payload).encode())

    assert (large.status_code, large_form.status_code) == (400, 400)
    assert "did not arrive whole" in large.text
    assert done.status_code == 200


async def test_unknown_link_and_wrong_words_are_refused_on_a_page(site):
    unknown = await site.ask("GET", "/sign/AAAA")
    decision = await site.get("/statement", decision="maybe")
    reason = await site.get("/statement", decision="reject")
    again = [await site.ask("GET", "/sign/AAAA") for _ in range(60)]

    assert (unknown.status_code, decision.status_code, reason.status_code) == (403, 400, 400)
    assert "this link is not known here" in unknown.text
    assert "is no decision" in decision.text
    assert "a rejection says why" in reason.text
    assert again[-1].status_code == 429


def test_what_people_wrote_is_never_markup():
    assert "<b>" not in result_page("<b>", ["<b>bold</b>", ""])


@pytest.mark.needs_tool("chromium")
async def test_real_browser_shows_the_page_and_finds_nothing_against_its_policy(site, tmp_path):
    picture, home = tmp_path / "page.png", tmp_path / "browser"

    browser = await asyncio.create_subprocess_exec(
        shutil.which("chromium") or "chromium",
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors"),
        *("--no-first-run", "--disable-background-networking", "--enable-logging=stderr"),
        f"--user-data-dir={home}",
        *("--window-size=900,1500", f"--screenshot={picture}", f"https://127.0.0.1:{site.port}/sign/{site.secret}"),
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(browser.communicate(), 90)

    assert picture.is_file(), errors.decode()[-2000:]
    assert picture.stat().st_size > 20_000
    assert b"Content Security Policy" not in errors
    assert (await site.get()).status_code == 200  # looking at the page used nothing up
