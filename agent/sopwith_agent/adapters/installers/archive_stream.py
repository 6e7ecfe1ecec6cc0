"""The bytes of an archive: recognised, unpacked as they are read, and counted against every limit.

Decides how much of an archive may be read and for how long; what stands in it is `tar_reader`'s and `zip_reader`'s,
what may stand in it `archive_rules`'s. Rules: reading stops at the release's unpacked size, at a ratio of 100 to 1 once
16 MiB came out, and at the deadline; memory stays bounded whatever the archive says.
"""

import gzip
import sys
import time
import zlib
from dataclasses import dataclass
from typing import IO, NoReturn, Protocol

from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_formats.units import format_size
from sopwith_formats.vocabulary import Symptom

CHUNK = 2**17
_RATIO_MAX = 100
_SMALL = 16 * 2**20
"""Below this, ratios mean nothing: tar pads, and text packs well."""
_FACTOR_DEFAULT = 20
_ZSTD_WINDOW_LOG_MAX = 27
"""A file that asks for more than 128 MiB of memory is refused."""


class ByteReader(Protocol):
    """Anything that hands out bytes one after the other."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


def refuse(message: str, *, remedy: str = "") -> NoReturn:
    """Refuse the archive: it is signed, and still breaks the rules."""
    raise TrustError(Symptom.CONTENT_REFUSED, message, remedy=remedy or "publish a release with a clean archive")


@dataclass
class Meter:
    """Counts what comes out of one pass over an archive."""

    packed_size: int
    unpacked_size_max: int
    deadline: float
    """On the monotonic clock."""
    unpacked_size: int = 0

    def count(self, size: int) -> None:
        """Add bytes that came out; refuse the archive when they are too many, or time is up."""
        self.unpacked_size += size
        if self.unpacked_size > self.unpacked_size_max:
            refuse(
                f"the archive unpacks to more than {format_size(self.unpacked_size_max)}",
                remedy="raise options.unpacked_size_max if the release is really that large",
            )
        if self.unpacked_size > _SMALL and self.unpacked_size > _RATIO_MAX * self.packed_size:
            refuse(f"the archive unpacks to more than {_RATIO_MAX} times its size")
        if time.monotonic() > self.deadline:
            raise StepError(Symptom.TIMEOUT, "reading the archive took longer than the install may take")


def unpacked_size_default(packed_size: int) -> int:
    """Return how much an archive may unpack to when its release does not say."""
    return max(_SMALL, _FACTOR_DEFAULT * packed_size)


class ArchiveStream:
    """The unpacked bytes of an archive, forward only, metered."""

    def __init__(self, reader: ByteReader, meter: Meter, *faults: type[Exception]) -> None:
        """`faults`: what the reader raises, beyond the standard library, when the packing is broken."""
        self._reader = reader
        self._meter = meter
        self._faults: tuple[type[Exception], ...] = (gzip.BadGzipFile, zlib.error, EOFError, *faults)

    def read_exactly(self, size: int) -> bytes:
        """Return exactly `size` bytes; refuse an archive that ends before."""
        data = self.read_some(size)
        while len(data) < size:
            more = self.read_some(size - len(data))
            if not more:
                refuse("the archive is cut short")
            data += more
        return data

    def read_some(self, size: int) -> bytes:
        """Return 1 to `size` bytes, none at the end."""
        try:
            data = self._reader.read(min(size, CHUNK))
        except self._faults as error:
            refuse(f"the archive's compression is broken: {error}")
        self._meter.count(len(data))
        return data


def is_zip(file: IO[bytes]) -> bool:
    """Tell whether the file begins as a zip archive."""
    file.seek(0)
    return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def open_tar_stream(file: IO[bytes], meter: Meter) -> ArchiveStream:
    """Return the tar bytes in the file: plain, gzip or zstd, told by their first bytes."""
    file.seek(0)
    magic = file.read(6)
    file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return ArchiveStream(gzip.GzipFile(fileobj=file), meter)
    if magic[:4] == b"\x28\xb5\x2f\xfd":
        return _open_zstd(file, meter)
    if magic[:3] == b"BZh" or magic == b"\xfd7zXZ\x00":
        refuse("the archive is packed by bzip2 or xz", remedy="pack it as .tar, .tar.gz, .tar.zst or .zip")
    return ArchiveStream(file, meter)


def _open_zstd(file: IO[bytes], meter: Meter) -> ArchiveStream:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG_MAX}
    return ArchiveStream(zstd.ZstdFile(file, options=options), meter, zstd.ZstdError)
