"""When the end of the source's signatures becomes a person's matter: 30, 14 and 7 days before.

Roles that people sign (root, targets, bins) end slowly and are asked for three times; what the controller signs itself
(snapshot, timestamp) is renewed long before its end, so that the last hours mean that renewing fails.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

BY_PEOPLE = (timedelta(days=30), timedelta(days=14), timedelta(days=7))
BY_CONTROLLER = (timedelta(hours=12),)
ONLINE_ROLES = frozenset({"snapshot", "timestamp"})


@dataclass(frozen=True)
class ExpiryWarning:
    """One role whose end is near. `stage` is the bound that was passed, in the order of urgency."""

    role: str
    version: int
    expires_time: datetime
    stage: timedelta

    @property
    def key(self) -> str:
        """Return what makes this warning another than the one before."""
        return f"{self.role}/{self.version}/{self.stage.total_seconds():.0f}"

    def text(self, now: datetime) -> str:
        """Return the warning as a sentence with its mend."""
        mend = (
            "this controller fails to renew it: look at its disk and log"
            if self.role in ONLINE_ROLES
            else "the release manager runs `sopwith source sign --keys DIR`"
        )
        if self.expires_time <= now:
            return f"the source's {self.role} metadata expired on {self.expires_time:%Y-%m-%d %H:%M} UTC; {mend}"
        days = (self.expires_time - now).days
        when = f"in {days} days" if days else "within a day"
        return f"the source's {self.role} metadata expires {when} ({self.expires_time:%Y-%m-%d %H:%M} UTC); {mend}"


def expiring(roles: Iterable[tuple[str, int, datetime]], now: datetime) -> list[ExpiryWarning]:
    """Return a warning for each (role, version, expiry) whose end is near, with the most urgent bound it passed."""
    warnings = []
    for role, version, expires_time in roles:
        bounds = BY_CONTROLLER if role in ONLINE_ROLES else BY_PEOPLE
        passed = [bound for bound in bounds if expires_time - now <= bound]
        if passed:
            warnings.append(ExpiryWarning(role, version, expires_time, min(passed)))
    return warnings
