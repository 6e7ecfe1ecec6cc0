"""The SOP as people read it: all sections in the template's words, numbers from the front matter, nothing as markup."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from sopwith_formats import sop_words
from sopwith_formats.sop_audiences import AUDIENCES, shows_section
from sopwith_formats.sop_document import read_sop_document
from sopwith_formats.sop_references import TABLES, find_references, look_up
from sopwith_formats.sop_rendering import TEXT_WIDTH, render_html, render_text
from sopwith_formats.sop_tables import RevisionLine, SignatureLine, Surroundings, draw
from sopwith_formats.sop_template import fill_template
from tests.formats.test_sop_document import BLANKS, FILLED, changed

SOP = read_sop_document(FILLED)
AROUND = Surroundings(
    "EFFECTIVE",
    (SignatureLine("owner", "owner", "authored", "2026-11-22T02:00:00Z", "sha256:0123456789abcdef0123"),),
    (RevisionLine(1, "Initial issue", "2026-11-22", "owner"),),
)


@pytest.mark.clause("I Purpose", "name")
def test_clause_i_purpose_names_the_organisation():
    sop = read_sop_document(fill_template(replace(BLANKS, organization="Ada & Sons <Ltd>")))

    assert "computers of Ada & Sons <Ltd> is updated" in render_text(sop, AROUND)
    assert "Ada &amp; Sons &lt;Ltd&gt;" in render_html(sop, AROUND)


def test_every_heading_of_the_template_stands_in_the_paper():
    text, page = render_text(SOP, AROUND), render_html(SOP, AROUND)

    for heading in (*sop_words.HEADINGS, *sop_words.PROCEDURE_HEADINGS):
        assert f"\n{heading}\n" in text
        assert re.search(rf"<h[23]>{re.escape(heading)}</h[23]>", page)


def test_no_reference_is_left_and_no_line_is_too_long():
    text = render_text(SOP, AROUND)

    assert "{{" not in text
    assert max(map(len, text.splitlines())) <= TEXT_WIDTH


def test_changed_number_changes_the_paper():
    sop = read_sop_document(changed("count: {default: 3, min: 1}", "count: {default: 7, min: 1}"))

    assert "when 7 computers have failed" in " ".join(render_text(sop, AROUND).split())


def test_clause_vii_approval_shows_who_signed_and_who_has_not():
    table = draw("table.signatures", SOP, AROUND)

    assert table.rows[0] == ("owner", "owner", "authored", "2026-11-22T02:00:00Z", "0123456789abcdef")
    assert table.rows[2][:4] == ("authority", "authority", "", "not signed")


@pytest.mark.clause("VIII Revision history", "columns")
def test_clause_viii_history_has_the_columns_of_the_template():
    table = draw("table.revisions", SOP, Surroundings())

    assert table.titles == ("Revision", "Description", "Date", "Revised By")
    assert table.rows == (("1", "Initial issue", "2026-11-22", "owner"),)


@pytest.mark.clause("V.D Troubleshooting", "recorded")
def test_clause_v_d_every_symptom_of_a_computer_has_its_row():
    listed = [row[0] for row in draw("table.troubleshooting", SOP, AROUND).rows]

    assert sorted(listed) == sorted(sop_words.COMPUTER_SYMPTOMS)


@pytest.mark.clause("V.C PPE", "remote")
def test_clause_v_c_remote_work_needs_no_protective_equipment():
    rows = {row[0]: row[1] for row in draw("table.protective_equipment", SOP, AROUND).rows}

    assert rows["remote"] == "none"
    assert "wrist strap" in rows["hands on"]


@pytest.mark.clause("Article", "footer")
def test_both_digests_stand_at_the_end_of_every_rendering():
    for paper in (render_text(SOP, AROUND), render_html(SOP, AROUND)):
        assert SOP.document_sha256 in paper
        assert SOP.policy_sha256 in paper


def test_every_table_can_be_drawn_and_is_used_by_the_shipped_sop():
    used = {path for _, path in find_references(SOP.body)}

    assert set(TABLES) <= used
    assert all(draw(name, SOP, AROUND).rows for name in TABLES)


def test_reference_leads_to_a_default_a_bound_or_a_list_item():
    values = SOP.tree.value

    assert look_up(values, "limits.attempts_max") == (True, "3")
    assert look_up(values, "limits.attempts_max.max") == (True, "10")
    assert look_up(values, "limits.install_timeout.max") == (True, "30m")
    assert look_up(values, "waves.default.1.soak") == (True, "30m")
    assert look_up(values, "review.on")[1].startswith("severity_1_incident, ")
    assert look_up(values, "reboot.forced_at_deadline") == (True, "no")
    assert look_up(values, "windows.default") == (True, "always")
    assert look_up(values, "nothing.there") == (False, "")
    assert look_up(values, "waves.default") == (False, "")


@pytest.mark.clause("Article", "views")
@pytest.mark.parametrize("audience", AUDIENCES)
def test_view_says_that_it_is_one_and_shows_what_its_readers_need(audience):
    text = render_text(SOP, AROUND, audience)

    assert f"View for the {audience}." in text
    assert "What was signed is the whole document: SU-SOP-001 revision 1." in " ".join(text.split())
    for heading in (*sop_words.HEADINGS, *sop_words.PROCEDURE_HEADINGS):
        assert (f"\n{heading}\n" in text) == shows_section(audience, heading)
    assert SOP.document_sha256 in text


@pytest.mark.clause("VI References", "controls")
def test_auditor_is_shown_the_controls_and_the_executive_no_steps():
    auditor, executive = render_html(SOP, AROUND, "auditor"), render_html(SOP, AROUND, "executive")

    assert "A.8.32" in auditor
    assert "Supports evidence for" in auditor
    assert "Gather the newest" not in executive.replace("<svg", "\n<svg").split("<h2>VI")[0].split("<figure>")[0]
    assert len(executive) < len(auditor)


@pytest.mark.clause("Article", "flow")
def test_flow_shows_every_step_below_its_actor():
    page = render_html(SOP, AROUND)

    picture = ET.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])  # noqa: S314  our own page
    words = [element.text for element in picture.iter("text")]
    for step in SOP.front.steps:
        assert step.id in words
    assert {"operator", "controller", "computer", "IT manager", "release manager"} <= set(words)
    assert len(list(picture.iter("path"))) == len(SOP.front.steps) - 1 + 1
    assert "Flow: S1 release manager -> S2 operator" in " ".join(render_text(SOP, AROUND).split())


def test_name_in_a_step_cannot_become_markup_of_the_picture():
    sop = read_sop_document(changed("action: Start the rollout.", 'action: "Start <b onload=x> the rollout."'))

    assert "<b onload" not in render_html(sop, AROUND)
