"""Each gate of the controller that may only warn: blocks as shipped, is shown and recorded where the SOP says warn.

Asked with real refusals of the real gates; a deviation opens each of them too, and its id stands in the record.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import gates, sop_gates
from sopwith_controller.domain.deviation import DEVIABLE
from sopwith_controller.domain.errors import Refusal
from sopwith_controller.domain.gate_decisions import asked, gathered, judge
from sopwith_controller.domain.planning import make_plan
from sopwith_controller.domain.way_back import MATERIAL
from sopwith_formats.manifest import Artifact
from sopwith_formats.sop_policy import Contact
from sopwith_formats.vocabulary import GateResult
from tests.builders import NOON, sop_revision
from tests.controller.domain.builders import a_computer, a_manifest, a_plan, a_policy, a_spec, plan_inputs
from tests.controller.domain.test_deviation import APPROVED

CONTROLLER_GATES = ("sop_scope", "sop_bounds", "operator_trained", "contacts_set", "ready_quorum", "rollback_available")


def refusals_of(gate: str) -> Sequence[Refusal]:
    """Return what the gate says to something that it refuses."""
    if gate == "sop_scope":
        outside = [a_computer("x", labels={"site": "paris"})]
        policy = a_policy(scope="site=berlin")
        return make_plan(plan_inputs(computers=outside, policy=policy, spec=a_spec(audience="site=paris"))).refusals
    if gate == "sop_bounds":
        return make_plan(plan_inputs(spec=a_spec(attempts_max=99))).refusals
    if gate == "rollback_available":
        script = Artifact("set-up.sh", "script", 100, "1" * 64)
        return make_plan(plan_inputs(manifest=a_manifest(artifacts=(script,)))).refusals
    if gate == "ready_quorum":
        plan = a_plan(5, ready_quorum=2)
        return asked(gate, "V.A", {}, lambda: gates.check_ready_quorum(plan, 1)).refusals
    if gate == "contacts_set":
        nobody = replace(a_policy(), contacts=(Contact("it_manager", "mia"),))
        found = sop_gates.contacts_set(nobody, "standard")
    else:
        found = sop_gates.operator_trained(
            sop_revision(effective_time=NOON),
            a_policy(),
            person="otto",
            roles=("operator",),
            profile="standard",
            now=NOON + timedelta(days=99),
        )
    return [found] if found else []


@pytest.mark.gate("blocks", *CONTROLLER_GATES)
@pytest.mark.gate("warns", *CONTROLLER_GATES)
@pytest.mark.gate("deviates", *CONTROLLER_GATES)
@pytest.mark.parametrize("gate", CONTROLLER_GATES)
def test_gate_blocks_warns_where_the_sop_says_so_and_opens_to_a_deviation(gate: str):
    found = refusals_of(gate)
    checks = gathered(found, {})

    blocked = judge(checks, a_policy(), {})
    warned = judge(checks, a_policy(gates={gate: "warn"}), {})
    deviated = judge(checks, a_policy(), {gate: replace(APPROVED, gate=gate)})

    assert [(one.gate, one.clause) for one in found] == [(gate, DEVIABLE[gate])]
    assert blocked.blocking[0].remedy
    assert blocked.blocking[0].deviation
    assert blocked.decisions[0].result is GateResult.REFUSED
    assert (warned.decisions[0].result, warned.blocking) == (GateResult.WARNED, ())
    assert warned.records()[0]["reason"]
    assert (deviated.decisions[0].result, deviated.decisions[0].deviation) == (GateResult.DEVIATED, "d-1")


def test_a_release_without_a_way_back_names_the_material():
    planning = make_plan(plan_inputs(manifest=a_manifest(artifacts=(Artifact("a.sh", "script", 1, "1" * 64),))))

    assert any(item.name == MATERIAL and not item.present for item in planning.materials)
