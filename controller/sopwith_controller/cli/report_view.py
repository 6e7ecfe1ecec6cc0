"""How a rollout's report looks on a terminal: how it ended, planned beside actual times, who failed why, how long.

Rules: 5,000 computers take one screen like 5; who failed alike stands in one line with the number and the first names.
`--all` or `-o wide` shows every name, `-o json` everything. A time that was never known or has not come is a dash.
"""

from collections.abc import Sequence
from typing import Any

from sopwith.v1 import rollout_report_pb2
from sopwith_controller.cli.output import enum_name, escape, print_facts, print_table, time_text
from sopwith_controller.cli.plan_view import named, soak_text
from sopwith_controller.cli.rollout_views import OUTCOMES, counts_text, print_deviations

_PARTS = {"in_all": "offer to end", "before_install": "before the install", "install": "install to end"}
_HUNDRED, _SHARE_MIN = 100, 0.1


def print_report(report: rollout_report_pb2.RolloutReport, *, everything: bool = False) -> None:
    """Print how a rollout went."""
    print_facts(_facts(report))
    print()
    _print_outcomes(report.rollout.counts)
    print()
    _print_waves(report)
    if report.failures:
        print()
        _print_failures(report.failures, everything=everything)
    if report.durations:
        print()
        _print_durations(report.durations)
    if len(report.generations) > 1:
        print()
        print_table(
            ["GENERATION", "COMPUTERS", "RESULT"],
            [[str(one.generation), f"{one.computers:,}", counts_text(one.counts)] for one in report.generations],
            wrap=2,
        )
    if report.approvals or report.rollout.deviations:
        print()
    for approval in report.approvals:
        stale = "" if approval.fresh else f" (an earlier plan, {approval.plan_sha256[:12]})"
        print(escape(f"approved by {approval.person} at {time_text(approval, 'time')}{stale}"))
    print_deviations(report.rollout.deviations)


def _facts(report: rollout_report_pb2.RolloutReport) -> list[tuple[str, str]]:
    rollout = report.rollout
    tries = ", ".join(f"{one.computers:,} made {one.attempts}" for one in report.attempts)
    how = "measured" if report.durations_measured else "guessed"
    planned = time_text(report, "planned_finish_time")
    return [
        ("Rollout", f"{rollout.name} ({rollout.id})"),
        ("State", enum_name(rollout, "state")),
        ("Because", rollout.state_reason),
        ("Release", rollout.release),
        ("SOP", f"{rollout.sop.id} revision {rollout.sop.revision}"),
        ("Change class", rollout.change_class),
        ("Requested by", rollout.requester),
        ("Started by", rollout.operator),
        ("Ticket", rollout.ticket),
        ("Started", time_text(rollout, "started_time")),
        ("Planned end", planned and f"{planned} (durations {how})"),
        ("Ended", time_text(rollout, "ended_time")),
        ("Deadline", time_text(rollout, "deadline_time")),
        ("Tries", tries),
        ("Plan digest", rollout.plan_sha256),
    ]


def _print_outcomes(counts: Any) -> None:
    names = [name for name in (*OUTCOMES, "active", "pending") if getattr(counts, name)]
    together = sum(getattr(counts, name) for name in names)
    rows = [
        [name.replace("_", " "), f"{getattr(counts, name):,}", _share(getattr(counts, name), together)]
        for name in names
    ]
    print_table(["OUTCOME", "COMPUTERS", "SHARE"], [*rows, ["together", f"{together:,}", ""]])


def _share(number: int, together: int) -> str:
    percent = _HUNDRED * number / together
    return f"{percent:.1f} %" if percent >= _SHARE_MIN else "under 0.1 %"


def _print_waves(report: rollout_report_pb2.RolloutReport) -> None:
    """Print each wave in two lines, as it was and as planned; nobody plans a tail."""
    rows = []
    for wave in report.waves:
        actual = (_minute(wave, name) for name in ("opened_time", "ended_time", "passed_time"))
        state = "" if wave.state == "PASSED" else f"{wave.state}: "
        rows.append([wave.wave, f"{wave.size:,}", *actual, f"{state}{counts_text(wave.counts)}"])
        if wave.planned_size:
            planned = (_minute(wave, name) for name in ("planned_open_time", "planned_end_time"))
            rows.append(["  planned", f"{wave.planned_size:,}", *planned, "", ""])
    print_table(["WAVE", "SIZE", "OPENED UTC", "ENDED UTC", "PASSED UTC", "RESULT"], rows, wrap=5)


def _minute(wave: Any, field_name: str) -> str:
    text = time_text(wave, field_name)
    return f"{text[5:10]} {text[11:16]}" if text else "-"


def _print_durations(durations: Sequence[rollout_report_pb2.DurationReport]) -> None:
    rows = []
    for one in durations:
        took = (one.median_seconds, one.p95_seconds, one.longest_seconds)
        rows.append([_PARTS.get(one.what, one.what), f"{one.computers:,}", *map(_took, took)])
    print_table(["DURATION", "COMPUTERS", "HALF WITHIN", "95 % WITHIN", "SLOWEST"], rows)


def _print_failures(failures: Sequence[rollout_report_pb2.FailureReport], *, everything: bool) -> None:
    rows = []
    for one in failures:
        who = ", ".join(one.computers) if everything else named(one.computers)
        said = f"{who}: {one.detail}" if one.detail else who
        rows.append([one.outcome, one.symptom or "-", f"{len(one.computers):,}", said])
    print_table(["ENDED", "SYMPTOM", "COMPUTERS", "WHO, AND WHAT MOST OF THEM SAID"], rows, wrap=3)


def _took(seconds: float) -> str:
    """Return a duration to the second, for example 12m5s."""
    return soak_text(round(seconds)) if round(seconds) else "under 1s"
