"""How long an update takes: measured on computers that had a version of the same release, else a documented guess.

Decides what a finished assignment tells about time, and what the newest of them together say; what follows from an
estimate (no late start, no plan past its deadline, so many downloads at once) is `offers`' and `planning`'s. Rules:

- Only assignments that SUCCEEDED count, by the clock of the computer itself: from the start of the install to the end
  of its health checks, without the time in which it waited for a reboot to be allowed.
- An estimate is the 90th percentile of the newest 50 measurements of the same release name, of the same platform where
  at least 3 are known, else of all platforms. Of downloads it is the rate that 90 % of them reached.
- Where nothing was measured an install counts as 10 minutes and a download as 10 Mbit/s. Such a guess serves a
  projection; it never holds an install back.

>>> len(estimates([]).by_platform)
0
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Manifest
from sopwith_formats.receipt import Receipt
from sopwith_formats.units import parse_time
from sopwith_formats.vocabulary import AssignmentState, Outcome

MEASUREMENTS_MAX = 50
"""How many of the newest measurements of a release name are looked at."""
PLATFORM_MIN = 3
"""From how many measurements of one platform on these alone count for it."""
DEFAULT_INSTALL_SECONDS = 600
DEFAULT_BYTES_PER_SECOND = 10_000_000 // 8

_WORKING = frozenset(
    state.lower() for state in (AssignmentState.INSTALLING, AssignmentState.REBOOTING, AssignmentState.CONFIRMING)
)
_STATES = frozenset(state.lower() for state in AssignmentState)
_PLATFORM_KEYS = ("os", "arch", "distribution")
_SPELLINGS = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "i386": "i686"}


@dataclass(frozen=True)
class Measurement:
    """What one finished assignment took."""

    assignment_id: str
    release_name: str
    version: str
    platform: str
    """See `platform_of`."""
    install_milliseconds: int
    """From the start of the install to the end of its health checks."""
    download_milliseconds: int
    download_bytes: int
    ended_time: datetime


@dataclass(frozen=True)
class Estimate:
    """How long an update takes on one computer."""

    install_seconds: int = DEFAULT_INSTALL_SECONDS
    bytes_per_second: int = DEFAULT_BYTES_PER_SECOND
    """What 90 % of the downloads reached: for saying how long one takes."""
    mean_bytes_per_second: int = DEFAULT_BYTES_PER_SECOND
    """All bytes by all seconds: for saying how much many downloads take together."""
    measurements: int = 0
    """How many it rests on; 0: it is a guess."""

    @property
    def measured(self) -> bool:
        """Tell whether it was measured; a guess holds nothing back."""
        return self.measurements > 0

    @property
    def install(self) -> timedelta:
        """Return how long install and health checks take together."""
        return timedelta(seconds=self.install_seconds)

    @property
    def takes(self) -> timedelta:
        """Return `install` where it was measured, else nothing: a guess keeps no install from starting."""
        return self.install if self.measured else timedelta(0)

    def download(self, length: int) -> timedelta:
        """Return how long files of this many bytes take to download."""
        return timedelta(seconds=ceil(length / self.bytes_per_second))


GUESS = Estimate()


@dataclass(frozen=True)
class Estimates:
    """What is known of one release name's durations; worked out once per rollout and again when a wave passed."""

    overall: Estimate = GUESS
    by_platform: Mapping[str, Estimate] = field(default_factory=dict)

    def of(self, platform: str) -> Estimate:
        """Return the estimate for a computer of this platform."""
        return self.by_platform.get(platform, self.overall)


def platform_of(facts: Mapping[str, object]) -> str:
    """Return a computer's platform from its facts, such as "linux/x86_64/debian"; empty parts where it tells none."""
    return "/".join(_plain(facts.get(key)) for key in _PLATFORM_KEYS)


def bytes_for(manifest: Manifest, facts: Mapping[str, object]) -> int:
    """Return how many bytes of a release are for a computer; what it does not tell of itself excludes no file."""
    return sum(
        artifact.length
        for artifact in manifest.artifacts
        if all(_plain(facts.get(key)) in {"", *map(_plain, allowed)} for key, allowed in artifact.when.items())
    )


def measure(receipt: Receipt, manifest: Manifest, facts: Mapping[str, object], *, now: datetime) -> Measurement | None:
    """Return what a receipt tells about time; None where the update did not succeed or the steps cannot be trusted.

    Each step that left a state carries that state's name and the time of leaving it, so that the time between two of
    them was spent in the later one. A clock that was set meanwhile shows as a time that runs backwards.
    """
    if receipt.outcome != Outcome.SUCCEEDED:
        return None
    try:
        left = [(step["step"], parse_time(step["time"])) for step in receipt.steps if step.get("step") in _STATES]
    except (KeyError, FormatError):
        return None
    installing = downloading = timedelta(0)
    names, before = set(), receipt.started_time
    for name, time in left:
        if time < before:
            return None
        names.add(name)
        installing += time - before if name in _WORKING else timedelta(0)
        downloading += time - before if name == AssignmentState.DOWNLOADING.lower() else timedelta(0)
        before = time
    if AssignmentState.INSTALLING.lower() not in names:
        return None
    return Measurement(
        assignment_id=receipt.assignment_id,
        release_name=receipt.release,
        version=receipt.version,
        platform=platform_of(facts),
        install_milliseconds=_milliseconds(installing),
        download_milliseconds=_milliseconds(downloading),
        download_bytes=bytes_for(manifest, facts),
        ended_time=now,
    )


def estimates(measurements: Iterable[Measurement]) -> Estimates:
    """Return what the newest measurements of one release name say, for all platforms and for each."""
    newest = sorted(measurements, key=_ended_time, reverse=True)[:MEASUREMENTS_MAX]
    if not newest:
        return Estimates()
    platforms: dict[str, list[Measurement]] = {}
    for measurement in newest:
        platforms.setdefault(measurement.platform, []).append(measurement)
    known = {platform: _estimate(those) for platform, those in platforms.items() if len(those) >= PLATFORM_MIN}
    return Estimates(_estimate(newest), known)


def _plain(value: object) -> str:
    """Return a word of a platform as every computer spells it; the agent compares in the same way."""
    lower = value.lower() if isinstance(value, str) else ""
    return _SPELLINGS.get(lower, lower)


def _estimate(measurements: Sequence[Measurement]) -> Estimate:
    installs = sorted(measurement.install_milliseconds for measurement in measurements)
    loads = [(m.download_bytes, max(1, m.download_milliseconds)) for m in measurements if m.download_bytes]
    rates = sorted((1000 * length // milliseconds for length, milliseconds in loads), reverse=True)
    length, milliseconds = (sum(values) for values in zip(*loads, strict=True)) if loads else (0, 1)
    return Estimate(
        install_seconds=max(1, ceil(_ninetieth(installs) / 1000)),
        bytes_per_second=max(1, _ninetieth(rates)) if rates else DEFAULT_BYTES_PER_SECOND,
        mean_bytes_per_second=max(1, 1000 * length // milliseconds) if loads else DEFAULT_BYTES_PER_SECOND,
        measurements=len(measurements),
    )


def _ninetieth(in_order: Sequence[int]) -> int:
    """Return the 90th percentile, nearest rank: 90 % of the values come before it or equal it."""
    return in_order[ceil(len(in_order) * 0.9) - 1]


def _ended_time(measurement: Measurement) -> datetime:
    return measurement.ended_time


def _milliseconds(duration: timedelta) -> int:
    return ceil(duration / timedelta(milliseconds=1))
