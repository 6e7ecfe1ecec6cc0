"""The role table against the wire: every call has a row, and the rows say what the contract says."""

import importlib
import pkgutil

import pytest

from sopwith import v1
from sopwith_controller.api.roles import ALL_ROLES, COMPUTER, ROLES, allowed


def calls_of_the_wire() -> set[str]:
    calls = set()
    for module in pkgutil.iter_modules(v1.__path__):
        if module.name.endswith("_service_pb2"):
            descriptor = importlib.import_module(f"sopwith.v1.{module.name}").DESCRIPTOR
            for service in descriptor.services_by_name.values():
                calls |= {f"/{service.full_name}/{method.name}" for method in service.methods}
    return calls


def test_every_call_of_the_wire_has_a_row():
    wire = calls_of_the_wire()

    assert len(wire) > 50
    assert wire == {call for call in ROLES if call.startswith("/sopwith.")}


def test_a_call_without_a_row_is_refused_to_everybody():
    assert not allowed("/sopwith.v1.FleetService/DeleteEverything", ALL_ROLES | {COMPUTER})


def test_somebody_without_a_role_may_call_nothing():
    assert not any(allowed(call, frozenset()) for call in ROLES)


def test_computers_reach_nothing_but_their_own_service():
    reached = {call for call in ROLES if allowed(call, frozenset({COMPUTER}))}

    assert all(call.startswith(("/sopwith.v1.AgentService/", "/grpc.health.v1.Health/")) for call in reached)


def test_people_never_reach_the_computers_service():
    assert not any(allowed(call, ALL_ROLES) for call in ROLES if "AgentService" in call)


@pytest.mark.parametrize(
    ("call", "roles"),
    [
        ("PeopleService/InvitePerson", {"owner"}),
        ("PeopleService/CreateToken", {"owner"}),
        ("ReleaseService/DesignateSource", {"owner"}),
        ("ReleaseService/UploadTarget", {"release_manager"}),
        ("ReleaseService/WithdrawRelease", {"release_manager"}),
        ("SopService/SignSop", {"owner", "it_manager", "authority"}),
        ("RolloutService/StartRollout", {"owner", "it_manager", "operator"}),
        ("RolloutService/ApproveRollout", {"owner", "it_manager"}),
        ("FleetService/EndFreeze", {"owner", "it_manager"}),
        ("FleetService/RetireComputer", {"owner", "it_manager", "operator"}),
        ("IncidentService/AcknowledgeIncident", {"owner", "it_manager", "operator"}),
        ("UpdateLogService/ListEntries", set(ALL_ROLES) - {"viewer"}),
        ("UpdateLogService/ExportLog", {"owner", "it_manager", "auditor"}),
    ],
)
def test_the_rows_say_what_the_contract_says(call, roles):
    assert {role for role in ALL_ROLES if allowed(f"/sopwith.v1.{call}", frozenset({role}))} == roles
