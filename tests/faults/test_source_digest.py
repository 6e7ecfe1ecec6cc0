"""Digests taken behind a writer: of all that lies in the file; and a disk that fails is told to the writer."""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopwith_agent.adapters import source_digest
from sopwith_agent.adapters.source_digest import DigestBehind, digests_of

NAMES = {"sha256", "sha512"}
PIECE = os.urandom(2**20)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    yield opened
    os.close(opened)


def test_digest_holds_what_lay_there_before_and_what_was_written_since(descriptor, monkeypatch):
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    os.write(descriptor, b"before")
    size = 6

    with DigestBehind(descriptor, NAMES) as behind:
        for piece in (*[PIECE] * 17, b"last"):
            size += os.write(descriptor, piece)
            behind.written(size)
        found = behind.found()

    whole = b"before" + PIECE * 17 + b"last"
    assert found == {name: hashlib.new(name, whole).hexdigest() for name in NAMES} == digests_of(descriptor, NAMES)
    assert flushed == [descriptor] * 2


def test_digest_is_of_what_lies_in_the_file_not_of_what_was_handed_to_it(descriptor):
    os.write(descriptor, b"altered")

    with DigestBehind(descriptor, NAMES) as behind:
        behind.written(7)
        os.pwrite(descriptor, b"ALTERED", 0)
        assert behind.found()["sha256"] == hashlib.sha256(b"ALTERED").hexdigest()


def test_file_that_is_cut_short_meanwhile_has_the_digest_of_the_rest(descriptor):
    with DigestBehind(descriptor, NAMES) as behind:
        behind.written(9)
        assert behind.found()["sha256"] == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("call", ["preadv", "fdatasync"])
def test_disk_that_fails_behind_the_writer_ends_the_writing(descriptor, monkeypatch, call):
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, call, broken)

    def write_on() -> None:
        with DigestBehind(descriptor, NAMES) as behind:
            for count in range(1, 1000):
                os.write(descriptor, PIECE[:65536])
                behind.written(count * 65536)
            behind.found()

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_on()


def test_writer_waits_for_a_disk_that_lies_far_behind(descriptor, monkeypatch):
    monkeypatch.setattr(source_digest, "_BEHIND_MAX", 2**20)
    os.ftruncate(descriptor, 16 * 2**20)

    with DigestBehind(descriptor, NAMES) as behind:
        for count in range(1, 17):
            behind.written(count * 2**20)
            assert count * 2**20 - behind._digests.offset < 2**20 + 1

        assert behind.found() == digests_of(descriptor, NAMES)
