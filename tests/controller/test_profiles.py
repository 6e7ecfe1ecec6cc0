"""Converting an evaluation in place, and the stamp that everything carries while it lasts."""

import pytest

from sopwith_controller.domain.entities import SopState
from sopwith_controller.domain.errors import InvalidInputError, TransitionNotAllowedError
from sopwith_controller.services.access import Access
from sopwith_controller.services.profiles import Profiles
from tests.controller.sop_fleet import ID, SopFleet, revised


async def trial() -> tuple[SopFleet, Profiles, Access, list[int]]:
    fleet = await SopFleet().begin("evaluation")
    await fleet.sops.submit(fleet.caller("owner"), ID)
    access = Access(fleet.database)
    await access.load()
    changed: list[int] = []
    return fleet, Profiles(fleet.database, fleet.clock, access, lambda: changed.append(1)), access, changed


async def messages(fleet: SopFleet) -> list[str]:
    async with fleet.database.read() as unit:
        return [row.message for row in await unit.update_log.entries(0, 100)]


async def test_every_record_of_an_evaluation_is_stamped_and_none_after_it():
    fleet, profiles, access, changed = await trial()
    before = await messages(fleet)
    await profiles.convert(fleet.caller("owner"), "standard", "the trial was good")
    await fleet.sign("owner", "owner")

    after = (await messages(fleet))[len(before) :]

    assert before
    assert all(message.startswith("EVALUATION: ") for message in before)
    assert not any(message.startswith("EVALUATION") for message in after)
    assert (access.profile, changed) == ("standard", [1])


async def test_what_took_effect_unsigned_governs_nothing_until_it_is_signed():
    fleet, profiles, _, _ = await trial()
    assert (await fleet.sops.get(ID)).revision.state is SopState.EFFECTIVE

    settings, recalled = await profiles.convert(fleet.caller("owner"), "standard", "the trial was good")
    waiting = await fleet.sops.get(ID)

    assert settings.profile == "standard"
    assert [(one.id, one.state) for one in recalled] == [(ID, SopState.IN_REVIEW)]
    assert waiting.signatures_missing == ("owner", "it_manager", "authority")
    assert (await fleet.sign_all()).revision.state is SopState.EFFECTIVE


async def test_what_was_signed_stays_in_effect_when_the_profile_becomes_regulated():
    fleet = await SopFleet().effective()
    editorial = revised(2, ("kind: material", "kind: editorial"), ("It has three aims", "Its aims are three"))
    await fleet.sops.submit(fleet.caller("owner"), ID, editorial)
    await fleet.sign("manager", "it_manager")
    profiles = Profiles(fleet.database, fleet.clock, Access(fleet.database), lambda: None)

    _, recalled = await profiles.convert(fleet.caller("owner"), "regulated", "the auditors come")

    assert recalled == ()
    assert (await fleet.sops.get(ID)).revision.revision == 2
    assert (await profiles.convert(fleet.caller("owner"), "regulated", "again"))[1] == ()
    assert (await fleet.kinds()).count("PROFILE_CONVERTED") == 1


async def test_profile_becomes_stricter_and_never_looser():
    fleet = await SopFleet().effective()
    profiles = Profiles(fleet.database, fleet.clock, Access(fleet.database), lambda: None)
    owner = fleet.caller("owner")

    with pytest.raises(TransitionNotAllowedError, match="stricter and never looser"):
        await profiles.convert(owner, "evaluation", "easier")
    with pytest.raises(InvalidInputError, match="no profile"):
        await profiles.convert(owner, "strict", "x")
    with pytest.raises(InvalidInputError, match="reason"):
        await profiles.convert(owner, "regulated", " ")
