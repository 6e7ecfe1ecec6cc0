"""The SOP from draft to effect, by real signatures of separate persons (clauses III, VII, VIII)."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sopwith_certs.errors import TrustError
from sopwith_certs.signing import new_key
from sopwith_certs.statements import sign_statement
from sopwith_controller.adapters.database.engine import open_database
from sopwith_controller.domain import sop as rules
from sopwith_controller.domain.entities import SopState
from sopwith_controller.domain.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    TransitionNotAllowedError,
)
from sopwith_controller.domain.sop_gates import contacts_set, operator_trained
from sopwith_formats.errors import FormatError
from sopwith_formats.sop_policy import read_sop_policy
from sopwith_formats.sop_template import sop_template
from tests.builders import FixedClock, sop_revision
from tests.controller.sop_fleet import DOCUMENT, ID, SopFleet, revised
from tests.fakes.log_signer import FakeLogSigner


@pytest.mark.clause("VII Approval", "three")
async def test_clause_vii_revision_is_effective_after_the_third_signature():
    fleet = await SopFleet().begin()

    states = [(await fleet.sops.submit(fleet.caller("owner"), ID)).revision.state]
    for name, role in (("owner", "owner"), ("manager", "it_manager"), ("authority", "authority")):
        states.append((await fleet.sign(name, role)).revision.state)

    assert states == [SopState.IN_REVIEW, SopState.IN_REVIEW, SopState.IN_REVIEW, SopState.EFFECTIVE]
    assert [revision.revision for revision in fleet.announcements.revisions] == [1]
    assert await fleet.kinds() == [
        *("SOP_SUBMITTED", "SOP_SIGNED", "SOP_SIGNED", "SOP_SIGNED", "SOP_APPROVED", "SOP_EFFECTIVE")
    ]


@pytest.mark.clause("VII Approval", "three")
async def test_clause_vii_two_of_three_signatures_are_not_effective():
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    await fleet.sign("owner", "owner")

    view = await fleet.sign("manager", "it_manager")

    assert view.revision.state is SopState.IN_REVIEW
    assert view.signatures_missing == ("authority",)
    assert fleet.announcements.revisions == []


@pytest.mark.clause("VII Approval", "byte")
async def test_clause_vii_one_changed_byte_leaves_no_valid_signature():
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    await fleet.sign("owner", "owner")
    await fleet.sign("manager", "it_manager")
    old = await fleet.statement("authority", "authority")

    view = await fleet.sops.submit(fleet.caller("owner"), ID, revised(1, ("It has three aims", "It has three aims ")))

    assert view.signatures_missing == ("owner", "it_manager", "authority")
    assert [signature.voided for signature in view.revision.signatures] == [True, True]
    with pytest.raises(ConflictError, match="changed after it was shown"):
        await fleet.sops.sign(fleet.caller("authority"), ID, 1, sign_statement(old, fleet.keys["authority"]))


async def test_same_person_cannot_sign_twice():
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    await fleet.sign("owner", "owner")

    with pytest.raises(RefusedError, match="has signed as owner already"):
        await fleet.sign("owner", "owner")


async def test_one_person_cannot_sign_in_two_roles():
    fleet = SopFleet()
    text = (
        DOCUMENT.decode()
        .replace('authority: "authority"', 'authority: "owner"')
        .replace("separate_persons: true", "separate_persons: false\n  separate_persons_risk: a shop of two")
    )
    await fleet.begin(document=text.encode())
    await fleet.person("owner", "owner", "authority")
    await fleet.sops.submit(fleet.caller("owner"), ID)
    view = await fleet.sign("owner", "owner")
    policy = read_sop_policy(view.revision.policy_json)
    separate = replace(policy, approval=replace(policy.approval, separate_persons=True))

    with pytest.raises(RefusedError, match="separate persons sign"):
        rules.check_signatory(view.revision, separate, fleet.people["owner"], "authority", "standard")
    assert (await fleet.sign("owner", "authority")).signatures_missing == ("it_manager",)


@pytest.mark.parametrize(
    ("name", "role", "error"),
    [
        ("operator", "owner", RefusedError),
        ("manager", "owner", RefusedError),
        ("owner", "authority", RefusedError),
    ],
)
async def test_signature_without_the_role_is_refused(name, role, error):
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID)

    with pytest.raises(error):
        await fleet.sign(name, role)

    assert (await fleet.sops.get(ID)).signatures_missing == ("owner", "it_manager", "authority")


async def test_person_whom_the_document_does_not_name_cannot_sign():
    fleet = await SopFleet().begin()
    await fleet.person("deputy", "it_manager")
    await fleet.sops.submit(fleet.caller("owner"), ID)

    with pytest.raises(RefusedError, match="names manager as it_manager, not deputy"):
        await fleet.sign("deputy", "it_manager")


async def test_signature_by_another_key_is_refused():
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    envelope = sign_statement(await fleet.statement("owner", "owner"), new_key())

    with pytest.raises(TrustError):
        await fleet.sops.sign(fleet.caller("owner"), ID, 1, envelope)


async def test_signature_of_somebody_else_is_not_accepted_from_the_caller():
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    envelope = sign_statement(await fleet.statement("owner", "owner"), fleet.keys["owner"])

    with pytest.raises(TrustError):
        await fleet.sops.sign(fleet.caller("manager"), ID, 1, envelope)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"printed_name": "somebody"}, InvalidInputError),
        ({"person_id": "p-other"}, InvalidInputError),
        ({"sop_id": "SU-SOP-002"}, ConflictError),
        ({"revision": 2}, NotFoundError),
        ({"document_sha256": "0" * 64}, ConflictError),
        ({"policy_sha256": "0" * 64}, ConflictError),
        ({"meaning": "approved"}, FormatError),
        ({"decision": "perhaps"}, FormatError),
        ({"signed_time": "2031-01-01T00:00:00Z"}, InvalidInputError),
        ({"signed_time": "2020-01-01T00:00:00Z"}, ConflictError),
        ({"key_id": "sha256:00"}, TrustError),
        ({"public_key_pem": ""}, TrustError),
    ],
)
async def test_statement_that_says_something_else_is_refused(changes, error):
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID)

    with pytest.raises(error):
        await fleet.sign("owner", "owner", **changes)

    assert (await fleet.sops.get(ID)).revision.signatures == ()


async def test_rejection_makes_a_draft_again_and_keeps_its_history():
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    await fleet.sign("owner", "owner")

    view = await fleet.sign("authority", "authority", decision="reject", comment="too fast")

    assert view.revision.state is SopState.DRAFT
    assert [(item.person, item.decision, item.voided) for item in view.revision.signatures] == [
        ("owner", "approve", True),
        ("authority", "reject", True),
    ]
    assert (await fleet.kinds())[-1] == "SOP_REJECTED"
    again = await fleet.sops.submit(fleet.caller("owner"), ID)
    assert again.signatures_missing == ("owner", "it_manager", "authority")


async def test_draft_cannot_be_signed():
    fleet = await SopFleet().begin()

    with pytest.raises(TransitionNotAllowedError):
        await fleet.sign("owner", "owner")


async def test_submitting_twice_changes_nothing():
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    await fleet.sign("owner", "owner")

    view = await fleet.sops.submit(fleet.caller("owner"), ID)
    again = await fleet.sops.submit(fleet.caller("owner"), ID, DOCUMENT)

    assert view.signatures_missing == again.signatures_missing == ("it_manager", "authority")


async def test_document_with_placeholders_is_not_submitted():
    fleet = await SopFleet().begin(document=sop_template())

    with pytest.raises(InvalidInputError, match="Your Company Name"):
        await fleet.sops.submit(fleet.caller("owner"), ID)


async def test_document_that_cannot_be_read_is_refused_with_its_lines():
    fleet = await SopFleet().begin()

    with pytest.raises(InvalidInputError, match=r"sop:\d+: records.retention"):
        await fleet.sops.submit(fleet.caller("owner"), ID, revised(1, ("retention: 6y", "retention: 6")))


@pytest.mark.clause("4 Communicate and train", "carried")
async def test_editorial_revision_needs_the_it_manager_alone_and_carries_readers_over():
    fleet = await SopFleet().effective()
    await fleet.sops.acknowledge(fleet.caller("operator"), ID)

    view = await fleet.sops.submit(fleet.caller("owner"), ID, revised(2, ("kind: material", "kind: editorial")))
    signed = await fleet.sign("manager", "it_manager")

    assert (view.revision.change_kind, view.signatures_missing) == ("editorial", ("it_manager",))
    assert signed.revision.state is SopState.EFFECTIVE
    assert "operator" in signed.revision.acknowledged_by
    first, second = await fleet.sops.history(ID)
    assert (first.revision.state, second.revision.state) == (SopState.SUPERSEDED, SopState.EFFECTIVE)
    assert [revision.revision for revision in fleet.announcements.revisions] == [1, 2]


async def test_weaker_threshold_cannot_pass_as_editorial():
    fleet = await SopFleet().effective()
    document = revised(2, ("kind: material", "kind: editorial"), ("default: 95%", "default: 50%"))

    view = await fleet.sops.submit(fleet.caller("owner"), ID, document)

    assert view.revision.change_kind == "material"
    assert view.signatures_missing == ("owner", "it_manager", "authority")


async def test_author_may_call_an_editorial_change_material():
    fleet = await SopFleet().effective()

    view = await fleet.sops.submit(fleet.caller("owner"), ID, revised(2))

    assert view.revision.change_kind == "material"


async def test_regulated_profile_wants_three_signatures_on_an_editorial_revision():
    fleet = await SopFleet().effective("regulated")

    view = await fleet.sops.submit(fleet.caller("owner"), ID, revised(2, ("kind: material", "kind: editorial")))

    assert view.signatures_missing == ("owner", "it_manager", "authority")


async def test_evaluation_profile_needs_no_signature():
    fleet = await SopFleet().begin("evaluation")

    view = await fleet.sops.submit(fleet.caller("owner"), ID)

    assert view.revision.state is SopState.EFFECTIVE


@pytest.mark.clause("VIII Revision history", "counts")
@pytest.mark.parametrize("number", [1, 3])
async def test_revisions_count_up_by_one(number):
    fleet = await SopFleet().effective()

    with pytest.raises(ConflictError, match="the next one is 2"):
        await fleet.sops.submit(fleet.caller("owner"), ID, revised(number, ("It has", "It had")))


async def test_next_revision_waits_until_the_signed_one_has_taken_effect():
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID, effective_time=fleet.clock.now() + timedelta(days=3))
    await fleet.sign_all()

    with pytest.raises(ConflictError, match="waits for its effective time"):
        await fleet.sops.submit(fleet.caller("owner"), ID, revised(2))


async def test_role_that_an_editorial_revision_does_not_ask_for_cannot_sign():
    fleet = await SopFleet().effective()
    await fleet.sops.submit(fleet.caller("owner"), ID, revised(2, ("kind: material", "kind: editorial")))

    with pytest.raises(RefusedError, match="needs no signature as owner"):
        await fleet.sign("owner", "owner")


async def test_person_without_a_bound_key_cannot_sign():
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID)
    async with fleet.database.write() as unit:
        await unit.people.put(replace(fleet.people["owner"], public_key_pem=""))
        await unit.commit()

    with pytest.raises(NotFoundError, match="no key is bound"):
        await fleet.sign("owner", "owner")


async def test_running_revision_stays_effective_while_the_next_is_reviewed():
    fleet = await SopFleet().effective()

    await fleet.sops.submit(fleet.caller("owner"), ID, revised(2))

    assert (await fleet.sops.get(ID)).revision.revision == 1
    assert [view.revision.revision for view in await fleet.sops.all()] == [2]


async def test_revision_with_a_later_effective_time_waits_and_can_be_brought_forward():
    fleet = await SopFleet().begin()
    later = fleet.clock.now() + timedelta(days=3)
    await fleet.sops.submit(fleet.caller("owner"), ID, effective_time=later)

    signed = await fleet.sign_all()
    await fleet.sops.activate_due()
    waiting = (await fleet.sops.get(ID)).revision.state
    activated = await fleet.sops.activate(fleet.caller("owner"), ID)

    assert (signed.revision.state, signed.revision.effective_time) == (SopState.APPROVED, later)
    assert waiting is SopState.APPROVED
    assert activated.revision.state is SopState.EFFECTIVE
    assert activated.revision.effective_time == fleet.clock.now()
    assert (await fleet.sops.activate(fleet.caller("owner"), ID)).revision == activated.revision


async def test_revision_takes_effect_when_its_time_comes():
    fleet = await SopFleet().begin()
    await fleet.sops.submit(fleet.caller("owner"), ID, effective_time=fleet.clock.now() + timedelta(days=3))
    await fleet.sign_all()
    fleet.clock.advance(days=3)

    await fleet.sops.activate_due()

    assert (await fleet.sops.get(ID)).revision.state is SopState.EFFECTIVE
    assert [revision.revision for revision in fleet.announcements.revisions] == [1]


async def test_draft_cannot_be_activated():
    fleet = await SopFleet().begin()

    with pytest.raises(TransitionNotAllowedError, match="is DRAFT"):
        await fleet.sops.activate(fleet.caller("owner"), ID)


async def test_acknowledging_twice_is_recorded_once():
    fleet = await SopFleet().effective()

    await fleet.sops.acknowledge(fleet.caller("operator"), ID)
    view = await fleet.sops.acknowledge(fleet.caller("operator"), ID)

    assert view.revision.acknowledged_by == ("owner", "manager", "authority", "operator")
    assert (await fleet.kinds()).count("SOP_ACKNOWLEDGED") == 1


async def test_draft_cannot_be_acknowledged():
    fleet = await SopFleet().begin()

    with pytest.raises(TransitionNotAllowedError):
        await fleet.sops.acknowledge(fleet.caller("operator"), ID)


@pytest.mark.clause("4 Communicate and train", "gate")
async def test_clause_iii_operator_who_has_not_read_the_sop_is_refused_after_the_grace():
    fleet = await SopFleet().effective()
    revision = (await fleet.sops.get(ID)).revision
    policy = read_sop_policy(revision.policy_json)

    def gate(profile="standard", **asked):
        asked = {"person": "operator", "roles": ("operator",), "now": fleet.clock.now(), **asked}
        return operator_trained(revision, policy, profile=profile, **asked)

    late = fleet.clock.now() + timedelta(days=7, seconds=1)
    assert gate() is None
    assert gate(now=late - timedelta(seconds=1)) is None
    refusal = gate(now=late)
    assert refusal is not None
    assert (refusal.gate, refusal.clause) == ("operator_trained", "III")
    assert "sopwith sop acknowledge" in refusal.remedy
    assert gate("regulated") is not None
    assert gate("evaluation", now=late) is None
    assert gate(now=late, person="manager", roles=("it_manager",)) is None
    assert gate(now=late, person="owner") is None


async def test_clause_v_e_sop_without_the_it_managers_address_is_refused():
    fleet = await SopFleet().effective()
    policy = read_sop_policy((await fleet.sops.get(ID)).revision.policy_json)
    silent = replace(policy, contacts=())

    assert contacts_set(policy, "standard") is None
    assert contacts_set(silent, "evaluation") is None
    refusal = contacts_set(silent, "standard")
    assert refusal is not None
    assert (refusal.gate, refusal.clause) == ("contacts_set", "V.E")


async def test_clause_iii_start_stops_at_the_first_closed_gate():
    fleet = await SopFleet().effective("regulated")
    revision = (await fleet.sops.get(ID)).revision
    policy = read_sop_policy(revision.policy_json)
    now = fleet.clock.now()

    who: dict[str, Any] = {"person": "operator", "roles": ("operator",), "profile": "regulated", "now": now}
    refusal = operator_trained(revision, policy, **who)
    read = (await fleet.sops.acknowledge(fleet.caller("operator"), ID)).revision

    assert refusal is not None
    assert refusal.gate == "operator_trained"
    assert operator_trained(read, policy, **who) is None


@pytest.mark.parametrize("state", list(SopState))
@pytest.mark.parametrize("command", list(rules.SopCommand))
def test_command_that_is_not_in_the_table_is_not_allowed(state, command):
    revision = sop_revision(state=state)

    if (state, command) in rules.TRANSITIONS:
        assert rules.next_state(revision, command) is rules.TRANSITIONS[state, command]
    else:
        with pytest.raises(TransitionNotAllowedError) as caught:
            rules.next_state(revision, command)
        assert caught.value.remedy


async def test_unknown_sop_is_not_found():
    fleet = await SopFleet().begin()

    owner = fleet.caller("owner")
    calls = (
        fleet.sops.get("X"),
        fleet.sops.history("X"),
        fleet.sops.submit(owner, "X"),
        fleet.sops.activate(owner, "X"),
    )
    for call in calls:
        with pytest.raises(NotFoundError):
            await call
    with pytest.raises(InvalidInputError, match="the document is SU-SOP-001"):
        await fleet.sops.submit(fleet.caller("owner"), "X", DOCUMENT)


async def test_log_entry_names_revision_and_digests():
    fleet = await SopFleet().effective()

    async with fleet.database.read() as unit:
        row = (await unit.update_log.entries(5, 1))[0]

    assert (row.sop_id, row.sop_revision, row.kind) == (ID, 1, "SOP_EFFECTIVE")
    revision = (await fleet.sops.get(ID)).revision
    assert json.loads(row.details)["document_sha256"] == revision.document_sha256


async def test_life_of_two_revisions_is_the_same_on_a_real_database(tmp_path):
    clock = FixedClock()
    database = await open_database(
        tmp_path / "sopwith.db", clock=clock, signer=FakeLogSigner(), checkpoints=tmp_path / "checkpoints"
    )
    try:
        fleet = await SopFleet(database=database).effective()
        await fleet.sops.acknowledge(fleet.caller("operator"), ID)
        await fleet.sops.submit(fleet.caller("owner"), ID, revised(2, ("kind: material", "kind: editorial")))
        await fleet.sign("manager", "it_manager")

        first, second = await fleet.sops.history(ID)
    finally:
        await database.close()

    assert (first.revision.state, first.revision.document) == (SopState.SUPERSEDED, DOCUMENT)
    assert [signature.role for signature in first.revision.signatures] == ["owner", "it_manager", "authority"]
    assert (second.revision.state, second.revision.change_kind) == (SopState.EFFECTIVE, "editorial")
    assert "operator" in second.revision.acknowledged_by
