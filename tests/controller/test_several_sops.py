"""One SOP for servers and another for laptops: submitted, told, planned; and five revisions that all still verify."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sopwith.v1 import rollout_service_pb2
from sopwith_controller.desk.sop_bundle import verify_bundle, write_bundle
from sopwith_controller.domain.entities import SopRevision, SopState
from sopwith_controller.domain.errors import RefusedError
from sopwith_controller.services.sops import draft_revision
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import WaveRule
from tests import builders as make
from tests.controller.house import House
from tests.controller.sop_fleet import DOCUMENT, ID, SopFleet, revised

OTHER = "SU-SOP-002"


def scoped(scope: str, sop_id: str = ID, number: int = 1) -> bytes:
    document = revised(number, ('targets: ""', f'targets: "{scope}"'))
    return document.replace(b"id: SU-SOP-001", f"id: {sop_id}".encode(), 1)


async def test_second_sop_is_submitted_only_where_the_first_does_not_govern():
    fleet = await SopFleet().effective()
    owner = fleet.caller("owner")

    with pytest.raises(RefusedError, match="SU-SOP-002 would govern every computer beside SU-SOP-001"):
        await fleet.sops.submit(owner, OTHER, scoped("form=laptop", OTHER))
    await fleet.sops.submit(owner, ID, scoped("form=server", number=2))
    await fleet.sign_all()
    view = await fleet.sops.submit(owner, OTHER, scoped("form=laptop", OTHER))

    assert view.revision.state is SopState.IN_REVIEW
    assert {one.revision.id for one in await fleet.sops.all()} == {ID, OTHER}


async def test_computers_are_told_of_the_sop_that_governs_them():
    fleet = await SopFleet().begin(document=scoped("form=server"))
    async with fleet.database.write() as unit:
        for name, form in (("s1", "server"), ("l1", "laptop"), ("p1", "phone")):
            await unit.computers.put(make.computer(name, labels={"form": form}))
        ids = {one.name: one.id for one in await unit.computers.all()}
        await unit.commit()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    await fleet.sign_all()
    other = scoped("form=laptop", OTHER)
    await put_effective(fleet.database, draft_revision(fleet.reader.read(other), other, fleet.clock.now()))
    await fleet.sops.submit(fleet.caller("owner"), ID, scoped("form=server", number=2))
    await fleet.sign_all()

    assert fleet.announcements.listeners == [None, frozenset({ids["s1"], ids["p1"]})]


async def put_effective(database: Any, draft: SopRevision) -> None:
    async with database.write() as unit:
        now = datetime.now(UTC)
        await unit.sops.put(replace(draft, state=SopState.EFFECTIVE, effective_time=now, acknowledged_by=("operator",)))
        await unit.commit()


async def test_running_controller_tells_each_computer_its_sop_and_refuses_plans_across(house: House):
    sops = house.parts.sops
    for document in (scoped("form=server"), scoped("form=laptop", OTHER)):
        drafted = draft_revision(sops._reader.read(document), document, datetime.now(UTC))
        await put_effective(house.parts.database, drafted)
    agents = [await house.computer(name, labels={"form": form}) for name, form in (("s1", "server"), ("l1", "laptop"))]
    await asyncio.gather(*(agent.connect() for agent in agents))
    operator = await house.person("operator", "operator")

    async def reasons(sop: str, audience: str) -> list[str]:
        spec = RolloutSpec(
            rollout="hello", release="hello@1", sop=sop, audience=audience, waves=(WaveRule("all", "100%", 0),)
        )
        request = rollout_service_pb2.PlanRolloutRequest(rollout_json=spec.to_json().decode())
        return [one.reason for one in (await operator.rollouts.PlanRollout(request)).plan.forecast.refusals]

    assert [agent.welcome.sop.id for agent in agents if agent.welcome] == [ID, OTHER]
    assert await reasons(ID, "") == []
    assert await reasons(OTHER, "form=laptop") == []
    (across,) = await reasons(ID, "form=laptop")
    assert across == f"l1 lies outside the scope of {ID} (form=server); {OTHER} governs it"
    both = scoped("form in (server,laptop)", "SU-SOP-003")
    await put_effective(house.parts.database, draft_revision(sops._reader.read(both), both, datetime.now(UTC)))
    (double,) = await reasons(ID, "")
    assert double == f"s1 is governed by {ID} and by SU-SOP-003"


@pytest.mark.clause("VIII Revision history", "old")
async def test_old_revisions_still_verify_after_five_more():
    fleet = await SopFleet().effective()
    for number in range(2, 7):
        changes = (("count: {default: 3, min: 1}", f"count: {{default: {number + 2}, min: 1}}"),)
        await fleet.sops.submit(fleet.caller("owner"), ID, revised(number, *changes))
        await fleet.sign_all()

    history = [view.revision for view in await fleet.sops.history(ID)]

    assert [one.state for one in history] == [SopState.SUPERSEDED] * 5 + [SopState.EFFECTIVE]
    assert history[0].document == DOCUMENT
    for one in history:
        proof = verify_bundle(write_bundle(one.document, [signature.envelope_json for signature in one.signatures]))
        assert (proof.revision, proof.valid, proof.signatures_missing) == (one.revision, 3, ())
