"""The agent policy: what a SOP may tell a computer, and what is refused."""

from typing import Any

import pytest

from sopwith_formats.agent_policy import CHECKS, AgentPolicy, read_agent_policy
from sopwith_formats.errors import FormatError


def test_missing_keys_have_the_values_of_the_shipped_sop() -> None:
    policy = read_agent_policy({})

    assert policy == AgentPolicy()
    assert (policy.disk_free_factor, policy.disk_free_reserve_bytes, policy.clock_skew_seconds) == (2, 2**30, 300)
    assert {name for name, word in policy.enforce.items() if word == "warn"} == {
        "latency",
        "throughput",
        "memory",
        "load",
        "power",
        "user_session",
    }


def test_policy_survives_the_wire_both_ways() -> None:
    policy = AgentPolicy(clock_skew_seconds=1, metered_unless=("critical", "high"))

    assert read_agent_policy(policy.to_json()) == policy
    assert read_agent_policy(policy.to_document()) == policy


def test_one_enforced_check_leaves_the_others_as_shipped() -> None:
    policy = read_agent_policy({"enforce": {"load": "block"}})

    assert policy.enforce["load"] == "block"
    assert policy.enforce.keys() == set(CHECKS)
    assert policy.enforce["memory"] == "warn"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "no agent policy"),
        ({"format": 2}, "no agent policy"),
        ({"disk_fre": 1}, "unknown keys disk_fre"),
        ({"clock_skew_seconds": "300"}, "whole number"),
        ({"clock_skew_seconds": -1}, "whole number"),
        ({"clock_skew_seconds": True}, "whole number"),
        ({"offline_start": 1}, "true or false"),
        ({"enforce": []}, "object of check names"),
        ({"enforce": {"moon": "block"}}, "no check"),
        ({"enforce": {"load": "maybe"}}, "neither block nor warn"),
        ({"enforce": {"source_designated": "warn"}}, "guards integrity"),
        ({"metered_unless": "critical"}, "list of severities"),
        ({"metered_unless": [1]}, "list of severities"),
        ({"reboot_when": "at_noon"}, "is none of in_window"),
    ],
)
def test_policy_that_breaks_its_format_is_refused(document: Any, text: str) -> None:
    with pytest.raises(FormatError, match=text):
        read_agent_policy(document)
