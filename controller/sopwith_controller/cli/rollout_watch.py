"""Watching a rollout: live on a terminal, one JSON line per change for programs, silent until the end with --wait."""

import sys
import time
from typing import Any

import click

from sopwith.v1 import rollout_pb2, rollout_service_pb2
from sopwith_controller.cli.errors import CANCELLED, NEEDS_PERSON
from sopwith_controller.cli.output import emit_document, enum_name, escape, tell, to_document
from sopwith_controller.cli.rollout_views import all_well, counts_text, ended, needs_person, print_rollout


def show_status(connection: Any, rollout_id: str, output: str, *, wait: bool, watch: bool, timeout: float) -> None:
    """Show where a rollout stands; follow it when asked or on a terminal; leave with the contract's exit code."""
    live = watch or (sys.stdout.isatty() and output == "table")
    if not (wait or live):
        reply = connection.call(connection.rollouts.GetRollout, rollout_service_pb2.GetRolloutRequest(id=rollout_id))
        _show(reply.rollout, output)
        _leave(reply.rollout)
        return
    rollout = follow(connection, rollout_id, output if watch else "", live=live and output == "table", timeout=timeout)
    if not watch or output == "table":
        _show(rollout, output)
    if not (ended(rollout) or needs_person(rollout)):
        tell(f"sopwith: {rollout.id} was still {enum_name(rollout, 'state')} when the time was up")
        raise click.exceptions.Exit(CANCELLED)
    _leave(rollout)


def follow(connection: Any, rollout_id: str, stream_as: str, *, live: bool, timeout: float) -> rollout_pb2.Rollout:
    """Follow until the rollout has ended, needs a person, or the time is up; return its last form."""
    until = time.monotonic() + timeout
    rollout = rollout_pb2.Rollout()
    panel = _Panel() if live and sys.stdout.isatty() else None
    request = rollout_service_pb2.WatchRolloutRequest(id=rollout_id)
    for update in connection.stream(connection.rollouts.WatchRollout, request):
        rollout = update.rollout
        if stream_as == "json":
            import json

            print(json.dumps(to_document(update), ensure_ascii=False), flush=True)
        if panel:
            panel.update(rollout, update.assignments)
        if ended(rollout) or needs_person(rollout) or time.monotonic() > until:
            break
    if panel:
        panel.close()
    return rollout


def _show(rollout: rollout_pb2.Rollout, output: str) -> None:
    if output in ("json", "yaml"):
        emit_document(output, to_document(rollout))
    elif output == "name":
        print(rollout.id)
    else:
        print_rollout(rollout)


def _leave(rollout: rollout_pb2.Rollout) -> None:
    """Exit 5 when it ended with failures or needs a person; one that still runs is no failure."""
    if needs_person(rollout) or (ended(rollout) and not all_well(rollout)):
        raise click.exceptions.Exit(NEEDS_PERSON)


class _Panel:
    """The live view: a line for the rollout, a bar for each wave, the computers at work."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._active: dict[str, rollout_pb2.Assignment] = {}
        self._live = Live(console=Console(), transient=True, refresh_per_second=8)
        self._live.start()

    def update(self, rollout: rollout_pb2.Rollout, assignments: Any) -> None:
        """Draw the newest state."""
        from rich.table import Table

        for assignment in assignments:
            self._active[assignment.computer] = assignment
        table = Table.grid(padding=(0, 2))
        table.add_row("rollout", escape(rollout.name), enum_name(rollout, "state"), escape(rollout.state_reason))
        for wave in rollout.waves:
            done = wave.size - wave.counts.pending - wave.counts.active
            filled = round(20 * done / wave.size) if wave.size else 20
            table.add_row(
                wave.name, "█" * filled + "░" * (20 - filled), f"{done}/{wave.size}", counts_text(wave.counts)
            )
        busy = [a for a in self._active.values() if a.state not in ("PENDING", "ENDED")]
        for assignment in busy[:15]:
            table.add_row("", escape(assignment.computer), assignment.state, f"{assignment.percent} %")
        self._live.update(table)

    def close(self) -> None:
        """Take the view away; the caller prints the result."""
        self._live.stop()
