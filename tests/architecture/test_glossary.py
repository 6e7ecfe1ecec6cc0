"""The closed vocabularies of the code and the glossary page list the same words."""

import re
from pathlib import Path

import pytest

from sopwith_formats.vocabulary import AssignmentState, Outcome, Symptom

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("vocabulary", [AssignmentState, Outcome, Symptom])
def test_every_word_of_the_code_is_in_the_glossary(vocabulary):
    words = set(re.findall(r"\b[A-Z][A-Z_0-9]+\b", PAGE))

    assert {word.value for word in vocabulary} <= words


def test_every_symptom_of_the_glossary_is_in_the_code():
    section = PAGE.split("## Symptoms")[1]

    words = {word for word in re.findall(r"\b[A-Z][A-Z_0-9]+\b", section) if word not in {"SOP", "TUF"}}

    assert words == {symptom.value for symptom in Symptom}
