"""Which SOP governs a computer: one; none and two are refused with the reason."""

from dataclasses import replace

import pytest

from sopwith_controller.domain.audience import choose
from sopwith_controller.domain.entities import ComputerState
from sopwith_controller.domain.errors import RefusedError
from sopwith_controller.domain.governing import check_apart, doubly_governed, governors, some, who_governs
from tests.controller.domain.builders import a_computer, plan_inputs

SERVERS, LAPTOPS = "form=server", "form=laptop"
SCOPES = {"SU-SOP-001": SERVERS, "SU-SOP-002": LAPTOPS}


def computer(name, form="server"):
    return replace(a_computer(name), labels={"form": form})


def test_scope_decides_who_governs():
    assert governors(computer("pc1"), SCOPES) == ("SU-SOP-001",)
    assert governors(computer("pc1", "phone"), SCOPES) == ()
    assert governors(computer("pc1"), {**SCOPES, "SU-SOP-003": ""}) == ("SU-SOP-001", "SU-SOP-003")


def test_computers_of_two_are_named_with_both():
    refusals = doubly_governed("SU-SOP-001", [computer("pc1"), computer("pc2")], {"SU-SOP-003": SERVERS})

    assert [(one.gate, one.clause) for one in refusals] == [("sop_scope", "II")]
    assert refusals[0].reason == "pc1, pc2 is governed by SU-SOP-001 and by SU-SOP-003"
    assert "revise scope.targets" in refusals[0].remedy
    assert doubly_governed("SU-SOP-001", [computer("pc1")], {}) == []
    assert doubly_governed("SU-SOP-001", [computer("pc1")], {"SU-SOP-002": LAPTOPS}) == []


def test_who_governs_is_said_in_words():
    assert who_governs([computer("pc1", "laptop")], SCOPES) == "SU-SOP-002 governs it"
    assert who_governs([computer("pc1", "phone")], SCOPES) == "no SOP governs it"


def test_many_names_are_cut():
    assert some([f"pc{number}" for number in range(7)]) == "pc0, pc1, pc2, pc3, pc4 and 2 more"


def in_plan(**changes):
    inputs = plan_inputs(computers=[computer("pc1"), computer("pc2", "laptop"), computer("pc3", "phone")])
    policy = replace(inputs.policy, scope=changes.pop("scope", SERVERS))
    spec = replace(inputs.spec, audience=changes.pop("audience", ""))
    return choose(replace(inputs, policy=policy, spec=spec, **changes))


def test_plan_takes_what_its_sop_governs_alone():
    chosen, _, refusals = in_plan(other_scopes={"SU-SOP-002": LAPTOPS})

    assert ([one.name for one in chosen], refusals) == (["pc1"], [])


def test_plan_for_a_computer_of_another_sop_is_refused_and_says_whose_it_is():
    _, _, refusals = in_plan(other_scopes={"SU-SOP-002": LAPTOPS}, audience="form=laptop")

    assert refusals[0].reason == "pc2 lies outside the scope of SU-SOP-001 (form=server); SU-SOP-002 governs it"


def test_plan_for_a_computer_of_no_sop_is_refused_and_says_so():
    _, _, refusals = in_plan(other_scopes={"SU-SOP-002": LAPTOPS}, audience="form=phone")

    assert refusals[0].reason.endswith("; no SOP governs it")


def test_plan_for_a_computer_of_two_sops_is_refused():
    _, _, refusals = in_plan(other_scopes={"SU-SOP-003": "form in (server)"})

    assert "pc1 is governed by SU-SOP-001 and by SU-SOP-003" in refusals[0].reason


def test_sops_that_lie_apart_are_taken():
    check_apart("SU-SOP-002", LAPTOPS, {"SU-SOP-001": SERVERS}, [computer("pc1"), computer("pc2", "laptop")])


@pytest.mark.parametrize(
    ("scope", "taken", "words"),
    [
        ("", SERVERS, "would govern pc1 beside SU-SOP-001"),
        ("form in (server,laptop)", SERVERS, "would govern pc1 beside SU-SOP-001"),
        (LAPTOPS, "", "would govern pc2 beside SU-SOP-001"),
    ],
)
def test_sop_that_would_govern_anothers_computer_is_refused(scope, taken, words):
    with pytest.raises(RefusedError, match=words) as caught:
        check_apart("SU-SOP-002", scope, {"SU-SOP-001": taken}, [computer("pc1"), computer("pc2", "laptop")])

    assert caught.value.refusal.clause == "II"
    assert "narrow scope.targets" in caught.value.remedy


def test_scope_of_everything_is_refused_beside_another_even_in_an_empty_fleet():
    retired = replace(computer("pc1"), state=ComputerState.RETIRED)

    with pytest.raises(RefusedError, match="would govern what SU-SOP-001 governs"):
        check_apart("SU-SOP-002", " ", {"SU-SOP-001": SERVERS}, [retired])
    with pytest.raises(RefusedError, match="would govern every computer beside"):
        check_apart("SU-SOP-002", LAPTOPS, {"SU-SOP-001": ""}, [])
