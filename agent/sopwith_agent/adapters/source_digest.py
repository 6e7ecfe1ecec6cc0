"""Digests of an open file, taken from its descriptor: in one pass, or behind a writer while the file grows.

From the descriptor, not from the name: what was read is what will be delivered, even if another process changes names
in between. And read back from the file, not from what was handed to it: a digest says what lies there.
"""

import hashlib
import os
import threading
from collections.abc import Collection
from types import TracebackType
from typing import Self

KNOWN_DIGESTS = frozenset({"sha256", "sha384", "sha512"})
_PIECE = 2**20
_FLUSH_EVERY = 8 * 2**20
_BEHIND_MAX = 64 * 2**20
"""How far a slow disk may lie behind the network, before the network waits for it."""


def digests_of(descriptor: int, names: Collection[str]) -> dict[str, str]:
    """Return the hexadecimal digests of the whole file under an open descriptor, by name of the algorithm."""
    digests = _Digests(descriptor, names)
    while digests.take(_PIECE):
        pass
    return digests.found()


class DigestBehind:
    """Reads, hashes and flushes a growing file behind its writer, in a thread of its own.

    So the network, the processor and the disk work at the same time: hashing and flushing both let other threads run.
    The writer tells how long the file is, and may neither change what it wrote nor close the file before the end.
    """

    def __init__(self, descriptor: int, names: Collection[str]) -> None:
        self._descriptor = descriptor
        self._digests = _Digests(descriptor, names)
        self._changed = threading.Condition()
        self._written = 0
        self._told = 0
        self._ended = False
        self._given_up = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="source-digest", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given_up = True
        self._end()

    def written(self, size: int) -> None:
        """Take note of the file's size; raise what reading or flushing it met; wait where the disk lies far behind."""
        self._written = size
        if size - self._told < _PIECE:
            return  # a whole piece is worth waking a thread for
        with self._changed:
            self._told = size
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._failure is not None or size - self._digests.offset < _BEHIND_MAX)
        self._raise_failure()

    def found(self) -> dict[str, str]:
        """Return the digests of the whole file, by name of the algorithm, once the writer has written its last."""
        self._end()
        self._raise_failure()
        return self._digests.found()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _end(self) -> None:
        with self._changed:
            self._told = self._written
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._follow()
        except BaseException as error:  # noqa: BLE001  it is the writer's thread that raises it
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _follow(self) -> None:
        flushed = 0
        while not self._given_up:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._told > self._digests.offset)
                told = self._told
            if told <= self._digests.offset:
                return
            if not self._digests.take(min(_PIECE, told - self._digests.offset)):
                return  # somebody cut the file short; its length tells
            if self._digests.offset - flushed >= _FLUSH_EVERY:
                os.fdatasync(self._descriptor)
                flushed = self._digests.offset
            with self._changed:
                self._changed.notify_all()


class _Digests:
    """The digests of a file up to `offset`."""

    def __init__(self, descriptor: int, names: Collection[str]) -> None:
        self.offset = 0
        self._descriptor = descriptor
        self._hashers = {name: hashlib.new(name) for name in names}
        self._buffer = memoryview(bytearray(_PIECE))

    def take(self, most: int) -> int:
        """Read on; return how many bytes came, none at the end of the file."""
        came = os.preadv(self._descriptor, [self._buffer[:most]], self.offset)
        for hasher in self._hashers.values():
            hasher.update(self._buffer[:came])
        self.offset += came
        return came

    def found(self) -> dict[str, str]:
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}
