"""`sopwith sop announce`, `distribution`, `profile`, and the stamp of an evaluation, as people type them."""

from dataclasses import replace

from tests import builders as make
from tests.controller.cli.test_sop_cli import ACCESS, FLEETS, office, sopwith  # noqa: F401  a fixture
from tests.controller.sop_fleet import ID


async def effective(folder) -> None:
    fleet = FLEETS[folder]
    await fleet.sops.submit(fleet.caller("owner"), ID)
    for name in ("owner", "manager", "authority"):
        await sopwith("--context", f"{name}.toml", "sop", "sign", ID, "--yes", folder=folder)


async def test_session_is_announced_and_who_lacks_the_revision_is_shown(office):  # noqa: F811  the fixture
    await effective(office)
    async with FLEETS[office].database.write() as unit:
        await unit.computers.put(make.computer("pc1"))
        await unit.commit()
    owner = ("--context", "owner.toml", "sop")

    words = ("announce", ID, "--channel", "training", "--attendee", "operator", "--note", "Room 7")
    made = (await sopwith(*owner, *words, "-o", "json", folder=office)).document()
    listed = await sopwith(*owner, "announcements", ID, folder=office)
    shown = await sopwith(*owner, "show", ID, folder=office)
    lacking = (await sopwith(*owner, "distribution", ID, "-o", "json", folder=office)).document()
    table = await sopwith(*owner, "distribution", ID, folder=office)

    assert (made["channel"], made["attendees"], made["recipients"]) == ("training", ["operator"], ["operator"])
    assert "training" in listed.out
    assert "0 of 1 computers" in shown.out
    assert "pc1" in shown.out
    assert [one["computer"] for one in lacking["computers_lacking"]] == ["pc1"]
    assert lacking["people_lacking"] == ["operator"]
    assert "nothing yet" in table.out


async def test_every_screen_of_an_evaluation_is_stamped_until_it_is_converted(office):  # noqa: F811  the fixture
    fleet, access = FLEETS[office], ACCESS[office]
    async with fleet.database.write() as unit:
        await unit.put_settings(replace(await unit.settings(), profile="evaluation"))
        await unit.commit()
    await access.load()
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
    owner = ("--context", "owner.toml")

    stamped = await sopwith(*owner, "sop", "list", "-o", "json", folder=office)
    refused = await sopwith("--context", "operator.toml", "sop", "submit", ID, folder=office, expect=4)
    page = await sopwith(*owner, "sop", "render", ID, "--format", "html", folder=office)
    words = ("profile", "convert", "standard", "--yes", "--reason", "the trial was good")
    converted = await sopwith(*owner, *words, folder=office)
    after = await sopwith(*owner, "sop", "list", folder=office)
    rendered = await sopwith(*owner, "sop", "render", ID, folder=office)

    assert stamped.document()[0]["state"] == "EFFECTIVE"
    assert "EVALUATION" in stamped.err
    assert "EVALUATION" in refused.err
    assert "EFFECTIVE, EVALUATION" in page.out
    assert converted.out == "standard\n"
    assert f"{ID} revision 1 was never signed and is in review now" in converted.err
    assert "EVALUATION" not in after.err + rendered.out + rendered.err
