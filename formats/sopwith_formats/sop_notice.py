"""What people at a computer are owed before an install, as a SOP's policy keeps it.

Decides the shape only: how it is written is `sop_notice_parts`', what an agent makes of it the agent's
(`domain.notice`).

>>> UserNotice(900, 3, 5 * 86400).grace_seconds
300
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class UserNotice:
    """What people at a computer are owed before an install."""

    notice_seconds: int = 0
    """How long they are told before; 0: they are not told."""
    deferrals_max: int = 0
    defer_at_most_seconds: int = 0
    """From the first notice; 0: as long as the rollout lasts."""
    grace_seconds: int = 300
    """How long the last notice lasts, which nobody may put off."""
