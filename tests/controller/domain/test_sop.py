"""The life of a SOP revision, who may sign it, and the gates that ask about people."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import sop, sop_gates
from sopwith_controller.domain.entities import Person, SopRevision, SopSignature, SopState
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, RefusedError, TransitionNotAllowedError
from sopwith_controller.domain.sop import TRANSITIONS, SopCommand
from sopwith_formats.dsse_statement import SopStatement
from sopwith_formats.sop_policy import Approval, Contact
from sopwith_formats.units import format_time
from tests.controller.domain.builders import HOUR, MINUTE, NOW, a_policy

POLICY = a_policy()
OLGA = Person("p-olga", "owner", ("owner", "authority"))
MIA = Person("p-mia", "manager", ("it_manager",))


def a_revision(**changes) -> SopRevision:
    revision = SopRevision(
        "SU-SOP-001", 1, SopState.DRAFT, "Updates", b"", "d" * 64, "e" * 64, "{}", "first", "material", "owner", NOW
    )
    return replace(revision, **changes)


IN_REVIEW = sop.submit(a_revision(), NOW)
EFFECTIVE = a_revision(state=SopState.EFFECTIVE, effective_time=NOW)


def a_signature(person: Person = OLGA, role: str = "owner", **changes) -> SopSignature:
    return replace(SopSignature(person.id, person.name, role, "approved", "approve", NOW, "{}", "k"), **changes)


def a_statement(**changes) -> SopStatement:
    statement = SopStatement(
        sop_id="SU-SOP-001",
        revision=1,
        document_sha256="d" * 64,
        policy_sha256="e" * 64,
        decision="approve",
        meaning="authored",
        printed_name="owner",
        person_id="p-olga",
        role="owner",
        signed_time=format_time(NOW),
        key_id="k",
        public_key_pem="",
    )
    return replace(statement, **changes)


@pytest.mark.parametrize(("state", "command"), list(itertools.product(SopState, SopCommand)))
def test_whatever_the_table_does_not_list_is_refused_with_a_mend(state: SopState, command: SopCommand):
    revision = a_revision(state=state)

    if (state, command) in TRANSITIONS:
        assert sop.next_state(revision, command) is TRANSITIONS[state, command]
        return
    with pytest.raises(TransitionNotAllowedError, match=f"revision 1 is {state}") as caught:
        sop.next_state(revision, command)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("digest", "written", "before", "expected"),
    [
        ("e" * 64, "editorial", None, "material"),
        ("e" * 64, "editorial", EFFECTIVE, "editorial"),
        ("e" * 64, "material", EFFECTIVE, "material"),
        ("f" * 64, "editorial", EFFECTIVE, "material"),
    ],
)
def test_digest_decides_whether_a_change_is_editorial(digest, written, before, expected):
    assert sop.change_kind(digest, written, before) == expected


@pytest.mark.parametrize(
    ("profile", "kind", "roles"),
    [
        ("evaluation", "material", ()),
        ("standard", "editorial", ("it_manager",)),
        ("standard", "material", ("owner", "it_manager", "authority")),
        ("regulated", "editorial", ("owner", "it_manager", "authority")),
    ],
)
def test_profile_and_kind_decide_who_signs(profile: str, kind: str, roles: tuple[str, ...]):
    revision = a_revision(change_kind=kind)

    assert sop.required_roles(revision, POLICY, profile) == roles
    assert sop.missing_roles(revision, POLICY, profile) == roles


def test_signature_fills_its_role_and_counts_as_reading():
    once = sop.add_signature(IN_REVIEW, a_signature())
    twice = sop.add_signature(once, a_signature(role="authority"))

    assert sop.missing_roles(once, POLICY, "standard") == ("it_manager", "authority")
    assert twice.acknowledged_by == ("owner",)


@pytest.mark.clause("3 Review and approval", "void")
def test_edit_and_rejection_void_what_was_signed_and_keep_it():
    signed = sop.add_signature(IN_REVIEW, a_signature())

    edited = sop.submit(signed, NOW + HOUR)
    rejected = sop.reject(signed, a_signature(MIA, "it_manager", decision="reject"))

    assert sop.valid_signatures(edited) == ()
    assert [item.voided for item in edited.signatures] == [True]
    assert (rejected.state, len(rejected.signatures)) == (SopState.DRAFT, 2)


@pytest.mark.parametrize(
    ("number", "revisions", "words"),
    [
        (1, [], None),
        (2, [], "the next one is 1"),
        (1, [a_revision()], None),
        (1, [IN_REVIEW], None),
        (2, [EFFECTIVE], None),
        (1, [EFFECTIVE], "the next one is 2"),
        (2, [a_revision(state=SopState.APPROVED)], "waits for its effective time"),
    ],
)
def test_revisions_count_up_by_one(number: int, revisions: list[SopRevision], words: str | None):
    if words is None:
        sop.check_number("SU-SOP-001", number, revisions)
        return
    with pytest.raises(ConflictError, match=words):
        sop.check_number("SU-SOP-001", number, revisions)


@pytest.mark.parametrize(
    ("revision", "person", "role", "words"),
    [
        (a_revision(), OLGA, "owner", "only a revision in review is signed"),
        (IN_REVIEW, OLGA, "operator", "needs no signature as operator"),
        (IN_REVIEW, OLGA, "", "needs no signature as nobody"),
        (IN_REVIEW, MIA, "owner", "does not hold the role owner"),
        (IN_REVIEW, replace(OLGA, name="Olga"), "owner", "the document names owner as owner, not Olga"),
        (sop.add_signature(IN_REVIEW, a_signature()), OLGA, "owner", "has signed as owner already"),
    ],
)
def test_who_may_not_sign_is_told_why(revision: SopRevision, person: Person, role: str, words: str):
    with pytest.raises((RefusedError, TransitionNotAllowedError), match=words):
        sop.check_signatory(revision, POLICY, person, role, "standard")


def test_one_person_signs_in_two_roles_only_where_the_sop_says_so():
    roles = replace(POLICY.roles, authority="owner")
    strict = a_policy(roles=roles)
    lenient = a_policy(roles=roles, approval=Approval(POLICY.approval.require, separate_persons=False))
    signed = sop.add_signature(IN_REVIEW, a_signature())

    with pytest.raises(RefusedError, match="separate persons sign"):
        sop.check_signatory(signed, strict, OLGA, "authority", "standard")
    sop.check_signatory(signed, lenient, OLGA, "authority", "standard")


def test_named_signatories_may_sign_whatever_the_writing_of_their_names():
    sop.check_signatory(IN_REVIEW, POLICY, replace(OLGA, name=" OWNER "), "owner", "standard")
    sop.check_signatory(IN_REVIEW, POLICY, MIA, "it_manager", "evaluation")


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"revision": 2}, ConflictError, "is for SU-SOP-001 revision 2"),
        ({"policy_sha256": "0" * 64}, ConflictError, "was changed after it was shown"),
        ({"key_id": "other"}, InvalidInputError, "the caller is owner"),
        ({"printed_name": "manager"}, InvalidInputError, "names manager"),
        ({"signed_time": format_time(NOW + HOUR)}, InvalidInputError, "ahead of"),
        ({"signed_time": format_time(NOW - HOUR)}, ConflictError, "older than this review"),
    ],
)
def test_statement_about_something_else_is_refused(changes, kind, words):
    with pytest.raises(kind, match=words):
        sop.check_statement(IN_REVIEW, a_statement(**changes), OLGA, key_id="k", now=NOW)


def test_statement_about_these_bytes_passes():
    sop.check_statement(IN_REVIEW, a_statement(), OLGA, key_id="k", now=NOW + MINUTE)
    sop.check_statement(a_revision(), a_statement(), OLGA, key_id="k", now=NOW)


def test_new_revision_supersedes_the_one_before():
    approved = sop.approve(a_revision(state=SopState.IN_REVIEW, revision=2), NOW)

    effective, before = sop.activate(approved, EFFECTIVE, NOW + HOUR)
    first, nothing = sop.activate(sop.approve(IN_REVIEW, NOW), None, NOW)

    assert before is not None
    assert (effective.state, before.state) == (SopState.EFFECTIVE, SopState.SUPERSEDED)
    assert before.ended_time == NOW + HOUR
    assert (first.state, nothing) == (SopState.EFFECTIVE, None)


def test_editorial_revision_carries_its_readers_over():
    before = replace(EFFECTIVE, acknowledged_by=("owner", "otto"))
    approved = a_revision(state=SopState.APPROVED, change_kind="editorial", acknowledged_by=("owner",))

    effective, _ = sop.activate(approved, before, NOW)

    assert effective.acknowledged_by == ("owner", "otto")


def test_effective_revision_is_acknowledged_once():
    once = sop.acknowledge(EFFECTIVE, "otto")

    assert once.acknowledged_by == ("otto",)
    assert sop.acknowledge(once, "otto") is once
    with pytest.raises(TransitionNotAllowedError, match="only an effective one"):
        sop.acknowledge(a_revision(), "otto")


def trained(*, profile: str = "standard", after: timedelta = 8 * 24 * HOUR, **revision):
    return sop_gates.operator_trained(
        replace(EFFECTIVE, **revision),
        POLICY,
        person="otto",
        roles=["operator"],
        profile=profile,
        now=NOW + after,
    )


def test_operator_who_has_not_read_the_revision_is_refused_after_the_grace():
    assert trained(after=HOUR) is None
    refusal = trained()

    assert refusal is not None
    assert refusal.gate == "operator_trained"
    assert "sop acknowledge" in refusal.remedy


def test_regulated_profile_gives_no_grace_and_evaluation_asks_for_nothing():
    assert trained(profile="regulated", after=timedelta(0)) is not None
    assert trained(profile="evaluation") is None


def test_operator_who_read_the_revision_passes():
    assert trained(acknowledged_by=("otto",)) is None
    assert trained(effective_time=None) is None


def test_person_without_a_role_that_needs_training_passes():
    found = sop_gates.operator_trained(
        EFFECTIVE, POLICY, person="vera", roles=["viewer"], profile="standard", now=NOW + 30 * 24 * HOUR
    )

    assert found is None


@pytest.mark.parametrize(
    ("contacts", "profile", "refused"),
    [
        (POLICY.contacts, "standard", False),
        ((), "standard", True),
        ((Contact("it_manager", "mia"),), "standard", True),
        ((), "evaluation", False),
    ],
)
def test_it_manager_who_cannot_be_reached_stops_the_start(contacts, profile: str, refused: bool):
    assert (sop_gates.contacts_set(a_policy(contacts=contacts), profile) is not None) is refused


def test_start_asks_both_gates_about_people():
    late = NOW + 30 * 24 * HOUR

    trained = sop_gates.people_checks(
        replace(EFFECTIVE, acknowledged_by=("otto",)),
        POLICY,
        person="otto",
        roles=["operator"],
        profile="standard",
        now=late,
    )
    untrained = sop_gates.people_checks(
        EFFECTIVE, a_policy(contacts=()), person="otto", roles=["operator"], profile="standard", now=late
    )

    assert [(check.gate, len(check.refusals)) for check in trained] == [("operator_trained", 0), ("contacts_set", 0)]
    assert [(check.gate, len(check.refusals)) for check in untrained] == [("operator_trained", 1), ("contacts_set", 1)]
