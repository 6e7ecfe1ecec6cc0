"""What use cases read of a rollout again and again: its plan, its release, the policy that it cited.

Plans, policies and manifests never change once frozen, so that what was parsed is kept, by digest, the newest few.
"""

from collections import OrderedDict

from sopwith_controller.domain.errors import NotFoundError
from sopwith_controller.domain.plan import Plan, read_plan
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.services.ports import UnitOfWork
from sopwith_controller.services.release_lookup import find_release, manifest_of
from sopwith_formats.manifest import Manifest
from sopwith_formats.sop_policy import SopPolicy, read_sop_policy

_KEPT_MAX = 32


class RolloutRecords:
    """Reads rollouts, their plans and policies."""

    def __init__(self) -> None:
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._policies: OrderedDict[tuple[str, int], SopPolicy] = OrderedDict()
        self._manifests: OrderedDict[str, Manifest] = OrderedDict()

    async def get(self, unit: UnitOfWork, rollout_id: str) -> Rollout:
        """Return the rollout; raise NotFoundError."""
        rollout = await unit.rollouts.get(rollout_id)
        if rollout is None:
            raise NotFoundError(f"there is no rollout {rollout_id}", remedy="sopwith rollout list")
        return rollout

    def keep_plan(self, plan: Plan) -> None:
        """Keep a plan that was just made: reading a large one back takes seconds."""
        self._plans[plan.sha256()] = plan
        _forget_oldest(self._plans)

    def plan(self, rollout: Rollout) -> Plan:
        """Return the rollout's plan."""
        if rollout.plan_sha256 not in self._plans:
            self._plans[rollout.plan_sha256] = read_plan(rollout.plan_json)
            _forget_oldest(self._plans)
        return self._plans[rollout.plan_sha256]

    async def manifest(self, unit: UnitOfWork, rollout: Rollout) -> Manifest:
        """Return the manifest of the rollout's release; what was published never changes."""
        if rollout.release not in self._manifests:
            found = await find_release(unit, rollout.release)
            if found is None:
                raise NotFoundError(f"{rollout.release} is not on record", remedy="sopwith release list")
            self._manifests[rollout.release] = manifest_of(found)
            _forget_oldest(self._manifests)
        return self._manifests[rollout.release]

    async def policy(self, unit: UnitOfWork, rollout: Rollout) -> SopPolicy:
        """Return the policy of the SOP revision that the rollout cited."""
        return await self.policy_of(unit, rollout.sop_id, rollout.sop_revision)

    async def policy_of(self, unit: UnitOfWork, sop_id: str, revision: int) -> SopPolicy:
        """Return the policy of one SOP revision, as far as it is beyond a draft it never changes."""
        key = (sop_id, revision)
        if key not in self._policies:
            found = await unit.sops.get(sop_id, revision)
            if found is None:
                raise NotFoundError(
                    f"there is no revision {revision} of {sop_id}", remedy=f"sopwith sop history {sop_id}"
                )
            self._policies[key] = read_sop_policy(found.policy_json)
            _forget_oldest(self._policies)
        return self._policies[key]


def _forget_oldest(
    kept: OrderedDict[str, Plan] | OrderedDict[str, Manifest] | OrderedDict[tuple[str, int], SopPolicy],
) -> None:
    while len(kept) > _KEPT_MAX:
        kept.popitem(last=False)
