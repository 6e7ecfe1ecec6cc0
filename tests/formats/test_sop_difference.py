"""What changed between two revisions: values with their enforcement, sections as people read them, whom it concerns."""

import re

import pytest

from sopwith_formats.errors import FormatError
from sopwith_formats.sop_audiences import AUDIENCES, SECTIONS, check_audience, concerned, shows_section
from sopwith_formats.sop_difference import compare
from sopwith_formats.sop_document import read_sop_document
from sopwith_formats.sop_front_matter import FrontMatter
from sopwith_formats.sop_words import HEADINGS, PROCEDURE_HEADINGS
from tests.formats.test_sop_document import FILLED, changed, line_of

SOP = read_sop_document(FILLED)


def difference(*changes, data=FILLED):
    for old, new in changes:
        data = changed(old, new, data)
    return compare(SOP, read_sop_document(data)), data


def test_same_document_has_no_difference():
    found, _ = difference()

    assert (found.values, found.sections, found.material) == ((), (), False)


def test_changed_threshold_is_material_enforced_and_stands_where_people_read_it():
    found, data = difference(("count: {default: 3, min: 1}", "count: {default: 7, min: 1}"))

    (value,) = found.values
    assert (value.key, value.before, value.after) == ("safety.error_threshold.count.default", "3", "7")
    assert value.enforced
    assert value.line == line_of("count: {default: 7", data)
    assert value.audiences == AUDIENCES
    assert found.material
    (section,) = found.sections
    assert section.heading == "C. Safety Precautions"
    assert any("when 7 computers have failed" in line for line in section.lines if line.startswith("+"))


def test_typo_in_an_objective_is_editorial_and_concerns_no_operator():
    found, _ = difference(("stays a small matter", "remains a small matter"))

    (value,) = found.values
    assert value.key == "objectives[O3].text"
    assert not value.enforced
    assert not found.material
    assert "operator" not in value.audiences
    assert found.for_audience("operator").values == ()
    assert found.for_audience("executive").values == (value,)


def test_other_writing_of_the_same_duration_is_not_enforced():
    found, _ = difference(("install_timeout: 30m", "install_timeout: 1800s"))

    (value,) = found.values
    assert (value.before, value.after, value.enforced) == ("30m", "1800s", False)


def test_removed_step_is_one_step_and_the_others_keep_their_names():
    text = FILLED.decode()
    start, end = text.index("  - id: S9\n"), text.index("  - id: S10\n")
    found, _ = difference(data=(text[:start] + text[end:]).encode())

    assert {change.key.split(".")[0] for change in found.values} == {"steps[S9]"}
    assert all(change.after == "" and change.enforced for change in found.values)


def test_added_sentence_shows_in_its_section_only():
    found, _ = difference(("A rollout whose audience reaches beyond it is refused.", "Everything else is refused."))

    (section,) = found.sections
    assert section.heading == "II. Scope"
    assert [line[0] for line in section.lines] == ["-", "+"]
    assert found.values == ()


def test_difference_as_json_names_kind_and_revisions():
    found, _ = difference(
        ("\nrevision: 1\n", "\nrevision: 2\n"), ("attempts_max: {default: 3", "attempts_max: {default: 2")
    )

    document = found.as_dict()

    assert (document["id"], document["from_revision"], document["to_revision"]) == ("SU-SOP-001", 1, 2)
    assert document["change_kind"] == "material"
    assert [value["key"] for value in document["values"]] == ["limits.attempts_max.default"]


FREE = [
    ("\ntitle: Software Updates", "\ntitle: Updates of Software"),
    ("description: Initial issue", "description: Some other issue"),
    ("personnel: everybody", "personnel: anybody"),
    ('description: "The signed source', 'description: "A signed source'),
    ('text: "A tested way', 'text: "Some tested way'),
    ("to: All staff", "to: The staff"),
    ("edition: Revision 4", "edition: Revision 5"),
    ("V.A: [A.8.19]", "V.A: [A.8.18]"),
    ('target: "<= 60 s"', 'target: "<= 50 s"'),
]
ENFORCED = [
    ("action: Start the rollout.", "action: Begin the rollout."),
    ("fresh_within: 15m", "fresh_within: 10m"),
    ("notice: 15m, deferrals_max: 3", "notice: 15m, deferrals_max: 2"),
    ("memory: {enforce: warn}", "memory: {enforce: block}"),
    ("retention: 6y", "retention: 7y"),
    ("guidance: Treat the source", "guidance: Regard the source"),
    ("hard_expiry: false", "hard_expiry: true"),
    ("text: A computer is not safe", "text: A computer is unsafe"),
]


@pytest.mark.parametrize(("old", "new"), FREE)
def test_free_key_keeps_the_policy_digest(old, new):
    found, _ = difference((old, new))

    assert not found.material
    assert not any(value.enforced for value in found.values)


@pytest.mark.parametrize(("old", "new"), ENFORCED)
def test_enforced_key_changes_the_policy_digest(old, new):
    found, _ = difference((old, new))

    assert found.material
    assert all(value.enforced for value in found.values)


def test_every_key_and_every_section_concerns_the_auditor_and_somebody_else():
    for key in FrontMatter.model_fields:
        assert concerned(key)[-1] == "auditor"
    for heading in (*HEADINGS, *PROCEDURE_HEADINGS):
        assert shows_section("auditor", heading)
    known = {*HEADINGS, *PROCEDURE_HEADINGS}
    assert all(set(sections) <= known for sections in SECTIONS.values())


def test_unknown_audience_is_refused_with_the_words_that_are_known():
    with pytest.raises(FormatError, match=re.escape("operator, manager, executive, auditor")):
        check_audience("everybody")
