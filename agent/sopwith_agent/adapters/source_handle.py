"""The source, loaded when it is first used, so that an agent at rest carries no TUF library.

Decides nothing about trust; `tuf_source` does. What can be answered without the library is answered from the two things
that are known without it: the root that enrolment or the designation pinned, and the addresses beside it.
"""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from sopwith_agent.adapters.identity_store import IdentityStore
from sopwith_agent.adapters.source_ways import Ways
from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import AgentError
from sopwith_agent.domain.messages import Body, SourceNamed
from sopwith_agent.late_imports import for_the_source
from sopwith_agent.steps.ports import StagedFile
from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError

if TYPE_CHECKING:
    from sopwith_agent.adapters.tuf_source import TufSource

_log = structlog.get_logger()


class Throughput:
    """Measures how fast a download comes: what went over the network, without what lay there already."""

    def __init__(self, progress: Callable[[int, int], None], monotonic: Callable[[], float]) -> None:
        self._progress = progress
        self._monotonic = monotonic
        self._first: tuple[float, int] | None = None
        self._last: tuple[float, int] = (0.0, 0)

    def progressed(self, done: int, total: int) -> None:
        """Take one word of progress and pass it on."""
        self._last = (self._monotonic(), done)
        self._first = self._first or self._last
        self._progress(done, total)

    def bytes_per_second(self) -> int | None:
        """Return the rate, None when too little came to tell."""
        if self._first is None:
            return None
        seconds, moved = self._last[0] - self._first[0], self._last[1] - self._first[1]
        if moved < limits.throughput_measured_from_bytes or seconds <= 0:
            return None
        return round(moved / seconds)


class SourceHandle:
    """The designated source of one computer. Everything but `root_sha256` and `metadata_url` is the worker's."""

    def __init__(self, folder: Path, identity: IdentityStore, ways: Ways | None = None) -> None:
        self._folder = folder
        self._ways = ways or Ways()
        self._identity = identity
        self._root = identity.trust().source_root_sha256
        self._loaded: TufSource | None = None
        self._throughput: int | None = None

    def root_sha256(self) -> str:
        """Return the digest of the trusted root, empty before designation."""
        return self._root

    def metadata_url(self) -> str:
        """Return where the source's metadata is served; empty before designation."""
        try:
            document = canonical_json.decode((self._folder / "addresses").read_bytes())
            return str(document["metadata_url"])
        except (OSError, FormatError, KeyError, TypeError):
            return ""

    def designate(self, named: SourceNamed) -> Body:
        """Accept a source, once; return what `SourceDesignated` says of it."""
        try:
            digest = self._source().designate(named.root_json, named.metadata_url, named.files_url)
            if digest != self._root:
                self._identity.pin_source(digest)
        except (AgentError, FormatError, OSError) as error:
            return {"root_sha256": self._root, "accepted": False, "reason": str(error)}
        self._root = digest
        self._loaded = None
        return {"root_sha256": digest, "accepted": True, "reason": ""}

    def refresh(self) -> None:
        """Fetch and verify fresh metadata."""
        self._source().refresh()

    def timestamp_ends(self) -> datetime | None:
        """Return when the timestamp of the last refresh ends; None before the first."""
        state = self._loaded.state() if self._loaded else None
        return state.timestamp_ends if state else None

    def manifest(self, name: str, version: str) -> bytes:
        """Return the verified release.json of a release that the source lists."""
        return self._source().manifest(name, version)

    def download(
        self, target: str, into: Path, progress: Callable[[int, int], None], cancelled: Callable[[], bool]
    ) -> StagedFile:
        """Fetch one target into a folder, resuming, and remember how fast it came."""
        meter = Throughput(progress, time.monotonic)
        held_back = self._ways.rate() is not None
        staged = self._source().download(target, into, meter.progressed, cancelled)
        if not held_back:  # what was braked on purpose says nothing about the link
            self._throughput = meter.bytes_per_second() or self._throughput
        return staged

    def throughput(self) -> int | None:
        """Return the bytes per second of the last download that was long enough to tell, None before it."""
        return self._throughput

    def _source(self) -> "TufSource":
        if self._loaded is None:
            with for_the_source():
                from sopwith_agent.adapters.tuf_source import TufSource

            self._loaded = TufSource(
                self._folder,
                pinned_sha256=self._root,
                authority=self._identity.authorities_file,
                ways=self._ways,
            )
        return self._loaded
