"""The limits of the `evaluation` profile: try everything with an unsigned SOP, on few computers, for a while.

Rules: at most 25 computers belong to the fleet; rollouts are submitted and started for 30 days after `init`; what
exists can be read for ever, and what runs goes on.
"""

from datetime import datetime, timedelta

from sopwith_controller.domain.entities import Settings
from sopwith_controller.domain.errors import Refusal, RefusedError

PROFILE = "evaluation"
COMPUTERS_MAX = 25
LIFE = timedelta(days=30)
_REMEDY = "sopwith profile convert standard makes it a controller for real use, in place"


def check_computers(settings: Settings, computers: int) -> None:
    """Raise RefusedError when one computer more would be too many; `computers` counts those in the fleet."""
    if settings.profile == PROFILE and computers >= COMPUTERS_MAX:
        reason = f"the evaluation profile takes at most {COMPUTERS_MAX} computers"
        raise RefusedError(Refusal("evaluation", "II", reason, _REMEDY))


def check_life(settings: Settings, now: datetime) -> None:
    """Raise RefusedError when the evaluation has ended."""
    ended = settings.created_time + LIFE
    if settings.profile == PROFILE and now >= ended:
        reason = f"the evaluation ended on {ended:%Y-%m-%d}"
        raise RefusedError(Refusal("evaluation", "VII", reason, _REMEDY))
