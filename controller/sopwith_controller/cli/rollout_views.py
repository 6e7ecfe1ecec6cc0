"""How rollouts, plans and explanations look on a terminal; people read computer, release, rollout, wave, SOP."""

from datetime import timedelta
from typing import Any

from sopwith.v1 import rollout_pb2, rollout_service_pb2
from sopwith_controller.cli.output import Column, enum_name, escape, print_facts, print_table, time_text
from sopwith_formats.units import format_duration, format_size

OUTCOMES = (
    "succeeded", "failed", "rolled_back", "skipped", "not_ready", "not_started", "unreachable", "cancelled",
)  # fmt: skip
_ENDED_STATES = ("COMPLETED", "ABORTED")
_NEEDS_PERSON_STATES = ("PAUSED", "SUSPENDED")
_LINES_MAX = 40


def counts_text(counts: rollout_pb2.Counts) -> str:
    """Return the counts that are not zero, for example "4 succeeded, 1 rolled back"."""
    parts = [
        f"{getattr(counts, name)} {name.replace('_', ' ')}"
        for name in (*OUTCOMES, "active", "pending")
        if getattr(counts, name)
    ]
    return ", ".join(parts) or "none"


def ended(rollout: rollout_pb2.Rollout) -> bool:
    """Tell whether nothing will happen any more."""
    return enum_name(rollout, "state") in _ENDED_STATES


def needs_person(rollout: rollout_pb2.Rollout) -> bool:
    """Tell whether the rollout stands until a person acts."""
    return enum_name(rollout, "state") in _NEEDS_PERSON_STATES


def all_well(rollout: rollout_pb2.Rollout) -> bool:
    """Tell whether it completed and every computer succeeded or had nothing to do."""
    counts = rollout.counts
    bad = sum(getattr(counts, name) for name in OUTCOMES if name not in ("succeeded", "skipped"))
    return enum_name(rollout, "state") == "COMPLETED" and not bad


COLUMNS = (
    Column("ID", lambda r: r.id),
    Column("NAME", lambda r: r.name),
    Column("STATE", lambda r: enum_name(r, "state")),
    Column("RELEASE", lambda r: r.release),
    Column("COMPUTERS", lambda r: counts_text(r.counts)),
    Column("CREATED", lambda r: time_text(r, "created_time"), wide=True),
    Column("REQUESTER", lambda r: r.requester, wide=True),
    Column("OPERATOR", lambda r: r.operator, wide=True),
    Column("BASELINE", lambda r: r.baseline, wide=True),
    Column("TICKET", lambda r: r.ticket, wide=True),
)


def print_rollout(rollout: rollout_pb2.Rollout) -> None:
    """Print one rollout."""
    print_facts(
        [
            ("Rollout", f"{rollout.name} ({rollout.id})"),
            ("State", enum_name(rollout, "state")),
            ("Because", rollout.state_reason),
            ("Release", rollout.release),
            ("SOP", f"{rollout.sop.id} revision {rollout.sop.revision}"),
            ("Change class", rollout.change_class),
            ("Audience", _audience_text(rollout)),
            ("Baseline", _baseline_text(rollout)),
            ("Drafted by", _origin_text(rollout)),
            ("Next draft", time_text(rollout, "next_draft_time")),
            ("Requested by", rollout.requester),
            ("Approved by", ", ".join(rollout.approved_by)),
            ("Started by", rollout.operator),
            ("Ticket", rollout.ticket),
            ("Started", time_text(rollout, "started_time")),
            ("Ended", time_text(rollout, "ended_time")),
            ("Deadline", time_text(rollout, "deadline_time")),
            ("Plan digest", rollout.plan_sha256),
        ]
    )
    print()
    print_waves(rollout.waves)
    for note in rollout.guidance:
        print(f"\nGuidance of the IT manager: {escape(note)}")


def _audience_text(rollout: rollout_pb2.Rollout) -> str:
    audience = rollout.audience or "every accepted computer in scope"
    if not rollout.dynamic:
        return audience
    return f"{audience}, also those that come later ({rollout.joined} joined after the start)"


def _baseline_text(rollout: rollout_pb2.Rollout) -> str:
    """Return what it left to computers that come later; empty: nothing."""
    if rollout.baseline == "IN_FORCE":
        doing = f"catch-up {rollout.catch_up} brings it to them" if rollout.catch_up else rollout.baseline_reason
        return f"{rollout.release} is offered to computers that come later{f'; {doing}' if doing else ''}"
    return f"ended: {rollout.baseline_reason}" if rollout.baseline else ""


def _origin_text(rollout: rollout_pb2.Rollout) -> str:
    what = {"catch_up": "the controller, as a catch-up of", "patch_day": "the controller, on the patch day of"}
    return f"{what[rollout.origin]} {rollout.origin_rollout}" if rollout.origin in what else ""


def print_waves(waves: Any) -> None:
    """Print the waves of a rollout or a plan."""
    print_table(
        ["WAVE", "STATE", "COMPUTERS", "RESULT", "WATCHED FOR"],
        [[w.name, w.state, str(w.size), counts_text(w.counts), f"{w.soak_seconds} s"] for w in waves],
    )


def print_plan(plan: rollout_service_pb2.RolloutPlan) -> None:
    """Print what a dry run found: who, what, when, how much, what is missing."""
    forecast = plan.forecast
    finish = time_text(forecast, "projected_finish_time")
    each, together = forecast.bytes_per_computer, forecast.bytes_per_computer * forecast.computers
    print_facts(
        [
            ("Computers", str(forecast.computers)),
            # A stored plan comes without the forecast that it was made with.
            ("Download", f"{format_size(each)} each, {format_size(together)} in all" if each else ""),
            ("Ends about", finish and f"{finish} if it started now, at {_install_text(forecast)}"),
            ("Deadline", time_text(forecast, "deadline_time")),
            ("Plan digest", plan.plan_sha256),
        ]
    )
    print()
    _print_planned_waves(forecast)
    for material in forecast.materials:
        print(f"{'present' if material.present else 'MISSING':8} {escape(material.name)}: {escape(material.message)}")
    for exclusion in list(forecast.exclusions)[:_LINES_MAX]:
        print(f"left out {escape(exclusion.computer)}: {escape(exclusion.reason)}")
    if len(forecast.exclusions) > _LINES_MAX:
        print(f"left out {len(forecast.exclusions) - _LINES_MAX} more; -o json lists all")
    for warning in forecast.warnings:
        print(f"note     {escape(warning)}")
    for refusal in forecast.refusals:
        print(f"REFUSED  by {escape(refusal.gate)} (SOP clause {escape(refusal.clause)}): {escape(refusal.reason)}")
        if refusal.remedy:
            print(f"         to mend it: {escape(refusal.remedy)}")


def _install_text(forecast: rollout_service_pb2.PlanForecast) -> str:
    """Return how long an install takes, and how that is known."""
    how = "measured" if forecast.durations_measured else "a guess"
    return f"{format_duration(timedelta(seconds=forecast.install_seconds))} an install ({how})"


def _print_planned_waves(forecast: rollout_service_pb2.PlanForecast) -> None:
    """Print the waves of a fresh plan in time; a stored plan comes without times."""
    if not forecast.wave_times:
        print_waves(forecast.waves)
        return
    print_table(
        ["WAVE", "COMPUTERS", "OPENS", "ENDS", "WATCHED FOR"],
        [
            [
                wave.name,
                str(wave.size),
                time_text(times, "opens_time") or "never",
                time_text(times, "ends_time") or "never",
                format_duration(timedelta(seconds=wave.soak_seconds)),
            ]
            for wave, times in zip(forecast.waves, forecast.wave_times, strict=True)
        ],
    )


def print_explanations(reply: rollout_service_pb2.ExplainRolloutResponse) -> None:
    """Print what each waiting computer waits for; equal reasons of many computers stand together."""
    state = enum_name(reply, "state")
    print(f"The rollout is {state}{': ' + escape(reply.state_reason) if reply.state_reason else ''}.")
    if not reply.explanations:
        print("No computer waits.")
        return
    groups: dict[tuple[str, str, str], list[str]] = {}
    for item in reply.explanations:
        groups.setdefault((item.waits_for, item.message, item.remedy), []).append(item.computer)
    rows = []
    for (waits_for, message, remedy), computers in groups.items():
        names = ", ".join(computers[:5]) + (f" and {len(computers) - 5} more" if len(computers) > 5 else "")  # noqa: PLR2004  five names fit a line
        rows.append([names, waits_for, message, remedy])
    print_table(["COMPUTERS", "WAIT FOR", "WHY", "WHAT HELPS"], rows)
