"""`sopwith sop drill`: practise a rollout under the real SOP on a fleet that is thrown away afterwards."""

import contextlib
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

from sopwith.v1 import practice_service_pb2 as pb
from sopwith.v1 import sop_service_pb2 as sop_pb
from sopwith_controller.cli.output import emit_document, enum_name, escape, tell
from sopwith_controller.cli.verbs import connected, state, verb
from sopwith_controller.desk.errors import DeskError


def add_drill_verb(group: click.Group) -> None:
    """Add the verb to `sopwith sop`."""

    @verb(group, "drill", example="sopwith sop drill SU-SOP-001")
    @click.argument("sop")
    @click.option("--auto", is_flag=True, help="Show every task by itself; it counts as shown, not as done.")
    @click.option("--script", type=click.Path(path_type=Path), help="Take what is typed from a file, one line each.")
    def drill(sop: str, auto: bool, script: Path | None) -> None:
        """Practise a guided rollout with faults on throw-away computers; it ends in a training record."""
        if not (auto or script or sys.stdin.isatty()):
            raise DeskError("a drill asks, and there is no terminal to ask on", remedy="add --script FILE or --auto")
        with connected() as connection:
            found = connection.call(connection.sops.GetSop, sop_pb.GetSopRequest(id=sop))
            if enum_name(found.sop, "state") != "EFFECTIVE":
                raise DeskError(
                    f"{found.sop.id} revision {found.sop.revision} is not effective",
                    remedy="a drill is made under the effective SOP",
                )
            results = _practise(found, connection.context.person, auto=auto, ask=_asker(script))
            request = pb.RecordDrillRequest(
                sop_id=found.sop.id,
                revision=found.sop.revision,
                policy_sha256=found.sop.policy_sha256,
                tasks=results,
                request_id=str(uuid.uuid4()),
            )
            reply = connection.call(connection.practice.RecordDrill, request)
        if state().output in ("json", "yaml"):
            emit_document(state().output, {"id": reply.id, "revision": found.sop.revision, "tasks": results})
            return
        own = sum(not how.startswith("shown") for how in results.values())
        tell("")
        tell(f"{own} of {len(results)} tasks by yourself; training record {reply.id}")


def _practise(found: Any, person: str, *, auto: bool, ask: Callable[[str], str | None]) -> dict[str, str]:
    from sopwith_controller.desk.drill import Scene, run
    from sopwith_controller.desk.drill_fleet import DrillFleet

    revision = f"{found.sop.id} revision {found.sop.revision}"
    tell(f"A fleet of its own is made for this drill under {revision}; nothing of yours is touched.")
    tell("Type sopwith commands as you would at work, a word where a question is asked; hint, show and quit help.")
    tell("It comes up now; that takes about half a minute.")
    for number in (signal.SIGHUP, signal.SIGTERM):  # a closed terminal, too, leaves nothing running
        signal.signal(number, _leave)
    with DrillFleet(found.sop.id, found.document, found.sop.policy_sha256, person) as fleet:
        fleet.open()
        return run(Scene(fleet), revision, ask, _say, auto=auto)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _say(text: str) -> None:
    for line in text.split("\n"):
        tell(escape(line))


def _asker(script: Path | None) -> Callable[[str], str | None]:
    """Return what gives the next line: a script's, or the terminal's."""
    if script is None:
        return _typed
    try:
        lines = iter(script.read_text(encoding="utf-8").splitlines())
    except OSError as error:
        raise DeskError(f"{script} cannot be read: {error.strerror}", remedy="name a file that is there") from error
    return lambda _: _next(lines)


def _next(lines: Iterator[str]) -> str | None:
    return next((line for line in lines if line.strip() and not line.startswith("#")), None)


def _typed(prompt: str) -> str | None:
    with contextlib.suppress(ImportError):  # the arrow keys bring back what was typed, where Python has readline
        import readline  # noqa: F401
    try:
        return input(prompt)
    except EOFError:
        return None
    except KeyboardInterrupt:
        tell("")
        tell("  quit ends the drill; nothing is recorded then")
        return ""
