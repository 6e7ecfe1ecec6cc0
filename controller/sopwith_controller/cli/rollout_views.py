"""How rollouts look on a terminal; people read computer, release, rollout, wave, SOP."""

from collections.abc import Sequence
from typing import Any

from sopwith.v1 import rollout_pb2
from sopwith_controller.cli.output import Column, enum_name, escape, print_facts, print_table, terminal_width, time_text
from sopwith_controller.cli.plan_view import soak_text

OUTCOMES = (
    "succeeded", "failed", "rolled_back", "skipped", "not_ready", "not_started", "unreachable", "cancelled",
)  # fmt: skip
_RESULT_WIDTH = 24
"""What a list leaves at least to how a rollout's computers stand."""
_ENDED_STATES = ("COMPLETED", "ABORTED")
_NEEDS_PERSON_STATES = ("PAUSED", "SUSPENDED")


def counts_text(counts: rollout_pb2.Counts) -> str:
    """Return the counts that are not zero, for example "4 succeeded, 1 rolled back"."""
    parts = [
        f"{getattr(counts, name):,} {name.replace('_', ' ')}"
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


TRACE_COLUMNS = (
    Column("CLAUSE", lambda line: line.clause),
    Column("RESULT", lambda line: line.result),
    Column("WHAT", lambda line: line.what, flows=True),
    Column("SHOWN BY", lambda line: line.evidence, flows=True),
)
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


def print_rollouts(rollouts: Sequence[rollout_pb2.Rollout]) -> None:
    """Print rollouts, one below the other, within the terminal's width; long names lose their middle."""
    rows = [[column.text(rollout) for column in COLUMNS if not column.wide] for rollout in rollouts]
    titles = [column.title for column in COLUMNS if not column.wide]
    widths = [max(len(title), *(len(row[i]) for row in rows)) for i, title in enumerate(titles)]
    room = terminal_width() - widths[0] - widths[2] - _RESULT_WIDTH - 2 * (len(titles) - 1)
    name = max(room // 2, room - widths[3])
    release = max(room // 2, room - widths[1])
    for row in rows:
        row[1], row[3] = _without_middle(row[1], name), _without_middle(row[3], release)
    print_table(titles, rows, wrap=4)


def _without_middle(text: str, width: int) -> str:
    """Return a text that fits; beginning and end tell apart what is named alike."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[-end:]}"


def print_rollout(rollout: rollout_pb2.Rollout) -> None:
    """Print one rollout."""
    print_facts(
        [
            ("Rollout", f"{rollout.name} ({rollout.id})"),
            ("State", enum_name(rollout, "state")),
            ("Because", rollout.state_reason),
            ("Computers", counts_text(rollout.counts) if rollout.HasField("started_time") else ""),
            ("Stalled", ", ".join(rollout.stalled)),
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
            ("Review due", "" if rollout.reviewed_by else time_text(rollout, "review_due_time")),
            ("Reviewed", f"{rollout.reviewed_by}: {rollout.review_note}" if rollout.reviewed_by else ""),
            ("Started", time_text(rollout, "started_time")),
            ("Ended", time_text(rollout, "ended_time")),
            ("Deadline", time_text(rollout, "deadline_time")),
            ("Plan digest", rollout.plan_sha256),
        ]
    )
    print()
    print_waves(rollout.waves)
    print_deviations(rollout.deviations)
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
        ["WAVE", "STATE", "COMPUTERS", "WATCHED FOR", "RESULT"],
        [[w.name, w.state, f"{w.size:,}", soak_text(w.soak_seconds), counts_text(w.counts)] for w in waves],
        wrap=4,
    )


def print_deviations(deviations: Any) -> None:
    """Print deviations, one a line."""
    for one in deviations:
        until, by = time_text(one, "expires_time"), f", approved by {one.approver}" if one.approver else ""
        state = enum_name(one, "state").lower()
        print(f"deviation {escape(one.id)} from {escape(one.gate)} is {state}, until {until}{by}: {escape(one.reason)}")
