"""Reading a zip archive, member by member.

Decides what an entry of the central directory says; what is allowed is `archive_rules`'s. Refused beyond those rules:
ZIP64 and more than 65,534 entries (use tar), encryption, packing other than stored and deflate, names that are not
UTF-8, entries that are neither files, folders nor links.
"""

import contextlib
import stat
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from sopwith_agent.adapters.installers.archive_rules import Kind, Member
from sopwith_agent.adapters.installers.archive_stream import CHUNK, Meter, refuse

_END_SIGNATURE = b"PK\x05\x06"
_END_SIZE = 22
_COMMENT_MAX = 2**16
_ENTRIES_MAX = 2**16 - 2
_DIRECTORY_MAX = 16 * 2**20
_UNIX = 3
_ENCRYPTED, _UTF8 = 0x1, 0x800
_TARGET_MAX = 4096
_KINDS = {0: Kind.FILE, stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}


def read_zip(file: IO[bytes], meter: Meter) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Yield each member and its content in pieces."""
    _check_directory(file)
    with _refusing_faults(), zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            meter.count(_END_SIZE)
            yield _member(archive, info, meter), _content(archive, info, meter)


@contextlib.contextmanager
def _refusing_faults() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        refuse(f"the zip archive is broken: {error}")


def _check_directory(file: IO[bytes]) -> None:
    file.seek(0, 2)
    file.seek(max(0, file.tell() - _END_SIZE - _COMMENT_MAX))
    tail = file.read()
    start = tail.rfind(_END_SIGNATURE)
    if start < 0 or len(tail) - start < _END_SIZE:
        refuse("the zip archive is cut short")
    entries = int.from_bytes(tail[start + 10 : start + 12], "little")
    size = int.from_bytes(tail[start + 12 : start + 16], "little")
    if entries > _ENTRIES_MAX or size > _DIRECTORY_MAX:
        refuse("the zip archive has too many entries", remedy="pack large trees as .tar.gz or .tar.zst")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, meter: Meter) -> Member:
    shown = repr(info.orig_filename[:200])
    if info.flag_bits & _ENCRYPTED:
        refuse(f"{shown} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        refuse(f"{shown} is packed by an unknown method")
    if not info.orig_filename.isascii() and not info.flag_bits & _UTF8:
        refuse(f"{shown} is a name that is not marked as UTF-8")
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is None:
        refuse(f"{shown} is a device, fifo or socket")
    if info.orig_filename.endswith("/"):
        if kind is Kind.LINK or info.file_size:
            refuse(f"{shown} is a folder by name and something else by type")
        kind = Kind.FOLDER
    target = _target(archive, info, meter) if kind is Kind.LINK else ""
    return Member(info.orig_filename, kind, info.file_size, stat.S_IMODE(mode), target)


def _target(archive: zipfile.ZipFile, info: zipfile.ZipInfo, meter: Meter) -> str:
    if info.file_size > _TARGET_MAX:
        refuse(f"{info.orig_filename[:200]!r} is a link with an endless target")
    try:
        return b"".join(_content(archive, info, meter)).decode()
    except UnicodeDecodeError:
        refuse(f"the target of the link {info.orig_filename[:200]!r} is not UTF-8")


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, meter: Meter) -> Iterator[bytes]:
    with _refusing_faults(), archive.open(info) as content:
        while piece := content.read(CHUNK):
            meter.count(len(piece))
            yield piece
