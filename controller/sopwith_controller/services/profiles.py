"""Converting the profile in place: evaluation to standard to regulated, never back.

Decides the order and what a stricter profile takes away: what an evaluation let take effect unsigned goes back into
review, so that nothing governs a fleet that nobody signed. What took effect with the signatures of its time stays. The
update log keeps what was stamped EVALUATION as it was.
"""

from collections.abc import Callable
from dataclasses import replace

from sopwith_controller.domain import sop as rules
from sopwith_controller.domain.entities import LogDraft, Settings, SopRevision
from sopwith_controller.domain.errors import InvalidInputError, TransitionNotAllowedError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.access import Access, Caller
from sopwith_controller.services.ports import Clock, Database
from sopwith_formats.sop_policy import read_sop_policy

PROFILES = ("evaluation", "standard", "regulated")
"""From the loosest to the strictest."""


class Profiles:
    """Use cases of the profile."""

    def __init__(self, database: Database, clock: Clock, access: Access, changed: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._access = access
        self._changed = changed

    async def convert(self, caller: Caller, wanted: str, reason: str) -> tuple[Settings, tuple[SopRevision, ...]]:
        """Return the new settings and the revisions that have to be signed now; the same profile changes nothing."""
        if wanted not in PROFILES:
            raise InvalidInputError(f"{wanted!r} is no profile", remedy=f"use {' or '.join(PROFILES[1:])}")
        if not reason.strip():
            raise InvalidInputError("a reason is needed, because it is recorded", remedy='add --reason "TEXT"')
        recalled: list[SopRevision] = []
        async with self._database.write() as unit:
            before = await unit.settings()
            if before.profile == wanted:
                return before, ()
            if PROFILES.index(wanted) < PROFILES.index(before.profile):
                raise TransitionNotAllowedError(
                    f"the profile is {before.profile}; it becomes stricter and never looser",
                    remedy="found another controller for a trial: sopwith-controller init --profile evaluation",
                )
            settings = replace(before, profile=wanted)
            for sop_id in await unit.sops.ids() if before.profile == PROFILES[0] else ():
                effective = await unit.sops.effective(sop_id)
                if effective is None or not rules.missing_roles(
                    effective, read_sop_policy(effective.policy_json), wanted
                ):
                    continue
                recalled.append(rules.recall(effective, self._clock.now()))
                await unit.sops.put(recalled[-1])
            await unit.put_settings(settings)
            unsigned = ", ".join(f"{one.id} revision {one.revision}" for one in recalled)
            asks = f"; {unsigned} has to be signed" if recalled else ""
            await unit.update_log.append(
                LogDraft(
                    kind=LogKind.PROFILE_CONVERTED,
                    message=f"{caller.name} converted {before.profile} to {wanted}{asks}: {reason.strip()}",
                    operator=caller.name,
                    details={"before": before.profile, "after": wanted, "recalled": [one.id for one in recalled]},
                )
            )
            await unit.commit()
        self._access.profile = wanted
        self._changed()
        return settings, tuple(recalled)
