"""Who gets in, with real handshakes: certificates, standing, roles, and what is recorded of those who do not."""

from datetime import UTC, datetime

import grpc
import pytest

from sopwith.v1 import agent_service_pb2, fleet_service_pb2, people_service_pb2, rollout_service_pb2
from sopwith_certs.authority import Authority
from sopwith_certs.identity import Kind
from tests.controller.house import Desk, House

OVERVIEW = fleet_service_pb2.GetOverviewRequest()


async def _refused(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def _refusal(error: grpc.aio.AioRpcError) -> rollout_service_pb2.Refusal:
    carried = dict(error.trailing_metadata() or ())["sopwith-refusal-bin"]
    return rollout_service_pb2.Refusal.FromString(bytes(carried))


async def _drained(call) -> None:
    async for _ in call:
        pass


async def test_owner_reads_the_screen(house: House):
    owner = await house.person("olga", "owner")

    overview = await owner.fleet.GetOverview(OVERVIEW)

    assert overview.organization == "Example"
    assert overview.sop == "SU-SOP-001 revision 1"
    assert list(overview.roles) == ["owner"]


@pytest.mark.gate("blocks", "mTLS")
async def test_without_a_certificate_there_is_no_connection(house: House):
    stranger = Desk(house.channel(None))

    error = await _refused(stranger.fleet.GetOverview(OVERVIEW, timeout=5))

    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_a_strangers_authority_opens_no_connection(house: House):
    stranger = Authority.create("Stranger", house.authority.trust_domain, datetime.now(UTC))
    desk = Desk(house.channel(house.pair(Kind.PERSON, "p-olga", stranger)))

    error = await _refused(desk.fleet.GetOverview(OVERVIEW, timeout=5))

    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@pytest.mark.clause("II Scope", "roster")
async def test_a_certificate_of_nobody_is_refused_and_recorded(house: House):
    desk = Desk(house.channel(house.pair(Kind.PERSON, "p-nobody")))

    error = await _refused(desk.fleet.GetOverview(OVERVIEW))

    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert await house.log("ACCESS_REFUSED")


async def test_a_computers_certificate_reaches_no_call_of_people(house: House):
    agent = await house.computer("pc1")
    desk = Desk(house.channel(agent.pair))

    error = await _refused(desk.fleet.GetOverview(OVERVIEW))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert _refusal(error).gate == "operator_role"
    [entry] = await house.log("ACCESS_REFUSED")
    assert entry.computer == "pc1"


async def test_a_persons_certificate_opens_no_computers_stream(house: House):
    desk = await house.person("olga", "owner")

    async def hello():
        yield agent_service_pb2.AgentMessage(hello=agent_service_pb2.Hello(process_nonce="x"))

    call = desk.agents.Connect(hello())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_viewer_starts_no_rollout_and_learns_why(house: House):
    viewer = await house.person("vera", "viewer")

    error = await _refused(
        viewer.rollouts.StartRollout(rollout_service_pb2.StartRolloutRequest(id="r-1", reason="why not"))
    )

    refusal = _refusal(error)
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert (refusal.gate, refusal.clause) == ("operator_role", "III")
    assert "sopwith person grant vera --role" in refusal.remedy
    [entry] = await house.log("ACCESS_REFUSED")
    assert entry.operator == "vera"


async def test_the_same_refusal_is_recorded_once_in_a_row(house: House):
    viewer = await house.person("vera", "viewer")

    for _ in range(5):
        await _refused(viewer.people.CreateToken(people_service_pb2.CreateTokenRequest()))

    assert len(await house.log("ACCESS_REFUSED")) == 1


async def test_somebody_without_any_role_reads_nothing(house: House):
    nobody = await house.person("nora")

    error = await _refused(nobody.fleet.GetOverview(OVERVIEW))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_role_that_was_granted_counts_at_the_next_call(house: House):
    owner, vera = await house.person("olga", "owner"), await house.person("vera", "viewer")
    await _refused(vera.people.CreateToken(people_service_pb2.CreateTokenRequest()))

    await owner.people.GrantRole(people_service_pb2.GrantRoleRequest(name="vera", roles=["owner"]))

    assert (await vera.people.CreateToken(people_service_pb2.CreateTokenRequest())).token


async def test_a_revoked_person_is_out_at_once_and_the_live_stream_ends(house: House):
    owner, vera = await house.person("olga", "owner"), await house.person("vera", "operator")
    await house.computer("pc1")
    created = await vera.rollouts.CreateRollout(
        rollout_service_pb2.CreateRolloutRequest(
            rollout_json='{"audience":"","format":1,"release":"hello@1","rollout":"x","sop":"SU-SOP-001"}'
        )
    )
    watching = vera.rollouts.WatchRollout(rollout_service_pb2.WatchRolloutRequest(id=created.rollout.id))
    first = aiter(watching)
    await anext(first)

    await owner.people.RevokePerson(people_service_pb2.RevokePersonRequest(name="vera", reason="left"))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _drained(first)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    error = await _refused(vera.fleet.GetOverview(OVERVIEW))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_retired_computers_stream_ends_and_stays_out(house: House):
    owner, agent = await house.person("olga", "owner"), await house.computer("pc1")
    await agent.connect()

    await owner.fleet.RetireComputer(fleet_service_pb2.RetireComputerRequest(computer="pc1", reason="sold"))

    assert await agent.ended() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.connect()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_an_unforeseen_error_tells_no_insides(house: House, monkeypatch: pytest.MonkeyPatch):
    owner = await house.person("olga", "owner")

    def explode(*_args, **_kwargs):
        raise RuntimeError("secret path /data/pki/ca_key.pem")

    monkeypatch.setattr(house.parts.source, "view", explode)

    error = await _refused(owner.fleet.GetOverview(OVERVIEW))

    assert error.code() is grpc.StatusCode.INTERNAL
    assert "ca_key" not in (error.details() or "")
    assert "look for call" in (error.details() or "")
