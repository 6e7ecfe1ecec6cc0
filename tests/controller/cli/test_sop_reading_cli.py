"""`sopwith sop diff`, `render` and the site: what readers of a SOP type, offline and against a real server."""

import re
from ctypes.util import find_library

import pytest

from sopwith_controller.desk.sop_paper import render_pdf
from sopwith_formats.sop_document import read_sop_document
from sopwith_formats.sop_tables import Surroundings
from tests.controller.cli.test_sop_cli import office, sopwith  # noqa: F401  a fixture
from tests.controller.sop_fleet import DOCUMENT, ID, revised

NEXT = revised(2, ("count: {default: 3, min: 1}", "count: {default: 7, min: 1}"), ("Initial issue", "Seven at most"))


async def make_effective(folder, *, document=""):
    await sopwith("--context", "owner.toml", "sop", "submit", document or ID, folder=folder)
    for name in ("owner", "manager", "authority"):
        await sopwith("--context", f"{name}.toml", "sop", "sign", ID, "--yes", folder=folder)


async def test_two_files_are_compared_without_a_controller(tmp_path):
    (tmp_path / "a.md").write_bytes(DOCUMENT)
    (tmp_path / "b.md").write_bytes(NEXT)

    shown = await sopwith("sop", "diff", "a.md", "b.md", folder=tmp_path)
    document = (await sopwith("sop", "diff", "a.md", "b.md", "-o", "json", folder=tmp_path)).document()
    names = await sopwith("sop", "diff", "a.md", "b.md", "-o", "name", folder=tmp_path)
    same = await sopwith("sop", "diff", "a.md", "a.md", folder=tmp_path)

    assert "revision 1 to 2, material" in shown.out
    assert re.search(r"safety\.error_threshold\.count\.default +3 +7 +yes", shown.out)
    assert "when 7 computers have failed" in shown.out
    assert (document["change_kind"], len(document["values"])) == ("material", 1)
    assert names.out == "safety.error_threshold.count.default\n"
    assert "nothing differs" in same.err


async def test_revisions_of_a_sop_are_compared_by_their_numbers(office):  # noqa: F811  the fixture
    await make_effective(office)
    (office / "next.md").write_bytes(NEXT)
    before = await sopwith("--context", "owner.toml", "sop", "diff", ID, "next.md", folder=office)
    await make_effective(office, document="next.md")

    newest = await sopwith("--context", "owner.toml", "sop", "diff", ID, "--audience", "operator", folder=office)
    wrong = await sopwith("--context", "owner.toml", "sop", "diff", ID, "--from", "7", folder=office, expect=1)
    missing = await sopwith("--context", "owner.toml", "sop", "diff", ID, "gone.md", folder=office, expect=1)

    assert before.out == newest.out
    assert "has no revision 7 to compare; it has 1, 2" in wrong.err
    assert "gone.md cannot be read" in missing.err


@pytest.mark.clause("5 Distribute and integrate", "site")
async def test_site_links_every_revision_view_and_change(office):  # noqa: F811  the fixture
    await make_effective(office)
    (office / "next.md").write_bytes(NEXT)
    await make_effective(office, document="next.md")

    await sopwith("--context", "owner.toml", "sop", "render", ID, "--format", "site", "--out", "wiki", folder=office)

    site = {path.name: path.read_text() for path in (office / "wiki").iterdir()}
    links = {link for page in site.values() for link in re.findall(r'href="([^"#]+)"', page)}
    assert links <= set(site)
    assert set(site) - links == set()
    assert "revision 2</a> (EFFECTIVE)" in site["index.html"]
    assert "SUPERSEDED" in site["index.html"]
    assert "This is not the revision in force" in site["revision-1.html"]
    assert "This is not the revision in force" not in site["revision-2.html"]
    assert (office / "wiki" / "revision-2.md").read_bytes() == NEXT
    assert "<td>3</td><td>7</td><td>enforced</td>" in site["changes-2.html"]
    assert "View for the executive" in site["executive.html"]
    assert "<script" not in "".join(site.values())


async def test_pdf_is_made_on_the_readers_own_machine(tmp_path):
    if find_library("pangoft2-1.0") is None:
        pytest.skip("the system's Pango is missing; `make system-tools` installs it")
    (tmp_path / "sop.md").write_bytes(DOCUMENT)
    sop = read_sop_document(DOCUMENT)

    await sopwith("sop", "render", "sop.md", "--format", "pdf", "--out", "sop.pdf", folder=tmp_path)
    short = render_pdf(sop, Surroundings("EFFECTIVE"), "executive")

    whole = (tmp_path / "sop.pdf").read_bytes()
    assert whole.startswith(b"%PDF-")
    assert whole.rstrip().endswith(b"%%EOF")
    assert len(short) < len(whole)


async def test_form_that_needs_a_place_says_so(tmp_path):
    (tmp_path / "sop.md").write_bytes(DOCUMENT)

    pdf = await sopwith("sop", "render", "sop.md", "--format", "pdf", folder=tmp_path, expect=2)
    view = await sopwith("sop", "render", "sop.md", "--audience", "executive", folder=tmp_path)

    assert "--format pdf needs --out PATH" in pdf.err
    assert "View for the executive." in view.out
