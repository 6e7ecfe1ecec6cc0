"""Attacks on the download of a file (fault list rows 10 to 12, 14, 15, 41, 52), each against the real downloader."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile

from sopwith_agent.adapters import source_download
from sopwith_agent.adapters.source_download import Downloader, file_name, file_url
from sopwith_agent.adapters.source_transport import Transport
from sopwith_agent.adapters.source_watch import TransferLimits
from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom
from tests.faults.answers import drip, pour_endlessly, send, serve_honestly
from tests.faults.hostile_source import HostileServer, SourceRepository, serving

CONTENT = os.urandom(200_000)
HALF = 100_000
NAME = "hello/2.10-3/hello.deb"
ETAG = '"one"'


class Fetch:
    """One target on a server, and a place that it goes to."""

    def __init__(self, server: HostileServer, folder: Path) -> None:
        self.server = server
        server.repository.add_target(NAME, CONTENT)
        self.target: TargetFile = server.repository.targets.targets[NAME]
        self.path = server.repository.address_of(NAME)
        self.parts = folder / "parts"
        self.destination = folder / "out" / "hello.deb"
        self.transport = Transport(limits=TransferLimits(2, 0.5, 1024))
        self.cancelled = threading.Event()
        self.progress: list[int] = []

    def run(self) -> bytes:
        downloader = Downloader(self.transport, self.server.files_url, self.parts, hash_prefixed=True)
        downloader.fetch(
            self.target, self.destination, lambda done, _total: self.progress.append(done), self.cancelled.is_set
        )
        return self.destination.read_bytes()

    def refused(self) -> StepError:
        with pytest.raises(StepError) as caught:
            self.run()
        assert not self.destination.exists()
        return caught.value

    def break_off(self) -> None:
        """Leave a part of half the file behind, of the writing that ETAG names."""
        self.answer(200, CONTENT[:HALF], {"ETag": ETAG}, announce=len(CONTENT))
        assert self.refused().symptom is Symptom.NET_SOURCE_UNREACHABLE
        self.server.behave.clear()
        self.server.requests.clear()

    def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None, announce: int = -1) -> None:
        self.server.behave[self.path] = lambda handler: send(handler, status, content, headers, announce=announce)

    def part_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.parts.glob("*.part"))


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[Fetch]:
    with serving(SourceRepository()) as server:
        running = Fetch(server, tmp_path)
        yield running
        running.transport.close()


def test_whole_file_is_fetched_by_one_get(fetch):
    assert fetch.run() == CONTENT

    assert [path for path, _ in fetch.server.requests] == [fetch.path]
    assert fetch.progress[-1] == len(CONTENT)
    assert list(fetch.parts.iterdir()) == []
    assert [path.name for path in fetch.destination.parent.iterdir()] == ["hello.deb"]


def test_file_that_lies_there_whole_is_not_fetched_again(fetch):
    fetch.run()
    fetch.server.requests.clear()

    assert fetch.run() == CONTENT

    assert fetch.server.requests == []


def test_file_that_was_changed_since_is_fetched_again(fetch):
    fetch.run()
    fetch.destination.write_bytes(CONTENT[:-1] + b"!")

    assert fetch.run() == CONTENT


def test_link_at_the_destination_is_replaced_not_followed(fetch, tmp_path):
    fetch.destination.parent.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(CONTENT)
    fetch.destination.symlink_to(elsewhere)

    fetch.run()

    assert not fetch.destination.is_symlink()


def test_empty_file_is_fetched(fetch):
    fetch.server.repository.add_target("empty", b"")
    fetch.target = fetch.server.repository.targets.targets["empty"]

    assert fetch.run() == b""


@pytest.mark.gate("blocks", "digest")
@pytest.mark.parametrize("content", [CONTENT + b"more", CONTENT[:-7], os.urandom(len(CONTENT))])
def test_case_10_wrong_length_or_digest_is_refused_and_leaves_nothing(fetch, content):
    fetch.answer(200, content)

    error = fetch.refused()

    assert error.symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH
    assert fetch.part_bytes() == 0
    assert len(fetch.server.requests) == 1


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_case_10_length_that_is_not_announced_is_still_held_to(fetch, extra):
    def unannounced(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT + extra)
        handler.close_connection = True

    fetch.server.behave[fetch.path] = unannounced

    if extra:
        assert fetch.refused().symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH
    else:
        assert fetch.run() == CONTENT


def test_case_10_endless_body_is_cut_at_the_signed_length(fetch):
    fetch.server.behave[fetch.path] = pour_endlessly

    error = fetch.refused()

    assert error.symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH
    assert fetch.part_bytes() == 0


@pytest.mark.parametrize("whole", [True, False])
def test_chunked_body_is_read_to_its_end(fetch, whole):
    def chunked(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(CONTENT) if whole else HALF, 50_000):
            piece = CONTENT[start : start + 50_000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if whole:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    fetch.server.behave[fetch.path] = chunked

    if whole:
        assert fetch.run() == CONTENT
    else:
        assert fetch.refused().symptom is Symptom.NET_SOURCE_UNREACHABLE
        assert fetch.part_bytes() == HALF


def test_case_11_dripping_body_is_broken_off_and_the_part_kept(fetch):
    fetch.server.behave[fetch.path] = drip(CONTENT)

    error = fetch.refused()

    assert error.symptom is Symptom.NET_SOURCE_UNREACHABLE
    assert 0 < fetch.part_bytes() < 1024


def test_broken_transfer_is_resumed_where_it_ended(fetch):
    fetch.break_off()
    fetch.server.behave[fetch.path] = lambda handler: serve_honestly(handler, CONTENT, etag=ETAG)

    assert fetch.run() == CONTENT

    (headers,) = fetch.server.asked(fetch.path)
    assert headers["Range"] == f"bytes={HALF}-"
    assert headers["If-Range"] == ETAG
    assert fetch.progress[0] < fetch.progress[-1]


def test_part_that_is_whole_already_is_verified_without_asking(fetch):
    fetch.break_off()
    (part,) = fetch.parts.glob("*.part")
    part.write_bytes(CONTENT)

    assert fetch.run() == CONTENT

    assert fetch.server.requests == []


def test_case_12_200_to_a_range_request_starts_over_in_the_same_answer(fetch):
    fetch.break_off()
    fetch.answer(200, CONTENT)

    assert fetch.run() == CONTENT

    assert len(fetch.server.requests) == 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"}),
        (206, {"Content-Range": f"bytes {HALF + 1}-{len(CONTENT) - 1}/{len(CONTENT)}"}),
        (206, {"Content-Range": f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT) + 1}"}),
        (206, {"Content-Range": "bytes */1"}),
        (206, {}),
        (206, {"Content-Range": f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}", "ETag": '"other"'}),
        (416, {"Content-Range": f"bytes */{HALF}"}),
    ],
)
def test_case_12_wrong_answer_to_a_range_request_leads_to_one_fresh_get(fetch, status, headers):
    fetch.break_off()
    asked = []

    def behave(handler):
        asked.append(handler.headers.get("Range"))
        if len(asked) == 1:
            send(handler, status, CONTENT[HALF:], headers)
        else:
            serve_honestly(handler, CONTENT)

    fetch.server.behave[fetch.path] = behave

    assert fetch.run() == CONTENT

    assert asked == [f"bytes={HALF}-", None]


def test_case_12_poisoned_part_is_fetched_anew_once(fetch):
    fetch.break_off()
    (part,) = fetch.parts.glob("*.part")
    part.write_bytes(os.urandom(HALF))

    assert fetch.run() == CONTENT

    assert [headers.get("Range") for headers in fetch.server.asked(fetch.path)] == [f"bytes={HALF}-", None]


def test_case_12_wrong_content_after_a_fresh_get_is_refused_without_a_loop(fetch):
    fetch.break_off()
    fetch.answer(200, os.urandom(len(CONTENT)))

    error = fetch.refused()

    assert error.symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH
    assert len(fetch.server.requests) == 2
    assert fetch.part_bytes() == 0


@pytest.mark.parametrize("status", [404, 403, 500, 206, 416, 204])
def test_file_that_is_not_given_is_asked_for_once(fetch, status):
    fetch.answer(status, b"" if status == 204 else b"no")

    error = fetch.refused()

    assert error.symptom is Symptom.NET_SOURCE_UNREACHABLE
    assert len(fetch.server.requests) == 1


def test_case_12_compressed_body_is_refused(fetch):
    fetch.answer(200, CONTENT, {"Content-Encoding": "gzip"})

    assert fetch.refused().symptom is Symptom.NET_SOURCE_UNREACHABLE


@pytest.mark.parametrize("target", ["http://203.0.113.9/x", "file:///etc/passwd", "//203.0.113.9/x"])
def test_case_14_redirect_to_another_origin_is_refused(fetch, target):
    fetch.answer(302, b"", {"Location": target})

    error = fetch.refused()

    assert "another origin" in error.message


def test_redirects_in_a_circle_come_to_an_end(fetch):
    fetch.answer(302, b"", {"Location": fetch.path})

    assert fetch.refused().symptom is Symptom.NET_SOURCE_UNREACHABLE
    assert len(fetch.server.requests) <= 5


def test_case_15_unknown_digest_only_is_refused_without_asking(fetch):
    fetch.target = TargetFile(len(CONTENT), {"sha0": "00"}, NAME)

    error = fetch.refused()

    assert error.symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH
    assert fetch.server.requests == []


def test_every_known_digest_must_match(fetch):
    good = dict(fetch.target.hashes)
    fetch.target = TargetFile(len(CONTENT), {**good, "sha512": "00" * 64}, NAME)

    assert fetch.refused().symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH


def test_case_52_file_that_does_not_fit_is_not_begun(fetch):
    fetch.target = TargetFile(2**60, dict(fetch.target.hashes), NAME)

    error = fetch.refused()

    assert error.symptom is Symptom.DISK_FULL
    assert fetch.server.requests == []


def test_case_52_disk_that_fills_up_on_the_way_is_named(fetch, monkeypatch):
    def full(_descriptor: int, _piece: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(source_download, "_write", full)

    assert fetch.refused().symptom is Symptom.DISK_FULL


def test_download_can_be_called_off_and_goes_on_later(fetch):
    fetch.cancelled.set()
    fetch.refused()
    fetch.cancelled.clear()

    assert fetch.run() == CONTENT


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "../../x", "a/b", "x" * 300, "a%2Fb", "a\0b"])
def test_every_target_name_has_one_harmless_file_name(name):
    found = file_name(name)

    assert "/" not in found
    assert "\0" not in found
    assert not found.startswith(".")
    assert len(found.encode()) <= 255


def test_target_names_do_not_share_file_names():
    names = ["a/b", "a%2Fb", "a%252Fb", ".a", "%2Ea", "x" * 300, "x" * 301]

    assert len({file_name(name) for name in names}) == len(names)


def test_digest_in_the_address_is_the_first_one_listed():
    target = TargetFile(1, {"sha512": "bb" * 64, "sha256": "aa" * 32}, "d/e/f")

    assert file_url("https://h/t/", target, hash_prefixed=True) == f"https://h/t/d/e/{'bb' * 64}.f"
    assert file_url("https://h/t", target, hash_prefixed=False) == "https://h/t/d/e/f"
