"""The ways to a source: mirrors, rates, captive portals, and how many bytes a broken line costs; on real servers."""

import contextlib
import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile

from sopwith_agent.adapters.identity_store import IdentityStore, Trust
from sopwith_agent.adapters.source_download import Downloader, Mirror
from sopwith_agent.adapters.source_folder import SourceFolder
from sopwith_agent.adapters.source_handle import SourceHandle
from sopwith_agent.adapters.source_metadata import SourceMetadata
from sopwith_agent.adapters.source_transport import Transport
from sopwith_agent.adapters.source_watch import TransferLimits
from sopwith_agent.adapters.source_ways import Brake, Ways
from sopwith_agent.adapters.tuf_source import TufSource
from sopwith_agent.domain.bandwidth import RateRule
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.messages import SourceNamed
from sopwith_certs import signing
from sopwith_formats.vocabulary import Symptom
from tests.faults.answers import send, serve_honestly
from tests.faults.hostile_source import HostileServer, SourceRepository, serving

CONTENT = os.urandom(300_000)
CHUNK = 256 * 2**10
NAME = "hello/2/hello.deb"
LIMITS = TransferLimits(2, 0.5, 1024)


def silent(_done: int, _total: int) -> None:
    """Nobody listens."""


class Place:
    """A repository with one file and its server."""

    def __init__(self, server: HostileServer) -> None:
        self.server = server
        server.repository.add_target(NAME, CONTENT)
        server.repository.publish()
        self.target: TargetFile = server.repository.targets.targets[NAME]
        self.path = server.repository.address_of(NAME)


@pytest.fixture
def source() -> Iterator[Place]:
    with serving(SourceRepository()) as server:
        yield Place(server)


@pytest.fixture
def mirror() -> Iterator[Place]:
    with serving(SourceRepository()) as server:
        yield Place(server)


def fetch(folder: Path, place: Place, *mirrors: Place, cancelled: threading.Event | None = None) -> bytes:
    with Transport(limits=LIMITS) as transport:
        others = tuple(Mirror(Transport(limits=LIMITS, public=True), each.server.files_url) for each in mirrors)
        try:
            downloader = Downloader(transport, place.server.files_url, folder / "parts", True, others)
            stop = cancelled.is_set if cancelled else lambda: False
            downloader.fetch(place.target, folder / "hello.deb", silent, stop)
        finally:
            for each in others:
                each.transport.close()
    return (folder / "hello.deb").read_bytes()


# Bytes.


@pytest.mark.parametrize("cut_after", [50_000, 120_000, 299_999])
def test_broken_line_costs_at_most_one_chunk_more_than_the_file(source: Place, tmp_path: Path, cut_after: int):
    sent: list[int] = []

    def cut(handler):
        first = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        rest = CONTENT[first:]
        piece = rest[:cut_after]
        sent.append(len(piece))
        headers = {"ETag": '"one"'}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
        send(handler, 206 if first else 200, piece, headers, announce=len(rest))

    source.server.behave[source.path] = cut
    for _ in range(len(CONTENT) // cut_after + 1):
        with contextlib.suppress(StepError):
            fetch(tmp_path, source)

    assert (tmp_path / "hello.deb").read_bytes() == CONTENT
    assert sum(sent) <= len(CONTENT) + (len(sent) - 1) * CHUNK
    assert sum(sent) == len(CONTENT)


# Answers from 400 to 499.


@pytest.mark.parametrize(("status", "final"), [(404, True), (403, True), (410, True), (429, False), (503, False)])
def test_file_that_the_source_will_not_give_is_final(source: Place, tmp_path: Path, status: int, final: bool):
    source.server.behave[source.path] = lambda handler: send(handler, status, b"no")

    with pytest.raises(StepError) as caught:
        fetch(tmp_path, source)

    assert caught.value.final is final
    assert len(source.server.requests) == 1


# Mirrors.


def test_file_comes_from_the_mirror_and_the_source_is_not_asked(source: Place, mirror: Place, tmp_path: Path):
    assert fetch(tmp_path, source, mirror) == CONTENT

    assert source.server.requests == []
    assert len(mirror.server.requests) == 1


@pytest.mark.parametrize("status", [404, 500])
def test_mirror_without_the_file_is_passed_over(source: Place, mirror: Place, tmp_path: Path, status: int):
    mirror.server.behave[mirror.path] = lambda handler: send(handler, status, b"no")

    assert fetch(tmp_path, source, mirror) == CONTENT


def test_mirror_that_nobody_reaches_is_passed_over(source: Place, mirror: Place, tmp_path: Path):
    mirror.server.base = "http://127.0.0.1:1"

    assert fetch(tmp_path, source, mirror) == CONTENT


@pytest.mark.parametrize("content", [os.urandom(len(CONTENT)), CONTENT[:-1], CONTENT + b"x"])
def test_mirror_that_lies_is_passed_over_and_nothing_of_it_is_kept(
    source: Place, mirror: Place, tmp_path: Path, content: bytes
):
    mirror.server.behave[mirror.path] = lambda handler: send(handler, 200, content)

    assert fetch(tmp_path, source, mirror) == CONTENT

    (headers,) = source.server.asked(source.path)
    assert "Range" not in headers


def test_half_a_file_from_a_mirror_is_finished_by_the_source(source: Place, mirror: Place, tmp_path: Path):
    mirror.server.behave[mirror.path] = lambda handler: send(
        handler, 200, CONTENT[:100_000], {"ETag": '"of the mirror"'}, announce=len(CONTENT)
    )
    source.server.behave[source.path] = lambda handler: serve_honestly(handler, CONTENT, etag='"of the source"')

    assert fetch(tmp_path, source, mirror) == CONTENT

    (headers,) = source.server.asked(source.path)
    assert headers["Range"] == "bytes=100000-"
    assert "If-Range" not in headers


def test_poisoned_half_of_a_mirror_is_fetched_anew_from_the_source(source: Place, mirror: Place, tmp_path: Path):
    mirror.server.behave[mirror.path] = lambda handler: send(handler, 200, os.urandom(100_000), announce=len(CONTENT))

    assert fetch(tmp_path, source, mirror) == CONTENT

    assert [headers.get("Range") for headers in source.server.asked(source.path)] == ["bytes=100000-", None]


def test_download_that_is_called_off_at_a_mirror_goes_nowhere_else(source: Place, mirror: Place, tmp_path: Path):
    stop = threading.Event()
    stop.set()

    with pytest.raises(StepError):
        fetch(tmp_path, source, mirror, cancelled=stop)

    assert source.server.requests == []


def test_mirror_serves_files_and_never_metadata(tmp_path: Path):
    with serving(SourceRepository()) as server, serving(SourceRepository()) as other:
        source, mirror = Place(server), Place(other)
        tuf = TufSource(tmp_path / "source", limits=LIMITS, ways=Ways(mirrors=(mirror.server.files_url,)))
        tuf.designate(server.repository.files["/metadata/1.root.json"], server.metadata_url, server.files_url)

        staged = tuf.download(NAME, tmp_path / "staging", silent, lambda: False)
        tuf.close()

    assert staged.path.read_bytes() == CONTENT
    assert [path for path, _ in other.requests] == [mirror.path]
    assert source.path not in [path for path, _ in server.requests]


# Captive portals.

PORTAL = b"<html><body>Welcome to the hotel. Log in.</body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("status", "headers"), [(200, HTML), (511, HTML), (302, {"Location": "http://login.hotel.example/"})]
)
def test_case_58_captive_portal_is_named_and_is_nobodys_attack(source: Place, tmp_path: Path, status: int, headers):
    folder = SourceFolder(tmp_path / "trust")
    folder.trust(source.server.repository.files["/metadata/1.root.json"])
    for path in ("/metadata/timestamp.json", source.path):
        source.server.behave[path] = lambda handler: send(handler, status, PORTAL, headers)

    with Transport(limits=LIMITS) as transport, pytest.raises(StepError) as of_metadata:
        SourceMetadata(folder, source.server.metadata_url, transport).refresh()
    with pytest.raises(StepError) as of_file:
        fetch(tmp_path, source)

    for error in (of_metadata.value, of_file.value):
        assert error.symptom is Symptom.NET_SOURCE_UNREACHABLE
        assert not error.final
        assert "log" in (error.message + error.remedy).lower()
        assert "captive portal" in error.message + error.remedy or "another origin" in error.message


def test_file_that_is_a_web_page_is_fetched_as_one(tmp_path: Path):
    with serving(SourceRepository()) as server:
        server.repository.add_target("guide/1/guide.html", PORTAL)
        place = Place(server)
        place.target = server.repository.targets.targets["guide/1/guide.html"]
        path = server.repository.address_of("guide/1/guide.html")
        server.behave[path] = lambda handler: send(handler, 200, PORTAL, HTML)

        assert fetch(tmp_path, place) == PORTAL


# Rates.


def test_download_keeps_to_the_rate_of_the_hour():
    slept: list[float] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    ways = Ways(rates=(RateRule(100_000),), local_now=lambda: datetime(2026, 11, 30, 12))  # noqa: DTZ001
    brake = Brake(ways.rate, lambda: clock[0], sleep)
    moved = 0
    while moved < len(CONTENT):
        piece = brake.piece_bytes(CHUNK)
        moved += piece
        brake.moved(piece, lambda: False)

    assert sum(slept) == pytest.approx(moved / 100_000, rel=0.01)
    assert str(brake).startswith("at most")


def test_download_that_waits_for_its_rate_can_be_called_off():
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    brake = Brake(lambda: 4096, lambda: clock[0], sleep)
    brake.moved(10**9, lambda: clock[0] > 1)

    assert clock[0] < 2


def test_limited_download_is_slow_on_the_wire_and_still_whole(source: Place, tmp_path: Path):
    rates: list[int | None] = []

    def rate() -> int | None:
        rates.append(1)
        return 400_000

    with Transport(limits=LIMITS) as transport:
        downloader = Downloader(transport, source.server.files_url, tmp_path / "parts", hash_prefixed=True, rate=rate)
        began = datetime.now().astimezone()
        downloader.fetch(source.target, tmp_path / "hello.deb", silent, lambda: False)
        seconds = (datetime.now().astimezone() - began).total_seconds()

    assert (tmp_path / "hello.deb").read_bytes() == CONTENT
    assert seconds >= 0.9 * len(CONTENT) / 400_000
    assert len(rates) > 3


@pytest.mark.parametrize(("rules", "told"), [((), True), ((RateRule(10_000_000),), False)])
def test_braked_download_says_nothing_about_the_link(source: Place, tmp_path: Path, rules, told: bool):
    identity = IdentityStore(tmp_path / "identity")
    identity.keep_enrolling_key(signing.new_key())
    identity.keep_trust(Trust("127.0.0.1:1", "example", "127.0.0.1", 1, "", "Example", "pc1"))
    handle = SourceHandle(tmp_path / "source", identity, Ways(rates=rules))
    root = source.server.repository.files["/metadata/1.root.json"]
    big = os.urandom(2 * 2**20)
    source.server.repository.add_target("big/1/big.deb", big)
    source.server.repository.publish()
    assert handle.designate(SourceNamed(root, source.server.metadata_url, source.server.files_url))["accepted"]

    handle.download("big/1/big.deb", tmp_path / "staging", silent, lambda: False)
    handle._source().close()

    assert (handle.throughput() is not None) is told
