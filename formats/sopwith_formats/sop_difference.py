"""What changed between two revisions of a SOP, for the people whom it concerns: what `sopwith sop diff` shows.

Decides which values and which sections differ, whether a difference is enforced by the machine, and whom it concerns.
Whether a revision is editorial or material is the policy digests' word alone, never this list's. Rules:

- values are compared as they are written in the front matter; a list whose items carry an id, a name or a symptom is
  compared item by item, so that a step that moved is not reported as fourteen that changed;
- a value is enforced unless its key is one of those that may be rewritten freely (`FREE_KEYS`); where the policy
  digests are equal, nothing that differs is more than another writing of the same;
- the body is compared as it is read, section by section, with its references replaced: a number that changed shows
  where people read it, too.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sopwith_formats.documents import Document, Place, key_path
from sopwith_formats.sop_audiences import concerned, concerned_by_section
from sopwith_formats.sop_document import SopDocument
from sopwith_formats.sop_front_matter import FREE_KEYS
from sopwith_formats.sop_references import replace_references

_NAMES = ("id", "name", "symptom", "when", "role", "severity", "to", "title")
_BEFORE_HEADINGS = "before the first heading"
_NOT_COMPARED = frozenset({"revision", "change"})


@dataclass(frozen=True)
class ValueChange:
    """One value of the front matter; before or after is empty where the value was added or removed."""

    key: str
    """Path such as limits.attempts_max.default or steps[S4].time_limit."""
    before: str
    after: str
    enforced: bool
    line: int
    """Line in the newer document, of the older one where the value was removed."""
    audiences: tuple[str, ...]


@dataclass(frozen=True)
class SectionChange:
    """One section of the body: its lines with what went (-) and what came (+)."""

    heading: str
    lines: tuple[str, ...]
    audiences: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """Everything that differs between two revisions."""

    sop_id: str
    before_revision: int
    after_revision: int
    material: bool
    """The policy digests differ."""
    values: tuple[ValueChange, ...]
    sections: tuple[SectionChange, ...]

    def for_audience(self, audience: str) -> "Difference":
        """Return what concerns one audience; an empty one is everybody's."""
        if not audience:
            return self
        return Difference(
            self.sop_id,
            self.before_revision,
            self.after_revision,
            self.material,
            tuple(change for change in self.values if audience in change.audiences),
            tuple(change for change in self.sections if audience in change.audiences),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the difference as a JSON document."""
        return {
            "id": self.sop_id,
            "from_revision": self.before_revision,
            "to_revision": self.after_revision,
            "change_kind": "material" if self.material else "editorial",
            "values": [{**vars(change), "audiences": list(change.audiences)} for change in self.values],
            "sections": [
                {"heading": change.heading, "lines": list(change.lines), "audiences": list(change.audiences)}
                for change in self.sections
            ],
        }


def compare(before: SopDocument, after: SopDocument) -> Difference:
    """Return what differs between two readable revisions of one SOP."""
    return Difference(
        sop_id=after.front.id,
        before_revision=before.front.revision,
        after_revision=after.front.revision,
        material=before.policy_sha256 != after.policy_sha256,
        values=tuple(_values(before, after)),
        sections=tuple(_sections(before, after)),
    )


def _values(before: SopDocument, after: SopDocument) -> Iterator[ValueChange]:
    old, new = dict(_leaves(before.tree)), dict(_leaves(after.tree))
    same_policy = before.policy_sha256 == after.policy_sha256
    for key in (*old, *(key for key in new if key not in old)):
        was, now = old.get(key), new.get(key)
        if was is not None and now is not None and was.text == now.text:
            continue
        top = key[0]
        if top in _NOT_COMPARED:
            continue
        held = now or was
        enforced = not same_policy and not _is_free(key)
        yield ValueChange(
            key=_path(key),
            before=was.text if was else "",
            after=now.text if now else "",
            enforced=enforced,
            line=held.line if held else 0,
            audiences=concerned(str(top)),
        )


def _is_free(key: tuple[str, ...]) -> bool:
    words = [part for part in key if not part.startswith("[")]
    return any(".".join(words[:length]) in FREE_KEYS for length in range(1, len(words) + 1))


@dataclass(frozen=True)
class _Leaf:
    text: str
    line: int


def _leaves(tree: Document) -> Iterator[tuple[tuple[str, ...], _Leaf]]:
    yield from _walk(tree, tree.value, (), ())


def _walk(tree: Document, value: Any, place: Place, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], _Leaf]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _walk(tree, item, (*place, name), (*key, name))
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        names = _item_names(value)
        for index, item in enumerate(value):
            yield from _walk(tree, item, (*place, index), (*key, f"[{names[index]}]"))
    else:
        yield key, _Leaf(_text(value), tree.line(place))


def _item_names(items: list[Any]) -> list[str]:
    """Return a name for each item: its own where all have one and it stands once, else its number from 1."""
    for name in _NAMES:
        values = [str(item[name]) if isinstance(item, dict) and name in item else "" for item in items]
        if all(values) and len(set(values)) == len(values):
            return values
    return [str(number) for number in range(1, len(items) + 1)]


def _path(key: tuple[str, ...]) -> str:
    return key_path(key).replace(".[", "[")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, dict) or value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _sections(before: SopDocument, after: SopDocument) -> Iterator[SectionChange]:
    old, new = _texts(before), _texts(after)
    for heading in (*new, *(heading for heading in old if heading not in new)):
        was, now = old.get(heading, []), new.get(heading, [])
        if was == now:
            continue
        lines = [line for line in difflib.ndiff(was, now) if line[:1] in "+-"]
        yield SectionChange(heading, tuple(lines), concerned_by_section(heading))


def _texts(sop: SopDocument) -> dict[str, list[str]]:
    """Return the paragraphs of each section as people read them."""
    values = {key: value for key, value in sop.tree.value.items() if key != "revision"}
    sections: dict[str, list[str]] = {_BEFORE_HEADINGS: []}
    heading = _BEFORE_HEADINGS
    for block in re.split(r"\n\s*\n", sop.body):
        text = block.strip()
        if match := re.match(r"#{1,6} +([^\n]*)\n?(.*)", text, re.DOTALL):
            heading, text = match[1].strip(), match[2].strip()
            sections.setdefault(heading, [])
        for piece in re.split(r"\n(?=[-*] )", text):
            if piece.strip():
                sections[heading].append(replace_references(" ".join(piece.split()), values))
    return sections
