"""The strict loader: what it reads, what it refuses, and where it says the fault lies."""

import pytest
from pydantic import Field

from sopwith_formats.document_values import Duration, Percent
from sopwith_formats.documents import (
    DOCUMENT_BYTES_MAX,
    Document,
    StrictModel,
    load_document,
    parse_document,
    read_model,
)
from sopwith_formats.problems import DocumentError, Problem


class Wave(StrictModel):
    name: str
    soak: Duration = 0


class Sample(StrictModel):
    title: str
    count: int = Field(default=1, ge=1, le=10)
    share: Percent = "100%"
    waves: list[Wave] = Field(default_factory=list)


def faults(data: bytes) -> list[tuple[int, str]]:
    return [(problem.line, problem.key) for problem in parse_document(data, "x.yaml").problems]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2.10", "2.10"),
        ("1e3", "1e3"),
        ("yes", "yes"),
        ("0x10", "0x10"),
        ("010", "010"),
        ("2026-11-22", "2026-11-22"),
        ("12:30:00", "12:30:00"),
        ("true", True),
        ("null", None),
        ("", None),
        ("-7", -7),
        ('"3"', "3"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
    ],
)
def test_value_is_read_as_it_was_written(written, read):
    document = load_document(f"value: {written}\n".encode(), "x.yaml")

    assert document.value == {"value": read}


def test_text_key_stays_text_whatever_it_looks_like():
    data = b"version: 3\nchecks:\n- {expect: true, count: 3}\n"

    document = load_document(data, "x.yaml", text_keys={"version", "checks[].expect"})

    assert document.value == {"version": "3", "checks": [{"expect": "true", "count": 3}]}


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"a: 1\nb: 2\na: 3\n", (3, "a")),
        (b"a: &x 1\n", (1, "a")),
        (b"a: 1\nb: *a\n", (2, "b")),
        (b"a:\n  b: !!python/name:os.system x\n", (2, "a.b")),
        (b"a: [1, !!str 2]\n", (1, "a[1]")),
        (b"a: 99999999999999999999\n", (1, "a")),
        (b"? [1]\n: 2\n", (1, "")),
        (b"%YAML 1.1\n---\na: 1\n", (2, "")),
        (b"a: 1\n---\nb: 2\n", (2, "")),
        (b"a: {b: 1\n", (2, "")),
        (b"a: 1\n\xff: 2\n", (2, "")),
        (b"a: " + b"[" * 40 + b"]" * 40, (1, "")),
        (b"a: \x00\n", (0, "")),
        (b"# " + b"x" * DOCUMENT_BYTES_MAX, (1, "")),
        (b"a: [" + b"1," * 20_001 + b"]", (1, "")),
        (b'a: "\\UFFFFFFFF"\n', (1, "")),
    ],
)
def test_ambiguous_yaml_is_refused_with_its_place(data, place):
    found = faults(data)

    assert place in found


def test_all_faults_are_reported_at_once():
    data = b"titel: x\ncount: 11\nshare: 95\nwaves:\n- {name: a, soak: 30}\n- {soak: 5m}\ncount: 2\n"

    with pytest.raises(DocumentError) as caught:
        read_model(data, "x.yaml", Sample)

    assert [(problem.line, problem.key) for problem in caught.value.problems] == [
        (1, "title"),
        (1, "titel"),
        (2, "count"),
        (3, "share"),
        (5, "waves[0].soak"),
        (6, "waves[1].name"),
        (7, "count"),
    ]
    assert all(problem.remedy for problem in caught.value.problems)


def test_unknown_key_is_answered_with_the_nearest_known_one():
    with pytest.raises(DocumentError) as caught:
        read_model(b"title: x\nwaves:\n- {name: a, soack: 5m}\n", "x.yaml", Sample)

    assert str(caught.value) == "x.yaml:3: waves[0].soack: is not known here (did you mean soak?)"


def test_lines_count_from_the_first_line_that_was_given():
    with pytest.raises(DocumentError) as caught:
        read_model(b"title: x\ncount: eleven\n", "x.md", Sample, first_line=2)

    assert [problem.line for problem in caught.value.problems] == [3]


def test_checked_values_are_normalised():
    model, document = read_model(b"title: x\nshare: 2.50%\nwaves: [{name: a, soak: 1h30m}]\n", "x.yaml", Sample)

    assert (model.share, model.waves[0].soak) == ("2.5%", 5400)
    assert document.line(("waves", 0, "soak")) == 3


def test_list_instead_of_keys_is_refused():
    with pytest.raises(DocumentError, match="no group of keys"):
        read_model(b"- a\n", "x.yaml", Sample)


def test_problem_without_line_names_the_file_only():
    assert str(Problem("x.yaml", 0, "", "is missing")) == "x.yaml: is missing"


def test_line_of_an_absent_value_is_its_parents():
    document = Document("x.yaml", lines={(): 1, ("a",): 4})

    assert document.line(("a", "b", 3)) == 4
