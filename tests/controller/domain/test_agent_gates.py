"""Deviations from the gates that computers ask: what the warrant's policy says, and who counts as ready."""

import pytest

from sopwith_controller.domain import agent_gates
from sopwith_controller.domain.deviation import DEVIABLE, INTEGRITY
from sopwith_controller.domain.entities import Readiness
from sopwith_controller.domain.readiness import fold
from sopwith_formats.agent_policy import INTEGRITY_CHECKS, AgentPolicy, read_agent_policy
from sopwith_formats.errors import FormatError
from tests.controller.domain.builders import NOW


def measured(**results: str) -> Readiness:
    codes = {**agent_gates.READINESS_GATES, "source_designated": "SOURCE_NOT_DESIGNATED"}
    checks = [{"name": name, "result": result, "code": codes[name]} for name, result in results.items()]
    return fold(checks, measured_time=NOW)


@pytest.mark.parametrize("gate", agent_gates.READINESS_GATES)
def test_deviation_lets_a_readiness_gate_warn_and_no_other(gate: str):
    before = AgentPolicy(enforce=dict.fromkeys(agent_gates.READINESS_GATES, "block"))

    after = agent_gates.relaxed(before, {gate, "freeze"})

    changed = {name for name, word in after.enforce.items() if before.enforce.get(name) != word}
    assert (changed, after.enforce[gate], after.backup_required) == ({gate}, "warn", True)
    assert read_agent_policy(after.to_json()).enforce[gate] == "warn"


@pytest.mark.gate("deviates", "backup")
@pytest.mark.parametrize("gate", agent_gates.WAY_BACK_GATES)
def test_deviation_from_the_way_back_lets_an_install_go_ahead_without_one(gate: str):
    assert agent_gates.relaxed(AgentPolicy(), {gate}).backup_required is False
    assert agent_gates.relaxed(AgentPolicy(backup_required=False), ()).backup_required is False


def test_deviation_from_the_way_back_asks_for_no_snapshot_either():
    wants = AgentPolicy(snapshot_required=True)

    assert agent_gates.relaxed(wants, {"backup"}).snapshot_required is False
    assert agent_gates.relaxed(wants, ()).snapshot_required is True


def test_rollout_that_only_reboots_does_not_ask_what_a_reboot_mends():
    assert agent_gates.opened_by("reboot@only") == agent_gates.REBOOT_MENDS
    assert agent_gates.opened_by("hello@2") == ()
    assert set(agent_gates.REBOOT_MENDS) <= set(agent_gates.READINESS_GATES)


def test_without_deviation_the_policy_of_the_sop_stands():
    assert agent_gates.relaxed(AgentPolicy(), ()) == AgentPolicy()


def test_integrity_gates_are_open_to_no_deviation_and_no_policy_lets_one_warn():
    assert not INTEGRITY & (DEVIABLE.keys() | agent_gates.AGENT_GATES.keys())
    for check in INTEGRITY_CHECKS:
        with pytest.raises(FormatError, match="always blocks"):
            read_agent_policy({"enforce": {check: "warn"}})


def test_computer_counts_as_ready_where_only_deviated_gates_block():
    readiness = measured(disk_free="BLOCKED", load="WARNED", power="PASSED")

    after = agent_gates.despite(readiness, {"disk_free"})

    assert (after.verdict, after.reasons, after.checks) == ("READY", (), readiness.checks)


@pytest.mark.parametrize(
    ("readiness", "gates"),
    [
        (measured(disk_free="BLOCKED", metered="BLOCKED"), {"disk_free"}),
        (measured(disk_free="BLOCKED"), set()),
        (measured(source_designated="BLOCKED"), {"source_designated"}),
        (measured(power="PASSED"), {"power"}),
        (
            fold([{"name": "load", "result": "BLOCKED", "code": "LOAD_HIGH"}], measured_time=NOW, excused="boss"),
            {"load"},
        ),
        (Readiness("NOT_READY"), {"load"}),
    ],
)
def test_everybody_else_counts_as_measured(readiness: Readiness, gates: set[str]):
    assert agent_gates.despite(readiness, gates) == readiness
