"""Dataclasses come back from canonical JSON exactly as they went in, or not at all."""

from dataclasses import dataclass, field

import pytest

from sopwith_formats import canonical_json, typed_json
from sopwith_formats.errors import FormatError
from sopwith_formats.rollout_spec import RolloutSpec, read_rollout_spec
from sopwith_formats.sop_policy import Range, WaveRule, Window


@dataclass(frozen=True)
class Leaf:
    name: str
    size: int | str


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    by_name: dict[str, Leaf] = field(default_factory=dict)
    best: Leaf | None = None
    flag: bool = False


def test_dataclass_survives_writing_and_reading():
    tree = Tree((Leaf("a", 1), Leaf("b", "10%")), {"c": Leaf("c", 2)}, Leaf("d", 3), flag=True)

    read = typed_json.read_document(Tree, typed_json.write_document(tree, version=1), version=1)

    assert read == tree


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "lacks the key 'leaves'"),
        ({"leaves": {}}, "leaves: is of type dict, not list"),
        ({"leaves": [{"name": "a"}]}, r"leaves\[0\]: lacks the key 'size'"),
        ({"leaves": [{"name": "a", "size": True}]}, r"leaves\[0\].size: is of type bool"),
        ({"leaves": [{"name": 1, "size": 1}]}, r"leaves\[0\].name: is of type int, not str"),
        ({"leaves": [], "flag": 1}, "flag: is of type int, not bool"),
        ({"leaves": [], "odd": 1}, "unknown key 'odd'"),
        ({"leaves": [], "best": "x"}, "best: is of type str"),
        ({"leaves": [], "by_name": {"x": []}}, "by_name.x: is list, not a group"),
        ([], "not a group"),
    ],
)
def test_other_shape_is_refused_with_its_place(document, message):
    with pytest.raises(FormatError, match=message):
        typed_json.read_dataclass(Tree, document)


def test_other_format_version_is_refused():
    data = canonical_json.encode({"format": 2, "leaves": []})

    with pytest.raises(FormatError, match="format 1"):
        typed_json.read_document(Tree, data, version=1)


def test_rollout_spec_survives_writing_and_reading():
    spec = RolloutSpec(
        "hello", "hello@1", "SU-SOP-001", waves=(WaveRule("canary", 1, 60),), window=Window("FREQ=DAILY", "22:00", 3600)
    )

    assert read_rollout_spec(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("bounds", "value", "admitted"),
    [
        (Range("95%", "80%", "100%"), "80%", True),
        (Range("95%", "80%", "100%"), "79.9%", False),
        (Range(3, 1, 10), 11, False),
        (Range(3, None, None), 10_000, True),
        (Range("10%", None, "20%"), 5, True),
        (Range("10%", None, "20%"), "20.01%", False),
    ],
)
def test_range_admits_what_lies_within_its_bounds(bounds, value, admitted):
    assert bounds.admits(value) is admitted
