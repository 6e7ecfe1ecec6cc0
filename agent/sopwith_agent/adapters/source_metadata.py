"""A refresh of the source's metadata, and looking up what it says about one target.

python-tuf decides what is rightly signed, new enough and fresh; this module gives it a root, a folder with a floor and
a fetcher with limits, and turns what it finds into the symptoms of the SOP. Rules of our own: the clock is never
believed when it stands before this program was made, nor before the last refresh that succeeded: metadata that was
expired then is expired now.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater, UpdaterConfig

from sopwith_agent.adapters.source_fetcher import MetadataFetcher
from sopwith_agent.adapters.source_folder import SourceFolder
from sopwith_agent.adapters.source_transport import Transport, check_address
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_formats.vocabulary import Symptom

PROGRAM_MADE = datetime(2025, 1, 1, tzinfo=UTC)
ROOT_ROTATIONS_MAX = 256
_TOP_LEVEL = ("root", "timestamp", "snapshot", "targets")
_TIME_STEP = timedelta(minutes=5)


@dataclass(frozen=True)
class SourceState:
    """What a refresh led to: the version of each top-level role, and when the first of them ends."""

    versions: dict[str, int]
    expires_time: datetime
    timestamp_ends: datetime
    """When the role ends that is renewed most often."""


class SourceMetadata:
    """The verified view of one source, good for one refresh and the look-ups after it."""

    def __init__(
        self, folder: SourceFolder, url: str, transport: Transport, now: Callable[[], datetime] | None = None
    ) -> None:
        check_address(url)
        self._folder = folder
        self._url = url
        self._transport = transport
        self._now = now or (lambda: datetime.now(UTC))
        self._updater: Updater | None = None

    def refresh(self) -> SourceState:
        """Fetch and verify; raise StepError with the symptom. What was accepted on the way is kept in any case."""
        now = self._now()
        if now < PROGRAM_MADE:
            raise StepError(
                Symptom.CLOCK_SKEWED,
                f"the clock says {now:%Y-%m-%d}, before this program was made",
                remedy="set this computer's clock",
            )
        with self._folder.locked():
            self._folder.sweep()
            self._folder.put_back()
            newest_root = self._folder.trusted_root().version
            self._run(self._refresh)
            state = self._judged(max(now, self._folder.latest_time()), newest_root)
            if now - self._folder.latest_time() > _TIME_STEP:
                self._folder.note_time(now)
        return state

    def look_up(self, target: str) -> TargetFile:
        """Return what the refreshed metadata says of a target; raise TrustError when no role lists it."""
        found: list[TargetFile | None] = []
        with self._folder.locked():
            self._run(lambda: found.append(self._refreshed().get_targetinfo(target)))
        if found[0] is None:
            raise TrustError(
                Symptom.NOT_AUTHORISED_BY_SOURCE,
                f"the source does not list {target}",
                remedy="publish it first, or correct its name",
            )
        return found[0]

    @property
    def hash_prefixed(self) -> bool:
        """Tell whether files are served under their digest (consistent snapshots)."""
        return bool(self._folder.trusted_root().consistent_snapshot)

    def _refreshed(self) -> Updater:
        if self._updater is None:
            raise StepError(Symptom.UNKNOWN, "the source's metadata was not refreshed")
        return self._updater

    def _refresh(self) -> None:
        self._updater = Updater(
            str(self._folder.path),
            self._url,
            fetcher=MetadataFetcher(self._transport),
            config=UpdaterConfig(max_root_rotations=ROOT_ROTATIONS_MAX),
            bootstrap=self._folder.pinned_root(),
        )
        self._updater.refresh()

    def _run(self, act: Callable[[], None]) -> None:
        try:
            try:
                act()
            finally:
                self._folder.raise_floor()
        except StepError:
            raise
        except Exception as error:  # hostile bytes break parsers in unforeseen ways
            raise classify(error) from error

    def _judged(self, now: datetime, newest_root: int) -> SourceState:
        versions: dict[str, int] = {}
        ends: dict[str, datetime] = {}
        for role in _TOP_LEVEL:
            metadata = self._folder.read(role)
            if metadata is None:
                raise TrustError(Symptom.SIGNATURE_INVALID, f"{role}.json cannot be read after the refresh")
            if metadata.signed.is_expired(now):
                raise TrustError(Symptom.METADATA_EXPIRED, f"{role}.json expired on {metadata.signed.expires:%Y-%m-%d}")
            versions[role] = metadata.signed.version
            ends[role] = metadata.signed.expires
        if versions["root"] < newest_root:
            raise TrustError(Symptom.METADATA_ROLLBACK, f"root {newest_root} was accepted before")
        return SourceState(versions, min(ends.values()), ends["timestamp"])


def classify(error: BaseException) -> StepError:
    """Return the error as the SOP names it."""
    message = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, ExpiredMetadataError):
        return TrustError(Symptom.METADATA_EXPIRED, message, remedy="let the source's keeper sign fresh metadata")
    if isinstance(error, BadVersionNumberError):
        return TrustError(Symptom.METADATA_ROLLBACK, message)
    if isinstance(error, (RepositoryError, DownloadLengthMismatchError)):
        symptom = Symptom.METADATA_ROLLBACK if "New snapshot is missing info" in message else Symptom.SIGNATURE_INVALID
        return TrustError(symptom, message)
    if isinstance(error, DownloadError):
        told = error.__cause__.remedy if isinstance(error.__cause__, StepError) else ""
        return StepError(Symptom.NET_SOURCE_UNREACHABLE, message, remedy=told or "check the address and the network")
    if isinstance(error, OSError):
        return classify_disk(error)
    return TrustError(Symptom.SIGNATURE_INVALID, f"the source's answer is no metadata: {message}")


def classify_disk(error: OSError) -> StepError:
    """Return an error of this computer's own disk as the SOP names it."""
    message = f"{error.filename or 'the disk'}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StepError(Symptom.DISK_FULL, message, remedy="free disk space")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StepError(Symptom.PERMISSION_DENIED, message, remedy="let this user write there")
    return StepError(Symptom.UNKNOWN, message)
