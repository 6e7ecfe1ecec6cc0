"""People who are away, leave, or were guests: on a running controller, over real mTLS."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest

from sopwith.v1 import incident_service_pb2, people_service_pb2, sop_life_service_pb2, sop_life_service_pb2_grpc
from sopwith_controller.services.people import Roster
from sopwith_formats.vocabulary import Symptom
from tests.builders import FixedClock
from tests.controller.house import Desk, House


async def people_of(house: House) -> dict[str, Desk]:
    """Connect the three of `init`, and somebody who only reads."""
    async with house.parts.database.read() as unit:
        known = {person.name: person.id for person in await unit.people.all()}
    desks = {}
    for name, role in (("owner", "owner"), ("manager", "it_manager"), ("authority", "authority"), ("second", "viewer")):
        desks[name] = await house.person(name, role, email=f"{name}@localhost", id=known.get(name, f"p-{name}"))
    return desks


async def incident(house: House) -> tuple[str, list[str]]:
    """Raise a severity 1 incident; return its id and the addresses that were told."""
    async with house.parts.database.write() as unit:
        raised = await house.parts.incidents.raise_in(unit, symptom=Symptom.LOG_INTEGRITY, severity=1, summary="odd")
        await unit.commit()
    async with house.parts.database.read() as unit:
        return raised.id, [one.target for one in await unit.notifications.of_incident(raised.id)]


def away(name: str, deputy: str = "", days: int = 14) -> people_service_pb2.SetPersonAwayRequest:
    request = people_service_pb2.SetPersonAwayRequest(name=name, deputy=deputy)
    if days:
        request.until_time.FromDatetime(datetime.now(UTC) + timedelta(days=days))
    return request


async def test_incidents_of_who_is_away_go_to_the_deputy_who_acts_and_signs_nothing(house: House):
    desks = await people_of(house)
    with pytest.raises(grpc.aio.AioRpcError) as alone:
        await desks["owner"].people.SetPersonAway(away("manager"))
    with pytest.raises(grpc.aio.AioRpcError) as stranger:
        await desks["authority"].people.SetPersonAway(away("manager", "second"))

    await desks["manager"].people.SetPersonAway(away("manager", "second"))
    identifier, told = await incident(house)
    request = incident_service_pb2.AcknowledgeIncidentRequest(id=identifier)
    acknowledged = await desks["second"].incidents.AcknowledgeIncident(request)

    assert "nobody would be it_manager" in (alone.value.details() or "")
    assert "may not say that manager is away" in (stranger.value.details() or "")
    assert told == ["second@localhost"]
    assert acknowledged.incident.acknowledged_by == "second"
    async with house.parts.database.read() as unit:
        second = await unit.people.find("second")
        assert second is not None
        assert second.roles == ("viewer",)  # what a signature asks for: the roster, not whom one stands in for

    await desks["owner"].people.SetPersonAway(away("manager", days=0))
    with pytest.raises(grpc.aio.AioRpcError) as back:
        await desks["second"].incidents.AcknowledgeIncident(request)
    assert back.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert [kind for kind in await house.log_kinds() if kind.startswith("PERSON_")] == ["PERSON_AWAY", "PERSON_BACK"]


async def test_successor_has_the_role_and_the_incidents_and_the_leaver_nothing(house: House):
    desks = await people_of(house)
    leave = people_service_pb2.LeavePersonRequest
    with pytest.raises(grpc.aio.AioRpcError) as alone:
        await desks["owner"].people.LeavePerson(leave(name="manager", reason="new post"))
    with pytest.raises(grpc.aio.AioRpcError) as silent:
        await desks["owner"].people.LeavePerson(leave(name="manager", successor="second", reason=" "))

    request = leave(name="manager", successor="second", reason="new post", request_id="once")
    gone = await desks["owner"].people.LeavePerson(request)
    _, told = await incident(house)
    with pytest.raises(grpc.aio.AioRpcError) as left:
        await desks["manager"].people.ListPeople(people_service_pb2.ListPeopleRequest())
    roster = (await desks["second"].people.ListPeople(people_service_pb2.ListPeopleRequest())).people

    assert "nobody would be it_manager without manager" in (alone.value.details() or "")
    assert "a reason is needed" in (silent.value.details() or "")
    assert (gone.person.state, list(gone.person.roles)) == ("REVOKED", [])
    assert told == ["second@localhost"]
    assert left.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert {one.name: list(one.roles) for one in roster}["second"] == ["viewer", "it_manager"]
    (entry,) = await house.log("PERSON_LEFT")
    assert "manager left; second takes over as it_manager: new post" in entry.canonical_json


async def test_outside_reviewer_comments_reads_nothing_of_the_fleet_and_ends_by_itself(house: House):
    ends = datetime.now(UTC) + timedelta(hours=1)
    desk = await house.person("consultant", "reviewer", email="c@example.org", expires_time=ends)
    life = sop_life_service_pb2_grpc.SopLifeServiceStub(desk.channel)
    comments = sop_life_service_pb2.ListSopCommentsRequest(id="SU-SOP-001")

    assert list((await life.ListSopComments(comments)).comments) == []
    with pytest.raises(grpc.aio.AioRpcError) as fleet:
        await desk.people.ListPeople(people_service_pb2.ListPeopleRequest())
    parts = house.parts
    over = FixedClock(ends)
    await Roster(parts.database, over, parts.ids, parts.access).end_due()
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await life.ListSopComments(comments)

    assert fleet.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "consultant is a guest no more" in (await house.log("PERSON_EXPIRED"))[0].canonical_json


async def test_whose_time_away_is_over_is_back_by_itself(house: House):
    desks = await people_of(house)
    await desks["owner"].people.SetPersonAway(away("manager", "second", days=1))
    parts = house.parts

    over = FixedClock(datetime.now(UTC) + timedelta(days=2))
    await Roster(parts.database, over, parts.ids, parts.access).end_due()

    async with parts.database.read() as unit:
        manager = await unit.people.find("manager")
        assert manager is not None
        assert (manager.away_until_time, manager.deputy_id) == (None, "")
