"""How results are printed: JSON as programs want it, tables as people want them, both from the API's resources.

JSON (contract section "JSON"): the proto field names, every field always, enum values without their type prefix, what
is unset as "" (text, enum, time) or null (message), counts as numbers, times RFC 3339 UTC. Text that came from
elsewhere is escaped in tables, so that no computer can paint an administrator's terminal.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from sopwith_formats.units import format_time

FORMATS = ("table", "wide", "json", "yaml", "name")
_ROOM_MIN = 16
"""A column of sentences gets no narrower than this, however wide the others are."""
_STRUCT = "google.protobuf.Struct"
_TIMESTAMP = "google.protobuf.Timestamp"


@dataclass(frozen=True)
class Column:
    """One column of a table: its title, how to get its text from a row, whether only `-o wide` shows it.

    A column that `flows` holds sentences: where a table is wider than the terminal, it goes on in further lines.
    """

    title: str
    text: Callable[[Any], str]
    wide: bool = False
    flows: bool = False


def to_document(message: Message) -> dict[str, Any]:
    """Return the JSON document of an API resource."""
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def emit(
    output: str,
    resources: Sequence[Message] | Message,
    columns: Sequence[Column],
    *,
    name: Callable[[Any], str],
    empty: str = "Nothing there.",
) -> None:
    """Print one resource or a list of them in the wanted form."""
    rows = [resources] if isinstance(resources, Message) else list(resources)
    if output in ("json", "yaml"):
        documents = [to_document(row) for row in rows]
        emit_document(output, documents[0] if isinstance(resources, Message) else documents)
    elif output == "name":
        for row in rows:
            print(escape(name(row)))
    elif not rows:
        print(empty, file=sys.stderr)
    else:
        shown = [column for column in columns if output == "wide" or not column.wide]
        cells = [[column.text(row) for column in shown] for row in rows]
        flowing = [number for number, column in enumerate(shown) if column.flows]
        print_table([column.title for column in shown], cells, wrap=flowing)


def emit_document(output: str, document: Any) -> None:
    """Print a JSON or YAML document."""
    if output == "yaml":
        from ruamel.yaml import YAML

        YAML(typ="safe", pure=True).dump(document, sys.stdout)
    else:
        print(json.dumps(document, ensure_ascii=False, indent=2))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, wrap: int | Sequence[int] = ()) -> None:
    """Print an aligned table; coloured titles on a terminal. The columns `wrap` go on in further lines if need be."""
    cells = [[escape(cell) for cell in row] for row in rows]
    flowing = [wrap] if isinstance(wrap, int) else wrap
    if flowing:
        cells = _wrapped(titles, cells, flowing)
    widths = [max(len(title), *(len(row[i]) for row in cells), 0) for i, title in enumerate(titles)]
    head = "  ".join(title.ljust(width) for title, width in zip(titles, widths, strict=True)).rstrip()
    print(f"\033[1m{head}\033[0m" if sys.stdout.isatty() else head)
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def terminal_width() -> int:
    """Return how wide a line may be: the terminal's width, between 80 and 120."""
    import shutil

    return min(max(shutil.get_terminal_size((100, 24)).columns, 80), 120)


def _wrapped(titles: Sequence[str], rows: Sequence[list[str]], flowing: Sequence[int]) -> list[list[str]]:
    """Return rows in which these columns are no wider than what the others leave, in as many lines as it takes."""
    import textwrap

    widths = [max(len(row[i]) for row in [list(titles), *rows]) for i in range(len(titles))]
    room = _shared(widths, flowing)
    lines: list[list[str]] = []
    for row in rows:
        parts = {
            i: textwrap.wrap(row[i], room[i], break_on_hyphens=False, break_long_words=False) or [""] for i in flowing
        }
        for number in range(max(len(part) for part in parts.values())):
            rest = row if number == 0 else [""] * len(row)
            lines.append(
                [(parts[i][number : number + 1] or [""])[0] if i in parts else cell for i, cell in enumerate(rest)]
            )
    return lines


def _shared(widths: Sequence[int], flowing: Sequence[int]) -> dict[int, int]:
    """Return how wide each flowing column may be: what fits is kept, the others share what is left."""
    left = terminal_width() - sum(width for i, width in enumerate(widths) if i not in flowing) - 2 * (len(widths) - 1)
    room: dict[int, int] = {}
    for count, i in enumerate(sorted(flowing, key=lambda i: widths[i])):
        room[i] = max(min(widths[i], left // (len(flowing) - count)), _ROOM_MIN)
        left -= room[i]
    return room


def print_facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Print named facts, leaving empty ones out; long ones go on in further lines on a terminal."""
    import textwrap

    shown = [(label, escape(value)) for label, value in pairs if value]
    width = max((len(label) for label, _ in shown), default=0)
    room = max(terminal_width() - width - 2, 24) if sys.stdout.isatty() else sys.maxsize
    for label, value in shown:
        for number, line in enumerate(textwrap.wrap(value, room, break_on_hyphens=False, break_long_words=False)):
            print(f"{'' if number else label:{width}}  {line}")


def tell(message: str) -> None:
    """Print a message for people on stderr."""
    print(escape(message), file=sys.stderr)


def escape(text: str) -> str:
    """Return text with control characters made visible, on one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def enum_name(message: Message, field_name: str) -> str:
    """Return an enum value without its type prefix, empty when unset."""
    return str(_enum(message.DESCRIPTOR.fields_by_name[field_name], getattr(message, field_name)))


def time_text(message: Message, field_name: str) -> str:
    """Return a time field as RFC 3339 UTC with seconds, empty when unset."""
    if not message.HasField(field_name):
        return ""
    from datetime import UTC

    return format_time(getattr(message, field_name).ToDatetime(tzinfo=UTC).replace(microsecond=0))


def _field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        item = entry.fields_by_name["value"]
        return {str(key): _value(item, value[key]) for key in sorted(value)}
    if field.is_repeated:
        return [_value(field, item) for item in value]
    if entry is not None and not message.HasField(field.name):
        return "" if entry.full_name == _TIMESTAMP else None
    return _value(field, value)


def _value(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        if field.message_type.full_name == _TIMESTAMP:
            from datetime import UTC

            return format_time(value.ToDatetime(tzinfo=UTC))
        if field.message_type.full_name == _STRUCT:
            from google.protobuf.json_format import MessageToDict

            return _whole_numbers(MessageToDict(value))
        return to_document(value)
    if field.enum_type is not None:
        return _enum(field, value)
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    return value


def _enum(field: Any, number: int) -> str:
    enum_type = field.enum_type
    if enum_type is None or number == 0:
        return ""
    known = enum_type.values_by_number.get(number)
    if known is None:
        return f"UNKNOWN_{number}"
    prefix = "".join(f"_{c}" if c.isupper() else c.upper() for c in enum_type.name).lstrip("_") + "_"
    return str(known.name).removeprefix(prefix)


def _whole_numbers(value: Any) -> Any:
    """Struct keeps numbers as floats; whole ones are written whole again."""
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
