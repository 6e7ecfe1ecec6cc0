"""Each gate that a computer asked stands in what it signs: before the install, and with a refusal."""

from datetime import timedelta
from pathlib import Path

import pytest

from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.readiness import CheckResult
from sopwith_formats.agent_policy import AgentPolicy
from sopwith_formats.reboot_only import MANIFEST
from sopwith_formats.receipt import Receipt
from sopwith_formats.sop_words import AGENT_GATES
from sopwith_formats.vocabulary import Symptom
from tests.agent.workshop import Workshop


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def results(record: Receipt) -> dict[str, str]:
    return {one.gate: one.result for one in record.decisions}


def test_started_record_names_every_gate_asked_before_it_and_the_receipt_those_after(shop: Workshop) -> None:
    shop.install("1")
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    started, ended = shop.signed()
    asked = set(AGENT_GATES) - {"health_checks", "record_written"}
    assert set(results(started)) <= asked
    unanswered = {check.name for check in shop.measured[-1].checks if check.result is CheckResult.NOT_APPLICABLE}
    assert asked - set(results(started)) == unanswered
    assert set(results(started).values()) == {"PASSED"}
    assert {one.clause for one in started.decisions} == {"V.B", "V.A", "IV", "V.C"}
    assert all(one.measured and one.required for one in started.decisions)
    assert results(ended) == {"record_written": "PASSED", "health_checks": "PASSED"}
    assert started.policy_sha256 == ended.policy_sha256 != ""
    assert len(started.payload()) < 8192


@pytest.mark.parametrize(("hours", "result"), [(11, "WARNED"), (13, "PASSED")])
def test_case_4_source_that_was_long_not_renewed_is_told_with_the_start(
    shop: Workshop, hours: int, result: str
) -> None:
    shop.source.ends = shop.clock.fleet_now() + timedelta(hours=hours)
    shop.install("1")
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    started, ended = shop.signed()
    assert results(started)["metadata_fresh"] == result
    assert ended.outcome == "SUCCEEDED"


def test_refusal_without_a_start_names_what_passed_before_and_the_gate_that_refused(shop: Workshop) -> None:
    shop.source.refresh_failures = [StepError(Symptom.METADATA_EXPIRED, "The timestamp expired yesterday.")]
    shop.offer(shop.warrant(shop.publish("2")))
    shop.run()
    shop.install("2")
    shop.offer(shop.warrant(shop.publish("1"), assignment_id="a-2"))
    shop.run()

    expired, older = shop.signed()

    assert results(expired) == {"warrant_valid": "PASSED", "metadata_fresh": "REFUSED"}
    assert expired.decisions[-1].measured == "The timestamp expired yesterday."
    assert results(older) == {
        "warrant_valid": "PASSED",
        "metadata_fresh": "PASSED",
        "signature": "PASSED",
        "applicable": "PASSED",
        "version_policy": "REFUSED",
    }


def test_computer_that_was_never_ready_signs_what_stood_in_its_way(shop: Workshop) -> None:
    shop.sensors.change["do_not_disturb"] = "true"
    policy = AgentPolicy(enforce={**AgentPolicy().enforce, "pending_reboot": "warn"})
    shop.sensors.change["pending_reboot"] = ("linux-image",)
    shop.offer(shop.warrant(shop.publish("2"), policy=policy.to_document()))
    shop.worker.run_until_idle()
    told = len(shop.outbox.after(0, 1000))
    shop.sensors.change["memory_available_bytes"] = 3 * 2**30
    shop.clock.advance(60)
    shop.worker.wake()
    shop.worker.run_until_idle()
    again = len(shop.outbox.after(0, 1000))
    shop.clock.advance(40 * 86400)
    shop.worker.wake()
    shop.run()

    (ended,) = shop.signed()
    missed = {one.gate: (one.result, one.measured, one.required) for one in ended.decisions if one.result != "PASSED"}
    assert again == told, "a measured value that moves is no news"
    assert missed == {
        "do_not_disturb": ("REFUSED", "true", "not set"),
        "pending_reboot": ("WARNED", "pending", "none pending"),
    }


def test_rollout_that_only_reboots_signs_its_gates_too(shop: Workshop) -> None:
    shop.power.allowed = shop.power.pending = True
    shop.offer(shop.warrant(MANIFEST))
    shop.worker.run_until_idle()

    (started,) = shop.signed()

    assert results(started)["warrant_valid"] == "PASSED"
    assert "disk_free" in results(started)
