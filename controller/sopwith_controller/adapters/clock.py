"""The system's clock behind the `Clock` port: the only place of the controller that asks for the time of day."""

from datetime import UTC, datetime


class SystemClock:
    """Tells UTC."""

    def now(self) -> datetime:
        """Return the present time, UTC."""
        return datetime.now(UTC)
