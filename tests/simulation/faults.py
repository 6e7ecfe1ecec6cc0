"""What goes wrong in one run, drawn from its seed: rates, shares and who is struck.

Decides numbers only; the network, the computers, the database and the people ask here whether something happens now.
Everything comes from one generator, so that the same seed meets the same faults in the same order. `heal` ends all
faults, so that the end of a run can be compared with the truth.
"""

import random
from dataclasses import dataclass

HOUR = 3600.0
COMMITS_OF = 60
"""A controller dies at no more of a large fleet's commits than at those of a fleet of this size."""
RESTARTS_OF = 100
"""A fleet larger than this finds its controller restarted so much the rarer: each restart brings everybody back."""
IDLE_STRUCK = 30
"""All idle computers of a large fleet together meet as much as a fleet of this size: one idle computer's cut stream
shows what a thousand show, and a run's time belongs to those that are at work."""


@dataclass
class Rates:
    """How often something happens; times are means in seconds, 0: never; shares are between 0 and 1."""

    link_cut: float
    """Between two cuts of one computer's stream."""
    half_open: float
    """Share of cuts that one side notices late."""
    agent_crash: float
    power_cut: float
    sleep: float
    """Between two announced sleeps of one computer."""
    not_ready: float
    controller_crash: float
    crash_at_commit: float
    """Share of commits before or after which the controller dies."""
    commit_refused: float
    """Share of commits that the disk refuses."""
    slow_commit: float
    """Seconds that a unit of work takes, about."""
    message_twice: float
    """Share of messages that the controller gets twice."""
    download_slow: float
    """Share of downloads that take up to half an hour."""
    wall_clock_jump: float
    """Between two jumps of one computer's own clock."""
    controller_clock_jump: float
    """Between two jumps of the controller's clock."""
    hang: float
    """Between two times in which one computer's agent hangs, with a stream that stands."""
    download_failed: float
    disk_full: float
    install_failed: float
    """Share of installs that fail before their commit point."""
    cut_after_commit: float
    """Share of installs that fail after it."""
    bad_health: float
    """Share of computers on which a bad release fails its health checks."""
    rollback_failed: float
    reboot_needed: float
    late: float
    """Share of computers that are enrolled after the first rollout was started."""
    absent: float
    """Share of computers that are switched off at the beginning."""


class Faults:
    """The dice of one run."""

    def __init__(self, seed: int, computers: int) -> None:
        self._idle_share = min(1.0, IDLE_STRUCK / computers)
        self.random = random.Random(seed)  # noqa: S311  a seed that can be replayed, nothing is guarded
        self.healed = False
        dice = self.random
        rough = dice.choice((0.0, 0.3, 1.0, 1.0, 3.0))
        self.rates = Rates(
            link_cut=_mean(rough, 0.5 * HOUR),
            half_open=0.3,
            agent_crash=_mean(rough, 1.5 * HOUR),
            power_cut=_mean(rough, 4 * HOUR),
            sleep=_mean(rough, 3 * HOUR),
            not_ready=_mean(rough, 2 * HOUR),
            controller_crash=dice.choice((0.0, 1.0 * HOUR, 0.3 * HOUR)) * max(1.0, computers / RESTARTS_OF),
            crash_at_commit=dice.choice((0.0, 0.0, 0.002, 0.01)) * min(1.0, COMMITS_OF / computers),
            commit_refused=dice.choice((0.0, 0.0, 0.01)),
            slow_commit=dice.choice((0.0, 0.05, 0.3, 0.3, 0.8)),
            message_twice=dice.choice((0.0, 0.02, 0.2)),
            download_slow=dice.choice((0.0, 0.0, 0.05)),
            wall_clock_jump=_mean(rough, 3 * HOUR),
            controller_clock_jump=dice.choice((0.0, 0.0, 0.7 * HOUR, 2.5 * HOUR)),
            hang=dice.choice((0.0, 0.0, 6 * HOUR, 30 * HOUR)),
            download_failed=0.02 * rough,
            disk_full=0.02 * rough,
            install_failed=0.01 * rough,
            cut_after_commit=0.01 * rough,
            bad_health=dice.choice((0.0, 0.0, 0.03, 0.3, 1.0)),
            rollback_failed=dice.choice((0.0, 0.02)),
            reboot_needed=dice.choice((0.0, 0.0, 0.5)),
            late=dice.choice((0.0, 0.0, 0.2)),
            absent=dice.choice((0.0, 0.05, 0.3)),
        )

    def meets(self, *, idle: bool) -> bool:
        """Tell whether what is about to happen to a computer does; one that has nothing to do is mostly spared."""
        return not idle or self._idle_share >= 1 or self.random.random() < self._idle_share

    def happens(self, share: float) -> bool:
        """Tell whether something of this share happens now."""
        return not self.healed and share > 0 and self.random.random() < share

    def slowness(self) -> float:
        """Return how many seconds a unit of work takes now."""
        slow = self.rates.slow_commit
        return slow * self.random.uniform(0.2, 1.0) if slow else 0.0

    def pause(self, mean_seconds: float) -> float | None:
        """Return the time until something of this mean happens next; None: never."""
        return self.random.expovariate(1 / mean_seconds) if mean_seconds else None

    def between(self, low: float, high: float) -> float:
        """Return a time between two."""
        return self.random.uniform(low, high)

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.healed = True


def _mean(rough: float, seconds: float) -> float:
    return seconds / rough if rough else 0.0
