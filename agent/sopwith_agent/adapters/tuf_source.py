"""The designated source as the steps see it: refresh, manifest, files; and its designation, once.

This module puts folder, metadata and downloader together and keeps where the source is served; what is trusted and
accepted is decided there. The addresses lie in the same folder as the trust (`addresses`), so that a source is known
wholly or not at all.
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from tuf.api.metadata import TargetFile

from sopwith_agent.adapters.source_download import Downloader, Mirror
from sopwith_agent.adapters.source_folder import SourceFolder
from sopwith_agent.adapters.source_metadata import SourceMetadata, SourceState, classify_disk
from sopwith_agent.adapters.source_transport import Transport, check_address
from sopwith_agent.adapters.source_watch import TransferLimits
from sopwith_agent.adapters.source_ways import Ways
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.steps.ports import StagedFile
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_replace, make_private_folder
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import manifest_target
from sopwith_formats.vocabulary import Symptom

MANIFEST_BYTES_MAX = 2**20


class TufSource:
    """One source in one folder. Used from the one thread in which steps run."""

    def __init__(
        self,
        folder: Path,
        *,
        pinned_sha256: str = "",
        authority: Path | None = None,
        limits: TransferLimits | None = None,
        now: Callable[[], datetime] | None = None,
        ways: Ways | None = None,
    ) -> None:
        """`pinned_sha256`: the root named by the join string, empty before `source init`; `authority`: a PEM file."""
        self._folder = SourceFolder(folder, expected_sha256=pinned_sha256)
        self._addresses = folder / "addresses"
        self._authority = authority
        self._limits = limits
        self._now = now
        self._ways = ways or Ways()
        self._mirrors = tuple(
            Mirror(Transport(authority, limits, self._ways.proxies, public=True), url) for url in self._ways.mirrors
        )
        self._transport: Transport | None = None
        self._metadata: SourceMetadata | None = None
        self._state: SourceState | None = None

    def designate(self, root_json: bytes, metadata_url: str, files_url: str) -> str:
        """Accept a source, once; return the digest of its root. Afterwards only its addresses may change."""
        check_address(metadata_url)
        check_address(files_url)
        make_private_folder(self._folder.path)
        digest = self.root_sha256()
        if not digest or digest != _digest_of(root_json):
            digest = self._folder.trust(root_json)
        document = canonical_json.encode({"files_url": files_url, "metadata_url": metadata_url})
        if not self._addresses.exists() or self._addresses.read_bytes() != document:
            durable_replace(self._addresses, document, 0o600)
        self._forget_view()
        return digest

    def close(self) -> None:
        """Close the kept connection; the next refresh opens another."""
        self._forget_view()

    def root_sha256(self) -> str:
        """Return the digest of the pinned root, empty before designation."""
        try:
            return _digest_of(self._folder.pinned_root())
        except TrustError:
            raise
        except StepError:
            return ""

    def addresses(self) -> tuple[str, str]:
        """Return where metadata and files are served; raise StepError before designation."""
        try:
            document = canonical_json.decode_canonical(self._addresses.read_bytes())
            return str(document["metadata_url"]), str(document["files_url"])
        except (FileNotFoundError, FormatError, KeyError, TypeError) as error:
            raise StepError(
                Symptom.SOURCE_NOT_DESIGNATED,
                "no source is designated",
                remedy="the owner runs `sopwith source init`",
            ) from error

    def refresh(self) -> None:
        """Fetch and verify fresh metadata; raise StepError with the symptom."""
        self._forget_view()
        metadata_url, _ = self.addresses()
        self._transport = Transport(self._authority, self._limits, self._ways.proxies)
        metadata = SourceMetadata(self._folder, metadata_url, self._transport, self._now)
        try:
            self._state = metadata.refresh()
        except OSError as error:
            raise classify_disk(error) from error
        self._metadata = metadata

    def state(self) -> SourceState | None:
        """Return what the last refresh of this process led to."""
        return self._state

    def manifest(self, name: str, version: str) -> bytes:
        """Return the verified release.json of a release that the source lists; raise StepError."""
        target = self._look_up(manifest_target(name, version))
        if target.length > MANIFEST_BYTES_MAX:
            raise TrustError(Symptom.CONTENT_REFUSED, f"{target.path} is longer than {MANIFEST_BYTES_MAX} bytes")
        kept = self._folder.path / "manifests" / f"{name}@{version}"
        kept.parent.mkdir(exist_ok=True, mode=0o700)
        self._downloader().fetch(target, kept, _silent, _never)
        return kept.read_bytes()

    def download(
        self, target: str, into: Path, progress: Callable[[int, int], None], cancelled: Callable[[], bool]
    ) -> StagedFile:
        """Fetch one target into a private folder under its own file name, resuming; raise StepError."""
        signed = self._look_up(target)
        path = into / target.rpartition("/")[2]
        digest = self._downloader().fetch(signed, path, progress, cancelled)
        return StagedFile(path.name, path, signed.length, digest)

    def _look_up(self, target: str) -> TargetFile:
        if self._metadata is None:
            self.refresh()
        if self._metadata is None:
            raise StepError(Symptom.SOURCE_NOT_DESIGNATED, "no source is designated")
        return self._metadata.look_up(target)

    def _downloader(self) -> Downloader:
        if self._transport is None or self._metadata is None:
            raise StepError(Symptom.SOURCE_NOT_DESIGNATED, "no source is designated")
        _, files_url = self.addresses()
        return Downloader(
            self._transport,
            files_url,
            self._folder.parts,
            self._metadata.hash_prefixed,
            self._mirrors,
            self._ways.rate,
        )

    def _forget_view(self) -> None:
        for transport in (self._transport, *(mirror.transport for mirror in self._mirrors)):
            if transport is not None:
                transport.close()
        self._transport = self._metadata = None


def _digest_of(root_json: bytes) -> str:
    return sha256(root_json).hexdigest()


def _silent(done: int, total: int) -> None:
    """Small files need no progress."""


def _never() -> bool:
    return False
