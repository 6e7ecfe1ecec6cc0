"""The agent asks the controller's question again: a warrant without evidence for its change class is refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sopwith_agent.adapters.fleet_memory import FileMemory
from sopwith_agent.adapters.identity_store import IdentityStore, Trust
from sopwith_agent.domain.errors import TrustError
from sopwith_agent.domain.messages import SopInForce
from sopwith_certs import signing
from sopwith_certs.authority import Authority, Subject, certificate_pem
from sopwith_certs.identity import Kind
from sopwith_certs.plan_approvals import sign_approval
from sopwith_formats.agent_policy import AgentPolicy
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.units import format_time
from tests.agent.workshop import Workshop

PLAN = "b" * 64
NORMAL: dict[str, Any] = {"change_class": "normal", "requester": "otto", "approvals_needed": 1}


def approval(person: str, rollout: str = "r-1", plan: str = PLAN) -> dict[str, str]:
    return {"envelope": f"{person} {rollout} {plan}", "certificate": f"of {person}"}


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path)
    shop.install("1")
    return shop


def outcome(shop: Workshop, **changes: Any) -> tuple[str, str, str]:
    shop.offer(shop.warrant(shop.publish("2"), **changes))
    shop.run()
    receipt = shop.receipt()
    return receipt.outcome, receipt.symptom, receipt.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"change_class": "standard"},
        {**NORMAL, "approvals": [approval("mia")]},
        {**NORMAL, "approvals_needed": 2, "approvals": [approval("mia"), approval("olga")]},
        {"change_class": "emergency", "emergency": True},
    ],
)
def test_warrant_with_the_evidence_of_its_class_is_obeyed(shop: Workshop, changes: dict[str, Any]):
    assert outcome(shop, **changes)[0] == "SUCCEEDED"
    assert shop.installed() == "2"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (NORMAL, "0 of 1 approvals"),
        ({**NORMAL, "approvals_needed": 0}, "0 of 1 approvals"),
        ({**NORMAL, "approvals_needed": 2, "approvals": [approval("mia"), approval("mia")]}, "1 of 2 approvals"),
        ({**NORMAL, "approvals": [approval("otto")]}, "asked for themselves"),
        ({**NORMAL, "requester": "", "approvals": [approval("mia")]}, "1 of 1 approvals"),
        ({**NORMAL, "approvals": [approval("mia", rollout="r-0")]}, "another rollout or plan"),
        ({**NORMAL, "approvals": [approval("mia", plan="c" * 64)]}, "another rollout or plan"),
        ({**NORMAL, "approvals": [{"envelope": f"mia r-1 {PLAN}", "certificate": "of eve"}]}, "not proved"),
        ({"change_class": "emergency"}, "contradict"),
        ({"change_class": "standard", "emergency": True}, "contradict"),
        ({"change_class": "trivial"}, "unknown change class"),
    ],
)
def test_warrant_without_that_evidence_is_refused_and_nothing_is_touched(
    shop: Workshop, changes: dict[str, Any], words: str
):
    ended, symptom, detail = outcome(shop, **changes)

    assert (ended, symptom) == ("FAILED", "WARRANT_REFUSED")
    assert words in detail
    assert shop.installed() == "1"


def test_policy_that_the_computer_was_not_told_of_is_refused(shop: Workshop):
    shop.held_policies.held = {1: "c" * 64}

    assert "another policy" in outcome(shop)[2]


def test_revision_that_the_computer_was_never_told_of_is_refused(shop: Workshop):
    shop.held_policies.held = {1: "a" * 64}

    assert "never told" in outcome(shop, sop_revision=2)[2]


def test_rollout_may_go_on_under_an_older_revision_than_the_first_one_told(shop: Workshop):
    shop.held_policies.held = {2: "c" * 64}

    assert outcome(shop, sop_revision=1)[0] == "SUCCEEDED"


class Fleet:
    """A real authority, a real identity folder that pinned it, and people with real certificates."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime.now(UTC)
        self.authority = Authority.create("Example", "example", self.now)
        self.store = IdentityStore(folder / "identity")
        self.store.keep_enrolling_key(signing.new_key())
        self.store.keep_authorities(self.authority.trust_bundle_pem)
        self.store.keep_trust(Trust("127.0.0.1:1", "example", "127.0.0.1", 2, "", "", "pc1"))

    def approval(
        self, *, kind: Kind = Kind.PERSON, issuer: Authority | None = None, age: timedelta = timedelta(0)
    ) -> tuple[str, str]:
        key = signing.new_key()
        certificate = (issuer or self.authority).issue(key.public_key(), Subject(kind, "p-mia"), self.now)
        signed = PlanApproval("r-1", PLAN, "mia", format_time(self.now - age), signing.fingerprint(key.public_key()))
        return sign_approval(signed, key).decode(), certificate_pem(certificate).decode()


def test_approver_is_who_the_pinned_authority_says(tmp_path: Path):
    fleet = Fleet(tmp_path)

    person, approved = fleet.store.approver(*fleet.approval())

    assert (person, approved.person, approved.plan_sha256) == ("p-mia", "mia", PLAN)


def test_approvals_that_prove_nobody_are_refused(tmp_path: Path):
    fleet = Fleet(tmp_path)
    stranger = Authority.create("Example", "example", fleet.now)
    envelope, certificate = fleet.approval()
    another, _ = fleet.approval()
    cases = {
        "no authority of this fleet": fleet.approval(issuer=stranger),
        "not a person": fleet.approval(kind=Kind.COMPUTER),
        "was not valid when": fleet.approval(age=timedelta(days=2)),
        "names another key": (another, certificate),
        "no certificate": (envelope, "none"),
        "not JSON": ("none", certificate),
    }

    for words, (given, shown) in cases.items():
        with pytest.raises(TrustError, match=words) as caught:
            fleet.store.approver(given, shown)
        assert caught.value.symptom == "WARRANT_REFUSED"


def test_what_was_told_of_the_sop_first_stays_in_mind_across_restarts(tmp_path: Path):
    identity = cast("IdentityStore", SimpleNamespace(trust=lambda: SimpleNamespace(name="pc1")))
    policy = AgentPolicy().to_json().decode()
    memory = FileMemory(tmp_path, identity)
    for revision, digest in ((1, "a"), (2, "b"), (1, "c")):
        memory.sop_changed(SopInForce("SU-SOP-001", revision, digest, policy))

    again = FileMemory(tmp_path, identity)

    assert again.digests("SU-SOP-001") == memory.digests("SU-SOP-001") == {1: "a", 2: "b"}
    assert again.digests("OTHER") == {}
