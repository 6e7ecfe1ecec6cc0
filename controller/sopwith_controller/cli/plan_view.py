"""How a plan looks on a terminal: who, what, when, how much, what it dares, who is left out and what is missing.

Rules: a plan for 5,000 computers takes one screen like a plan for 5. Many computers with one reason stand in one line
with their number and the first names; `--all` or `-o wide` shows everybody, `-o json` everything.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sopwith.v1 import rollout_service_pb2
from sopwith_controller.cli.output import escape, print_facts, print_table, terminal_width, time_text
from sopwith_formats.units import format_size

NAMES_MAX = 3
"""How many computers of a group are named."""


def print_plan(plan: rollout_service_pb2.RolloutPlan, *, everything: bool = False) -> None:
    """Print what a dry run found, or a stored plan, which comes without times and exclusions."""
    forecast = plan.forecast
    document = json.loads(plan.plan_json) if plan.plan_json else {}
    print_facts(_facts(plan, document))
    print()
    _print_waves(plan, document)
    if forecast.materials:
        print()
        _print_materials(forecast.materials)
    if forecast.exclusions:
        print()
        _print_exclusions(forecast.exclusions, everything=everything)
    if everything:
        print()
        print_table(["COMPUTER", "WAVE"], [[name, wave] for name, wave in _members(plan, document)])
    notes = [warning for warning in forecast.warnings if warning not in forecast.risk.reasons]
    if notes or forecast.approvals_missing or forecast.refusals:
        print()
    for mark, texts in (("note", notes), ("needs", forecast.approvals_missing)):
        for text in texts:
            print(_marked(mark, text))
    for refusal in forecast.refusals:
        print(_marked("REFUSED", f"by {refusal.gate} (SOP clause {refusal.clause}): {refusal.reason}"))
        if refusal.remedy:
            print(_marked("", f"to mend it: {refusal.remedy}"))


def _marked(mark: str, text: str) -> str:
    import textwrap

    return textwrap.fill(
        escape(text),
        terminal_width(),
        initial_indent=f"{mark:9}",
        subsequent_indent=" " * 9,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _facts(plan: rollout_service_pb2.RolloutPlan, document: dict[str, Any]) -> list[tuple[str, str]]:
    forecast = plan.forecast
    finish = time_text(forecast, "projected_finish_time")
    each, together = forecast.bytes_per_computer, forecast.bytes_total
    left_out = f"; {len(forecast.exclusions):,} left out" if forecast.exclusions else ""
    return [
        ("Rollout", str(document.get("rollout", ""))),
        ("Release", str(document.get("release", ""))),
        ("SOP", f"{document['sop_id']} revision {document['sop_revision']}" if "sop_id" in document else ""),
        ("Audience", str(document.get("audience", ""))),
        ("Computers", f"{forecast.computers:,}{left_out}"),
        ("Download", f"{format_size(each)} each, {format_size(together)} in all" if each else ""),
        ("Window", _window(document)),
        ("Not before", str(document.get("start_time", ""))),
        ("Ends about", finish and f"{finish} if it started now, at {_install_text(forecast)}"),
        ("Deadline", time_text(forecast, "deadline_time")),
        ("At once", f"at most {document['max_concurrency']:,}" if "max_concurrency" in document else ""),
        ("Stops when", _thresholds(document)),
        ("Change class", str(document.get("change_class", ""))),
        ("Risk", forecast.risk.level),
        *(("", reason) for reason in forecast.risk.reasons),
        ("Ticket", str(document.get("ticket", ""))),
        ("Plan digest", plan.plan_sha256),
    ]


def _window(document: dict[str, Any]) -> str:
    window = document.get("window")
    if not window:
        return "always open" if document else ""
    return f"{window.get('rrule', '')} at {window.get('start', '')}, {window.get('time_zone', '')}"


def _thresholds(document: dict[str, Any]) -> str:
    found = document.get("thresholds")
    if not found:
        return ""
    return (
        f"above {found['error_percent']} of a wave or {found['error_count']} in all go wrong, "
        f"{found['lost']} are lost, or below {found['success']} succeed"
    )


def _members(plan: rollout_service_pb2.RolloutPlan, document: dict[str, Any]) -> list[tuple[str, str]]:
    names = [wave.name for wave in plan.forecast.waves for _ in range(wave.size)]
    members = [str(member["name"]) for member in document.get("members", ())]
    return list(zip(members, names, strict=False))


def _print_waves(plan: rollout_service_pb2.RolloutPlan, document: dict[str, Any]) -> None:
    members = [name for name, _ in _members(plan, document)]
    timed = len(plan.forecast.wave_times) == len(plan.forecast.waves)
    rows, start = [], 0
    for number, wave in enumerate(plan.forecast.waves):
        times = [_minute(plan.forecast.wave_times[number], end) for end in ("opens_time", "ends_time")] if timed else []
        who = named(members[start:][: wave.size])
        rows.append([wave.name, f"{wave.size:,}", *times, soak_text(wave.soak_seconds), who])
        start += wave.size
    titles = ["WAVE", "COMPUTERS", *(["OPENS UTC", "ENDS UTC"] if timed else []), "WATCHED FOR", "WHO"]
    print_table(titles, rows, wrap=len(titles) - 1)


def _minute(times: rollout_service_pb2.WaveForecast, field_name: str) -> str:
    """Return a projected time without its seconds, which it does not know, nor its year, which stands above."""
    text = time_text(times, field_name)
    return f"{text[5:10]} {text[11:16]}" if text else "never"


def _install_text(forecast: rollout_service_pb2.PlanForecast) -> str:
    """Return how long an install takes, and how that is known."""
    how = "measured" if forecast.durations_measured else "a guess"
    return f"{soak_text(forecast.install_seconds)} an install ({how})"


def _print_materials(materials: Iterable[rollout_service_pb2.PlanMaterial]) -> None:
    rows = [["present" if one.present else "MISSING", one.name, one.message] for one in materials]
    print_table(["MATERIAL", "WHAT", "FOUND"], rows, wrap=2)


def _print_exclusions(exclusions: Sequence[rollout_service_pb2.PlanExclusion], *, everything: bool) -> None:
    if everything:
        rows = [[one.computer, one.reason, one.remedy] for one in exclusions]
        print_table(["LEFT OUT", "WHY", "WHAT HELPS"], rows)
        return
    groups: dict[tuple[str, str], list[str]] = {}
    for one in exclusions:
        remedy = one.remedy.replace(one.computer, "COMPUTER") if one.computer else one.remedy
        groups.setdefault((one.reason, remedy), []).append(one.computer)
    largest = sorted(groups.items(), key=lambda item: -len(item[1]))
    rows = [
        [f"{len(names):,}", named(names), f"{why}; {remedy}" if remedy else why] for (why, remedy), names in largest
    ]
    print_table(["LEFT OUT", "WHO", "WHY, AND WHAT HELPS"], rows, wrap=(1, 2))
    if any(len(names) > NAMES_MAX for names in groups.values()):
        print("everybody: --all, or -o json")


def named(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are; the one name more takes no more room than its number."""
    more = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + f" and {more:,} more" if more > 1 else ", ".join(names)


def soak_text(seconds: int) -> str:
    """Return how long a wave is watched, for example 4h."""
    from datetime import timedelta

    from sopwith_formats.units import format_duration

    return format_duration(timedelta(seconds=seconds)) if seconds else "-"
