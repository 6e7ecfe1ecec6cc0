"""Reading a tar archive forward, member by member, by the letter of the format.

Decides what a header says; what is allowed is `archive_rules`'s. Own, because the standard library's reader seeks,
heals and guesses: a crafted header can send it in circles, and it silently mends what must be refused. Accepted: POSIX
ustar and pax, GNU long names, old V7 headers. Refused: sparse members, extended attributes, continuation volumes,
unknown header types, numbers that are no numbers, data after the end.
"""

from collections.abc import Iterator

from sopwith_agent.adapters.installers.archive_rules import Kind, Member
from sopwith_agent.adapters.installers.archive_stream import CHUNK, ArchiveStream, refuse

_BLOCK = 512
_EXTENSION_MAX = 64 * 2**10
_DIGITS_MAX = 15
_KINDS = {b"0": Kind.FILE, b"\0": Kind.FILE, b"1": Kind.HARD_LINK, b"2": Kind.LINK, b"5": Kind.FOLDER}
_NAMES = {b"3": "a character device", b"4": "a block device", b"6": "a fifo", b"S": "a sparse file"}
_PAX_MEANT = ("path", "linkpath", "size")
_PAX_TIMES_AND_OWNERS = ("atime", "ctime", "mtime", "uid", "gid", "uname", "gname", "comment")
_PAX_OF_BSDTAR = ("LIBARCHIVE.creationtime", "SCHILY.dev", "SCHILY.ino", "SCHILY.nlink", "SCHILY.fflags")
_PAX_WITHOUT_EFFECT = frozenset({*_PAX_TIMES_AND_OWNERS, *_PAX_OF_BSDTAR})


def read_tar(stream: ArchiveStream) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Yield each member and its content in pieces; unread content is passed over before the next."""
    extension: dict[str, str] = {}
    while True:
        header = stream.read_exactly(_BLOCK)
        if header == bytes(_BLOCK):
            _check_end(stream)
            if extension:
                refuse("the archive ends after an extended header")
            return
        _check_sum(header)
        kind = header[156:157]
        if kind in (b"x", b"g", b"L", b"K"):
            _extend(extension, kind, stream, _number(header[124:136], "a size"))
            continue
        member = _member(header, kind, extension)
        extension = {}
        content = _content(stream, member.size)
        yield member, content
        for _ in content:
            pass


def _member(header: bytes, kind: bytes, extension: dict[str, str]) -> Member:
    name = extension.get("path") or _name(header)
    if kind not in _KINDS:
        refuse(f"{name[:200]!r} is {_NAMES.get(kind, f'of the unknown type {kind!r}')}")
    size = _number(header[124:136], "a size")
    if "size" in extension:
        size = int(extension["size"])
    if size and _KINDS[kind] is not Kind.FILE:
        refuse(f"{name[:200]!r} is no file and has content")
    target = extension.get("linkpath") or _text(header[157:257])
    return Member(name, _KINDS[kind], size, _number(header[100:108], "a mode"), target)


def _name(header: bytes) -> str:
    name = _text(header[0:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _content(stream: ArchiveStream, size: int) -> Iterator[bytes]:
    rest = size
    while rest:
        piece = stream.read_some(min(rest, CHUNK))
        if not piece:
            refuse("the archive is cut short")
        rest -= len(piece)
        yield piece
    stream.read_exactly(-size % _BLOCK)


def _extend(extension: dict[str, str], kind: bytes, stream: ArchiveStream, size: int) -> None:
    if size > _EXTENSION_MAX:
        refuse(f"an extended header is larger than {_EXTENSION_MAX} bytes")
    data = b"".join(_content(stream, size))
    if kind in (b"L", b"K"):
        _put(extension, "path" if kind == b"L" else "linkpath", _decode(data.removesuffix(b"\0")))
        return
    for key, value in _pax_records(data):
        if key in _PAX_MEANT and kind == b"x":
            if key == "size" and not (value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX):
                refuse(f"an extended header has the size {value[:40]!r}")
            _put(extension, key, value)
        elif key not in _PAX_WITHOUT_EFFECT:
            refuse(f"an extended header sets {key[:80]!r}", remedy="pack without extended attributes and sparse files")


def _put(extension: dict[str, str], key: str, value: str) -> None:
    if key in extension or not value:
        refuse(f"an extended header sets {key} twice, or to nothing")
    extension[key] = value


def _pax_records(data: bytes) -> Iterator[tuple[str, str]]:
    while data:
        length_text, _, _ = data[: _DIGITS_MAX + 1].partition(b" ")
        if not length_text.isdigit() or not len(length_text) + 3 <= int(length_text) <= len(data):
            refuse("an extended header has a record of a wrong length")
        record, data = data[: int(length_text)], data[int(length_text) :]
        key, equals, value = record[len(length_text) + 1 : -1].partition(b"=")
        if not equals or record[-1:] != b"\n":
            refuse("an extended header has a record that is no key=value line")
        yield _decode(key), _decode(value)


def _check_sum(header: bytes) -> None:
    expected = sum(header[:148]) + 8 * 0x20 + sum(header[156:])
    if _number(header[148:156], "a checksum") != expected:
        refuse("a header's checksum is wrong; this is no tar archive, or it is damaged")


def _check_end(stream: ArchiveStream) -> None:
    if stream.read_exactly(_BLOCK) != bytes(_BLOCK):
        refuse("the archive has a single empty block in its middle")
    while piece := stream.read_some(CHUNK):
        if piece.strip(b"\0"):
            refuse("the archive goes on after its end")


def _number(field: bytes, what: str) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:])
        if value >= 2**53:
            refuse(f"{what} of a header is negative or beyond all sense")
        return value
    digits = field.rstrip(b"\0 ").lstrip(b" ")
    if digits.strip(b"01234567"):
        refuse(f"{what} of a header is no number")
    return int(digits or b"0", 8)


def _text(field: bytes) -> str:
    text, _, after = field.partition(b"\0")
    if after.strip(b"\0"):
        refuse("a header hides bytes behind the NUL that ends a name")
    return _decode(text)


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        refuse(f"the name {data[:80]!r} is not UTF-8")
