r"""The strict loader: YAML that people write, read so that nothing in it can mean two things.

Decides what a document of ours may contain and where each value stands; what the values mean is left to the module of
each document (release, rollout, SOP). Rules:

- one YAML 1.2 document of at most 256 KiB, 20,000 values and 16 levels; no directives;
- no anchors, aliases or tags: what is written is what is meant;
- keys are text, each stands once; unknown keys are refused by the models (`StrictModel`);
- `null` or nothing is null, `true` and `false` are truth values, decimal whole numbers within 53 bits are numbers, and
  everything else is the text as it was written: `2.10`, `1e3`, `yes`, `0x10`, `2026-11-22` stay what they look like;
- keys named in `text_keys` are text whatever they look like (`version: 3` is the text "3");
- every fault is reported, not only the first, with file, line, key and mend.

>>> load_document(b"version: 2.10\ncount: 3\n", "example.yaml").value
{'version': '2.10', 'count': 3}
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml import events as yaml_events
from ruamel.yaml.error import YAMLError

from sopwith_formats.canonical_json import INTEGER_MAX
from sopwith_formats.document_faults import explain
from sopwith_formats.problems import DocumentError, Problem

DOCUMENT_BYTES_MAX = 256 * 2**10
DOCUMENT_VALUES_MAX = 20_000
DOCUMENT_DEPTH_MAX = 16

Place = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_DIGITS_MAX = 16


class StrictModel(BaseModel):
    """Base of all document models: unknown keys and lenient conversions are refused, instances never change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


_ALIAS = "is the alias *"


@dataclass
class Document:
    """A loaded document: its values, the line of each, and the faults found so far."""

    file: str
    first_line: int = 1
    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    whole: bool = True
    """False when the bytes ended in something that is no YAML: the values cannot be judged."""

    def line(self, place: Place) -> int:
        """Return the line of a value, or of the nearest value around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, self.first_line)

    def problem(self, place: Place, message: str, remedy: str = "", *, level: str = "error") -> Problem:
        """Return a fault of this document."""
        return Problem(self.file, self.line(place), key_path(place), message, remedy, level)


def key_path(place: Place) -> str:
    """Return a place as people write it: waves[0].soak."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def load_document(data: bytes, file: str, *, text_keys: Collection[str] = (), first_line: int = 1) -> Document:
    """Return the document of bytes; raise DocumentError with every fault when it breaks a rule of the loader."""
    document = parse_document(data, file, text_keys=text_keys, first_line=first_line)
    if document.problems:
        raise DocumentError(document.problems)
    return document


def read_model(
    data: bytes, file: str, model: type[Model], *, text_keys: Collection[str] = (), first_line: int = 1
) -> tuple[Model, Document]:
    """Return the checked model and its document; raise DocumentError with the loader's and the model's faults."""
    document = parse_document(data, file, text_keys=text_keys, first_line=first_line)
    checked = check_model(document, model)
    if checked is None:
        raise DocumentError(document.problems)
    return checked, document


def check_model(document: Document, model: type[Model]) -> Model | None:
    """Return the model of a document, or None after adding its faults to `document.problems`."""
    if not document.whole:
        return None
    if not isinstance(document.value, dict):
        document.problems.append(document.problem((), "is no group of keys and values", "write key: value lines"))
        return None
    try:
        checked = model.model_validate(document.value)
    except ValidationError as error:
        # What an alias hides was never read; that nothing stands there is no fault of its own.
        hidden = {problem.key for problem in document.problems if problem.message.startswith(_ALIAS)}
        faults = dict.fromkeys(problems_of(error, document, model))
        document.problems.extend(fault for fault in faults if fault.key not in hidden)
        return None
    return None if document.problems else checked


def problems_of(error: ValidationError, document: Document, model: type[BaseModel]) -> Iterator[Problem]:
    """Yield each fault that pydantic found, placed in the document and put into our words."""
    for fault in error.errors(include_url=False):
        place: Place = ()
        for part in fault["loc"]:
            if (*place, part) in document.lines:
                place = (*place, part)
        if fault["type"] == "missing":
            place = (*place, fault["loc"][-1])
        # A check over several keys says which of them it means.
        inner = getattr(fault.get("ctx", {}).get("error"), "where", "")
        if inner and (*place, inner) in document.lines:
            place = (*place, inner)
        yield document.problem(place, *explain(fault, place, model))


def parse_document(data: bytes, file: str, *, text_keys: Collection[str] = (), first_line: int = 1) -> Document:
    """Return the document with the loader's faults in `problems`; raises nothing for any bytes."""
    document = Document(file, first_line)
    try:
        events = YAML(typ="safe", pure=True).parse(_text(data))
        _Reader(document, events, frozenset(text_keys)).read()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + first_line
        document.problems.append(Problem(file, line, "", "is not UTF-8 text", "save the file as UTF-8"))
        document.whole = False
    except YAMLError as error:
        document.problems.append(_syntax_fault(error, file, first_line))
        document.whole = False
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The YAML library breaks on some malformed escapes instead of naming them.
        document.problems.append(Problem(file, first_line, "", f"is no YAML: {error}", "look for odd escapes"))
        document.whole = False
    except _Unreadable as error:
        document.problems.append(Problem(file, error.line or first_line, "", error.message, error.remedy))
        document.whole = False
    return document


def _text(data: bytes) -> str:
    if len(data) > DOCUMENT_BYTES_MAX:
        raise _Unreadable(f"is {len(data)} bytes long; at most {DOCUMENT_BYTES_MAX} are read", "split it")
    return data.decode("utf-8-sig")


def _syntax_fault(error: YAMLError, file: str, first_line: int) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    line = mark.line + first_line if mark is not None else 0
    return Problem(file, line, "", f"is no YAML: {what}", "check indentation, quotes and colons")


class _Unreadable(Exception):  # noqa: N818  never leaves this module
    """Reading cannot go on."""

    def __init__(self, message: str, remedy: str, line: int = 0) -> None:
        self.message, self.remedy, self.line = message, remedy, line
        super().__init__(message)


class _Reader:
    """Builds the values from the parser's events, so that nothing is resolved before it was judged."""

    def __init__(self, document: Document, events: Iterator[Any], text_keys: frozenset[str]) -> None:
        self._document = document
        self._events = events
        self._text_keys = text_keys
        self._count = 0

    def read(self) -> None:
        next(self._events)  # stream start
        start = next(self._events)
        if isinstance(start, yaml_events.StreamEndEvent):
            return
        if start.version or start.tags:
            self._fault((), start, "has a YAML directive", "delete the line that begins with %")
        self._document.value = self._value(next(self._events), ())
        next(self._events)  # document end
        again = next(self._events)
        if not isinstance(again, yaml_events.StreamEndEvent):
            line = again.start_mark.line + self._document.first_line
            raise _Unreadable("holds a second YAML document", "keep one document per file", line)

    def _fault(self, place: Place, event: Any, message: str, remedy: str) -> None:
        line = event.start_mark.line + self._document.first_line
        self._document.problems.append(Problem(self._document.file, line, key_path(place), message, remedy))

    def _value(self, event: Any, place: Place) -> Any:
        line = event.start_mark.line + self._document.first_line
        self._document.lines.setdefault(place, line)
        self._count += 1
        if self._count > DOCUMENT_VALUES_MAX:
            raise _Unreadable(f"holds more than {DOCUMENT_VALUES_MAX} values", "split it", line)
        if len(place) > DOCUMENT_DEPTH_MAX:
            raise _Unreadable(f"is nested more than {DOCUMENT_DEPTH_MAX} levels deep", "flatten it", line)
        if isinstance(event, yaml_events.AliasEvent):
            self._fault(place, event, f"{_ALIAS}{event.anchor}", "write the value out")
            return None
        if event.anchor is not None:
            self._fault(place, event, f"has the anchor &{event.anchor}", "delete the anchor")
        if event.tag is not None:
            self._fault(place, event, f"has the tag {event.tag}", "delete the tag; put text into quotes")
        if isinstance(event, yaml_events.MappingStartEvent):
            return self._mapping(place)
        if isinstance(event, yaml_events.SequenceStartEvent):
            return self._sequence(place)
        return self._scalar(event, place)

    def _mapping(self, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(key := next(self._events), yaml_events.MappingEndEvent):
            if not isinstance(key, yaml_events.ScalarEvent) or key.anchor is not None or key.tag is not None:
                self._fault(place, key, "has a key that is no plain text", "write the key as one word")
                self._value(key, (*place, "?"))
                self._value(next(self._events), (*place, "?"))
                continue
            here = (*place, str(key.value))
            if key.value in result:
                self._fault(here, key, "stands twice", "keep one of the two")
            else:
                self._document.lines[here] = key.start_mark.line + self._document.first_line
            value = self._value(next(self._events), here)
            result.setdefault(str(key.value), value)
        return result

    def _sequence(self, place: Place) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := next(self._events), yaml_events.SequenceEndEvent):
            result.append(self._value(event, (*place, len(result))))
        return result

    def _scalar(self, event: Any, place: Place) -> Any:
        text = str(event.value)
        if event.style is not None or self._is_text(place):
            return text
        if text in _WORDS:
            return _WORDS[text]
        if not _WHOLE.fullmatch(text):
            return text
        if len(text.lstrip("-")) > _DIGITS_MAX or abs(int(text)) > INTEGER_MAX:
            self._fault(place, event, "is a number of more than 53 bits", "write a smaller number, or quote the text")
            return 0
        return int(text)

    def _is_text(self, place: Place) -> bool:
        """Tell whether a place matches one of the text keys, where [] stands for any list index."""
        path = "".join("[]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        return path in self._text_keys
