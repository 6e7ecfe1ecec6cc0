"""The SOPs in force and their scopes, and which of them a computer is told of.

Reads only; which SOP governs is decided by `domain.governing`. While there is one SOP nothing is parsed and everybody
is told of it; of several a computer is told of the one that governs it, of the controller's own where none or two do.
"""

from functools import lru_cache

from sopwith_controller.domain.entities import Computer, ComputerState, SopRevision
from sopwith_controller.domain.governing import governors
from sopwith_controller.services.ports import UnitOfWork
from sopwith_formats.sop_policy import read_sop_policy


async def scopes_in_force(unit: UnitOfWork, *, without: str = "") -> dict[str, str]:
    """Return the scope of every effective SOP, but one."""
    found: dict[str, str] = {}
    for sop_id in await unit.sops.ids():
        effective = await unit.sops.effective(sop_id) if sop_id != without else None
        if effective is not None:
            found[sop_id] = scope_of(effective.policy_json)
    return found


async def told_of(unit: UnitOfWork, computer: Computer) -> SopRevision | None:
    """Return the revision that a computer is told of."""
    own = (await unit.settings()).sop_id
    if len(await unit.sops.ids()) > 1:
        mine = governors(computer, await scopes_in_force(unit))
        if mine and own not in mine:
            return await unit.sops.effective(mine[0])
    return await unit.sops.effective(own)


async def listeners(unit: UnitOfWork, revision: SopRevision) -> frozenset[str] | None:
    """Return the ids of the computers that are told of a revision; None: everybody, while there is one SOP."""
    if len(await unit.sops.ids()) < 2:  # noqa: PLR2004  one SOP is everybody's
        return None
    found = []
    for computer in await unit.computers.all():
        if computer.state in {ComputerState.ACCEPTED, ComputerState.QUARANTINED}:
            told = await told_of(unit, computer)
            if told is not None and told.id == revision.id:
                found.append(computer.id)
    return frozenset(found)


@lru_cache(maxsize=64)
def scope_of(policy_json: str) -> str:
    """Return the scope of a policy; kept, because every plan and every Hello asks for it."""
    return read_sop_policy(policy_json).scope
