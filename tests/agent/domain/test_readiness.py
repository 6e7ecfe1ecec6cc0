"""Readiness (SOP clause V.A): each threshold met and missed, and what the policy makes of it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sopwith_agent.domain.measurements import DiskSpace, Measurements, Power, SourceReach
from sopwith_agent.domain.readiness import Check, CheckResult, Need, Readiness, assess, required_free_bytes
from sopwith_formats.agent_policy import CHECKS, AgentPolicy, read_agent_policy

GIB = 2**30
POLICY = AgentPolicy()
FIT = Measurements(
    measured_time=datetime(2026, 11, 22, tzinfo=UTC),
    disks=(DiskSpace("staging", "/var/lib/sopwith", 9 * GIB), DiskSpace("root", "/", 5 * GIB)),
    memory_available_bytes=GIB,
    load_percent=10,
    power=Power(on_mains=True, battery_percent=100),
    pending_reboot=(),
    package_lock_holder="",
    user_sessions=0,
    controller_ahead_seconds=1,
    metered=False,
    controller_connected=True,
    source_designated=True,
    source=SourceReach("source.example:7445", 1, 2, 3),
    throughput_bytes_per_second=GIB,
)


def named(readiness: Readiness, name: str) -> Check:
    return next(check for check in readiness.checks if check.name == name)


def test_fit_computer_passes_every_check_in_order() -> None:
    readiness = assess(FIT, POLICY, Need(files_bytes=1000))

    assert readiness.ready
    assert readiness.reasons == ()
    assert [check.name for check in readiness.checks] == list(CHECKS)
    assert {check.result for check in readiness.checks} == {CheckResult.PASSED}
    assert readiness.measured_time == FIT.measured_time


MISSED: list[tuple[str, dict[str, Any], str]] = [
    ("source_designated", {"source_designated": False}, "SOURCE_NOT_DESIGNATED"),
    ("connected", {"controller_connected": False}, "CONTROLLER_UNREACHABLE"),
    ("source_reachable", {"source": None}, "NET_SOURCE_UNREACHABLE"),
    ("source_reachable", {"source": SourceReach("s:1", failed_at="tls", failure="expired")}, "NET_SOURCE_UNREACHABLE"),
    ("clock_skew", {"controller_ahead_seconds": 301}, "CLOCK_SKEWED"),
    ("clock_skew", {"controller_ahead_seconds": -301}, "CLOCK_SKEWED"),
    ("disk_free", {"disks": (DiskSpace("staging", "/s", GIB - 1), DiskSpace("root", "/", GIB))}, "DISK_FULL"),
    ("pending_reboot", {"pending_reboot": ("linux-image",)}, "PENDING_REBOOT"),
    ("package_lock", {"package_lock_holder": "apt-get, process 812"}, "PACKAGE_LOCK_HELD"),
    ("blocking_process", {"blocking_processes": ("hello-server",)}, "FILE_OR_SERVICE_IN_USE"),
    ("do_not_disturb", {"do_not_disturb": "true"}, "DO_NOT_DISTURB"),
    ("metered", {"metered": True}, "METERED_LINK"),
    ("latency", {"source": SourceReach("s:1", 1, 2001, 1)}, "NET_SOURCE_UNREACHABLE"),
    ("throughput", {"throughput_bytes_per_second": 100}, "NET_SOURCE_UNREACHABLE"),
    ("memory", {"memory_available_bytes": 1}, "MEMORY_LOW"),
    ("load", {"load_percent": 201}, "LOAD_HIGH"),
    ("power", {"power": Power(on_mains=False, battery_percent=29)}, "POWER_LOW"),
    ("user_session", {"user_sessions": 1}, "USER_BUSY"),
]


MAY_WARN = (
    "connected",
    "source_reachable",
    "latency",
    "throughput",
    "clock_skew",
    "disk_free",
    "memory",
    "load",
    "power",
    "pending_reboot",
    "package_lock",
    "blocking_process",
    "user_session",
    "do_not_disturb",
    "metered",
)


@pytest.mark.gate("blocks", *MAY_WARN)
@pytest.mark.parametrize(("name", "change", "code"), MISSED)
def test_every_check_blocks_where_the_sop_says_so(name: str, change: dict[str, Any], code: str) -> None:
    strict = AgentPolicy(enforce=dict.fromkeys(CHECKS, "block"))

    readiness = assess(replace(FIT, **change), strict)

    assert not readiness.ready
    assert code in {reason.code for reason in readiness.reasons}
    assert named(readiness, name).remedy


@pytest.mark.gate("blocks", "source_designated")
@pytest.mark.clause("V.C Safety", "quiet")
@pytest.mark.parametrize(("name", "change", "code"), MISSED)
def test_missed_threshold_blocks_or_warns_as_the_shipped_sop_says(name: str, change: dict[str, Any], code: str) -> None:
    readiness = assess(replace(FIT, **change), POLICY)

    check = named(readiness, name)
    blocks = POLICY.enforce[name] == "block"
    assert check.result is (CheckResult.BLOCKED if blocks else CheckResult.WARNED)
    assert check.code == code
    assert check.measured
    assert check.required
    assert check.message
    assert check.remedy
    assert readiness.ready is not blocks
    assert [reason.code for reason in readiness.reasons] == ([code] if blocks else [])


@pytest.mark.gate("warns", *MAY_WARN)
@pytest.mark.parametrize(("name", "change", "code"), MISSED)
def test_adopting_company_may_let_all_but_integrity_checks_warn(name: str, change: dict[str, Any], code: str) -> None:
    adopting = AgentPolicy(enforce=dict.fromkeys(CHECKS, "warn"))

    readiness = assess(replace(FIT, **change), adopting)

    assert readiness.ready is (name != "source_designated")
    assert named(readiness, name).code == code


def test_question_without_answer_is_not_applicable() -> None:
    nothing = Measurements(measured_time=FIT.measured_time, controller_connected=True, source_designated=True)

    readiness = assess(nothing, POLICY)

    results = {check.name: check.result for check in readiness.checks}
    unanswered = {name for name, result in results.items() if result is CheckResult.NOT_APPLICABLE}
    assert unanswered == {
        "latency",
        "throughput",
        "clock_skew",
        "disk_free",
        "memory",
        "load",
        "power",
        "pending_reboot",
        "package_lock",
        "user_session",
        "metered",
    }
    assert [reason.code for reason in readiness.reasons] == ["NET_SOURCE_UNREACHABLE"]


def test_missing_designation_is_one_reason_not_two() -> None:
    readiness = assess(replace(FIT, source_designated=False, source=None), POLICY)

    assert [reason.code for reason in readiness.reasons] == ["SOURCE_NOT_DESIGNATED"]
    assert named(readiness, "source_reachable").result is CheckResult.NOT_APPLICABLE


def test_sop_for_computers_off_the_network_does_not_ask_for_a_stream() -> None:
    readiness = assess(replace(FIT, controller_connected=False), AgentPolicy(offline_start=True))

    assert named(readiness, "connected").result is CheckResult.PASSED


def test_critical_release_may_use_a_metered_link() -> None:
    metered = replace(FIT, metered=True)

    assert assess(metered, POLICY, Need(severity="critical")).ready
    assert not assess(metered, POLICY, Need(severity="high")).ready


def test_charged_battery_is_power_enough() -> None:
    readiness = assess(replace(FIT, power=Power(on_mains=False, battery_percent=30)), POLICY)

    assert named(readiness, "power").result is CheckResult.PASSED


def test_release_needs_room_for_its_files_twice_its_own_demand_and_the_reserve() -> None:
    need = Need(files_bytes=100, disk_free_bytes=7)

    assert required_free_bytes(POLICY, need) == 2 * 100 + 7 + GIB
    tight = replace(FIT, disks=(DiskSpace("root", "/", GIB + 206),))
    assert [reason.code for reason in assess(tight, POLICY, need).reasons] == ["DISK_FULL"]


def test_proxy_that_leads_to_the_source_is_named() -> None:
    reached = replace(FIT, source=SourceReach("s:1", 1, 2, 3, proxy="proxy.example:3128"))
    failed = replace(FIT, source=SourceReach("s:1", 1, failed_at="tcp", proxy="proxy.example:3128"))

    assert "proxy.example:3128" in named(assess(reached, POLICY), "source_reachable").measured
    assert "through the proxy proxy.example:3128" in named(assess(failed, POLICY), "source_reachable").message


def test_policy_as_the_controller_sends_it_is_enforced() -> None:
    policy = read_agent_policy({"enforce": {"memory": "block"}, "memory_available_bytes": 2 * GIB})

    assert [reason.code for reason in assess(FIT, policy).reasons] == ["MEMORY_LOW"]
