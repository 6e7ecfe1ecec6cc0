"""May this computer be updated now (SOP clause V.A): measurements against the SOP's thresholds, reasons and remedies.

Decides what each sensor's value means under an agent policy; what the sensors ask, and what an agent does with a
verdict, is theirs. Rules: a check that misses its threshold blocks or warns as the policy says; integrity checks always
block; a question without an answer is not applicable, except where the answer is the thing required (source,
connection). The verdict is READY when nothing blocks. Every check says what was measured, what is required, and what a
person can do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sopwith_agent.domain.measurements import Measurements, SourceReach
from sopwith_formats.agent_policy import CHECKS, INTEGRITY_CHECKS, AgentPolicy
from sopwith_formats.units import format_size
from sopwith_formats.vocabulary import Symptom


class CheckResult(StrEnum):
    """What one comparison came to; the words of the wire."""

    PASSED = "PASSED"
    WARNED = "WARNED"
    BLOCKED = "BLOCKED"
    NOT_APPLICABLE = "NOT_APPLICABLE"


@dataclass(frozen=True)
class Check:
    """One sensor's value against the required one; `code` and `remedy` are empty when it passed."""

    name: str
    result: CheckResult
    code: str
    measured: str
    required: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Reason:
    """One thing that stands in the way."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Readiness:
    """The answer over all checks."""

    verdict: str
    """READY or NOT_READY."""
    reasons: tuple[Reason, ...]
    """One per blocking check that failed."""
    checks: tuple[Check, ...]
    measured_time: datetime

    @property
    def ready(self) -> bool:
        """Tell whether nothing blocks."""
        return self.verdict == "READY"


@dataclass(frozen=True)
class Need:
    """What a release asks of the computer; all zero when readiness is measured without one."""

    files_bytes: int = 0
    """Length of the release's files for this computer."""
    disk_free_bytes: int = 0
    """The manifest's own demand on top of the policy's."""
    severity: str = "none"


@dataclass(frozen=True)
class _Case:
    """What one assessment compares."""

    measured: Measurements
    policy: AgentPolicy
    need: Need


@dataclass(frozen=True)
class _Finding:
    """A missed or met threshold before the policy's word on it."""

    measured: str
    required: str
    missed: Symptom | None = None
    message: str = ""
    remedy: str = ""


def assess(measured: Measurements, policy: AgentPolicy, need: Need | None = None) -> Readiness:
    """Return the verdict over all checks, in the order of CHECKS."""
    case = _Case(measured, policy, need or Need())
    checks = tuple(_judge(name, _FINDERS[name](case), policy) for name in CHECKS)
    reasons = tuple(Reason(c.code, c.message, c.remedy) for c in checks if c.result is CheckResult.BLOCKED)
    return Readiness("NOT_READY" if reasons else "READY", reasons, checks, measured.measured_time)


def required_free_bytes(policy: AgentPolicy, need: Need) -> int:
    """Return the free space that a release needs: its files several times, its own demand, and the reserve."""
    return policy.disk_free_factor * need.files_bytes + need.disk_free_bytes + policy.disk_free_reserve_bytes


def _judge(name: str, finding: _Finding | None, policy: AgentPolicy) -> Check:
    if finding is None:
        return Check(name, CheckResult.NOT_APPLICABLE, "", "", "", "does not apply to this computer", "")
    if finding.missed is None:
        return Check(name, CheckResult.PASSED, "", finding.measured, finding.required, finding.message or "holds", "")
    blocks = name in INTEGRITY_CHECKS or policy.enforce.get(name, "block") == "block"
    result = CheckResult.BLOCKED if blocks else CheckResult.WARNED
    return Check(name, result, finding.missed, finding.measured, finding.required, finding.message, finding.remedy)


def _source_designated(case: _Case) -> _Finding:
    if case.measured.source_designated:
        return _Finding("designated", "designated")
    return _Finding(
        "none",
        "designated",
        Symptom.SOURCE_NOT_DESIGNATED,
        "No source of updates is designated for this computer.",
        "The owner runs `sopwith source init`; the designation then reaches this computer by itself.",
    )


def _connected(case: _Case) -> _Finding:
    if case.measured.controller_connected:
        return _Finding("live stream", "live stream")
    if case.policy.offline_start:
        return _Finding("no stream", "none, the SOP allows starting off the network")
    return _Finding(
        "no stream",
        "live stream",
        Symptom.CONTROLLER_UNREACHABLE,
        "There is no live connection to the controller.",
        "Check the network and the controller's fleet address; `sopwith-agent status` shows the last error.",
    )


def _source_reachable(case: _Case) -> _Finding | None:
    reach = case.measured.source
    if not case.measured.source_designated:
        return None  # the missing designation is a reason of its own
    if reach is None:
        return _unreachable("not measured", "The way to the source could not be measured.")
    if reach.failed_at:
        return _unreachable(f"failed at {reach.failed_at}", _describe_failure(reach))
    through = f" through the proxy {reach.proxy}" if reach.proxy else ""
    return _Finding(f"{reach.address} answers{through}", "DNS, TCP and TLS answer")


def _unreachable(measured: str, message: str) -> _Finding:
    return _Finding(
        measured,
        "DNS, TCP and TLS answer",
        Symptom.NET_SOURCE_UNREACHABLE,
        message,
        "Check name resolution, route, firewall and captive portals between this computer and the source.",
    )


def _describe_failure(reach: SourceReach) -> str:
    failure = reach.failure or "no reason given"
    through = f" through the proxy {reach.proxy}" if reach.proxy else ""
    return f"The source {reach.address} does not answer{through} at {reach.failed_at}: {failure}."


def _latency(case: _Case) -> _Finding | None:
    reach = case.measured.source
    if reach is None or reach.tcp_milliseconds is None:
        return None
    required = f"at most {case.policy.latency_milliseconds} ms"
    if reach.tcp_milliseconds <= case.policy.latency_milliseconds:
        return _Finding(f"{reach.tcp_milliseconds} ms", required)
    return _Finding(
        f"{reach.tcp_milliseconds} ms",
        required,
        Symptom.NET_SOURCE_UNREACHABLE,
        f"Opening a connection to the source takes {reach.tcp_milliseconds} ms.",
        "Check the link, or serve the source from a nearer place.",
    )


def _throughput(case: _Case) -> _Finding | None:
    speed = case.measured.throughput_bytes_per_second
    if speed is None:
        return None
    required = f"at least {format_size(case.policy.throughput_bytes_per_second)}/s"
    if speed >= case.policy.throughput_bytes_per_second:
        return _Finding(f"{format_size(speed)}/s", required)
    return _Finding(
        f"{format_size(speed)}/s",
        required,
        Symptom.NET_SOURCE_UNREACHABLE,
        f"The last download from the source came with {format_size(speed)}/s.",
        "Check the link, or serve the source from a nearer place.",
    )


def _clock_skew(case: _Case) -> _Finding | None:
    ahead = case.measured.controller_ahead_seconds
    if ahead is None:
        return None
    required = f"within {case.policy.clock_skew_seconds} s of the controller"
    if abs(ahead) <= case.policy.clock_skew_seconds:
        return _Finding(f"{abs(ahead)} s apart", required)
    return _Finding(
        f"{abs(ahead)} s apart",
        required,
        Symptom.CLOCK_SKEWED,
        f"The clock is {abs(ahead)} s {'behind' if ahead > 0 else 'ahead of'} the controller's.",
        "Set the clock and switch time synchronisation on.",
    )


def _disk_free(case: _Case) -> _Finding | None:
    if not case.measured.disks:
        return None
    required = required_free_bytes(case.policy, case.need)
    tightest = min(case.measured.disks, key=lambda disk: disk.free_bytes)
    text = f"{format_size(tightest.free_bytes)} free at {tightest.path}"
    if tightest.free_bytes >= required:
        return _Finding(text, format_size(required))
    return _Finding(
        text,
        format_size(required),
        Symptom.DISK_FULL,
        f"Only {format_size(tightest.free_bytes)} are free at {tightest.path} ({tightest.purpose});"
        f" {format_size(required)} are required.",
        f"Free {format_size(required - tightest.free_bytes)} at {tightest.path}, for example in the package cache.",
    )


def _memory(case: _Case) -> _Finding | None:
    free = case.measured.memory_available_bytes
    if free is None:
        return None
    required = f"at least {format_size(case.policy.memory_available_bytes)}"
    if free >= case.policy.memory_available_bytes:
        return _Finding(f"{format_size(free)} available", required)
    return _Finding(
        f"{format_size(free)} available",
        required,
        Symptom.MEMORY_LOW,
        f"Only {format_size(free)} of memory are available.",
        "End programs that are not needed, or wait.",
    )


def _load(case: _Case) -> _Finding | None:
    if case.measured.load_percent is None:
        return None
    text, required = f"{case.measured.load_percent} % per processor", f"at most {case.policy.load_percent} %"
    if case.measured.load_percent <= case.policy.load_percent:
        return _Finding(text, required)
    return _Finding(
        text,
        required,
        Symptom.LOAD_HIGH,
        f"The processors were loaded by {case.measured.load_percent} % over the last minute.",
        "Wait until the work at hand is done.",
    )


def _power(case: _Case) -> _Finding | None:
    power = case.measured.power
    if power is None:
        return None
    required = f"mains, or at least {case.policy.battery_percent} % battery"
    if power.on_mains:
        return _Finding("mains", required)
    text = f"battery, {power.battery_percent} %"
    if power.battery_percent >= case.policy.battery_percent:
        return _Finding(text, required)
    return _Finding(
        text, required, Symptom.POWER_LOW, f"The battery holds {power.battery_percent} %.", "Connect mains power."
    )


def _pending_reboot(case: _Case) -> _Finding | None:
    if case.measured.pending_reboot is None:
        return None
    if not case.measured.pending_reboot:
        return _Finding("none pending", "none pending")
    return _Finding(
        "pending",
        "none pending",
        Symptom.PENDING_REBOOT,
        f"A reboot is pending, asked for by {', '.join(case.measured.pending_reboot)}.",
        "Reboot the computer inside its window.",
    )


def _package_lock(case: _Case) -> _Finding | None:
    holder = case.measured.package_lock_holder
    if holder is None:
        return None
    if not holder:
        return _Finding("free", "free")
    return _Finding(
        f"held by {holder}",
        "free",
        Symptom.PACKAGE_LOCK_HELD,
        f"The package tool's lock is held by {holder}.",
        "Wait for it to end; Sopwith never ends it.",
    )


def _blocking_process(case: _Case) -> _Finding:
    if not case.measured.blocking_processes:
        return _Finding("none running", "none running")
    names = ", ".join(case.measured.blocking_processes)
    return _Finding(
        names,
        "none running",
        Symptom.FILE_OR_SERVICE_IN_USE,
        f"Programs that this release must not meet are running: {names}.",
        "End these programs, or wait until their users did.",
    )


def _user_session(case: _Case) -> _Finding | None:
    count = case.measured.user_sessions
    if count is None:
        return None
    if count == 0:
        return _Finding("none", "none")
    return _Finding(
        str(count), "none", Symptom.USER_BUSY, f"{count} user session(s) are open.", "Update when nobody is working."
    )


def _do_not_disturb(case: _Case) -> _Finding:
    if not case.measured.do_not_disturb:
        return _Finding("not set", "not set")
    return _Finding(
        case.measured.do_not_disturb,
        "not set",
        Symptom.DO_NOT_DISTURB,
        f"The computer is labelled do-not-disturb={case.measured.do_not_disturb}.",
        "Remove the label with `sopwith computer label` when the computer may be updated.",
    )


def _metered(case: _Case) -> _Finding | None:
    if case.measured.metered is None:
        return None
    if not case.measured.metered:
        return _Finding("not metered", "not metered")
    if case.need.severity in case.policy.metered_unless:
        return _Finding("metered", f"any link, the release is {case.need.severity}")
    return _Finding(
        "metered",
        "not metered",
        Symptom.METERED_LINK,
        "The computer's link to the network is metered.",
        "Connect it to a link without volume limit.",
    )


_FINDERS: dict[str, Callable[[_Case], _Finding | None]] = {
    "source_designated": _source_designated,
    "connected": _connected,
    "source_reachable": _source_reachable,
    "latency": _latency,
    "throughput": _throughput,
    "clock_skew": _clock_skew,
    "disk_free": _disk_free,
    "memory": _memory,
    "load": _load,
    "power": _power,
    "pending_reboot": _pending_reboot,
    "package_lock": _package_lock,
    "blocking_process": _blocking_process,
    "user_session": _user_session,
    "do_not_disturb": _do_not_disturb,
    "metered": _metered,
}
