"""The drill: a guided rollout with injected faults, and how each task was answered.

Decides the tasks and when one is done, by asking the drill's own controller and not by the words that were typed: any
real command may lead there. The person types `sopwith ...` commands; a task that asks a question is answered with the
word. `hint` tells what to do, `show` does it, and is recorded so; `quit` ends the drill without a record.
"""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sopwith_controller.desk.drill_fleet import CUT_OFF, NOT_READY, DrillFleet
from sopwith_controller.desk.errors import DeskError

DONE, HINTED, SHOWN = "done", "done after a hint", "shown"
TRIES_MAX = 40
_OF_ITS_OWN_FLEET = "EVALUATION: "
"""How the line begins that every command ends with there; it would be taken for a word about the real fleet."""
Ask = Callable[[str], str | None]
"""Returns the next line of the person or the script; None: there is none."""
Say = Callable[[str], None]


class GivenUpError(DeskError):
    """The drill ended before its end; nothing is recorded."""


@dataclass
class Scene:
    """What the tasks know of each other."""

    fleet: DrillFleet
    answer: str = ""
    names: dict[str, str] = field(default_factory=dict)
    """Ids that came up, by what they are: rollout, incident."""

    def rollout(self, name: str) -> str:
        """Return the state of a rollout by its name; empty while it is not there."""
        found, state = self.fleet.rollout(name)
        if found:
            self.names["rollout"] = found
        return state

    def incidents_wait(self) -> bool:
        """Tell whether an incident waits for somebody."""
        found = self.fleet.open_incidents()
        if found:
            self.names["incident"] = found[0]
        return bool(found)


@dataclass(frozen=True)
class Task:
    """One thing to do."""

    name: str
    tells: str
    hint: str
    solution: tuple[str, ...]
    """Commands, or the word that answers; {rollout} and {incident} stand for ids."""
    is_done: Callable[[Scene], bool]
    begin: Callable[[Scene], None] = lambda _: None
    asks: bool = False


def _answered(*words: str) -> Callable[[Scene], bool]:
    return lambda scene: scene.answer.strip().casefold() in {word.casefold() for word in words}


def _state(name: str, *states: str) -> Callable[[Scene], bool]:
    return lambda scene: scene.rollout(name) in states


def tasks(revision: str) -> tuple[Task, ...]:
    """Return the drill's tasks; `revision` names the SOP and its real revision."""
    return (
        Task(
            "say that you know the procedure",
            f"You work by {revision}. Acknowledge it before you start anything.",
            "sopwith sop acknowledge SOP --yes",
            ("sopwith sop acknowledge {sop} --yes",),
            lambda scene: bool(scene.fleet.sop().acknowledged_by),
        ),
        Task(
            "find why a computer is not ready",
            f"{NOT_READY} is not ready. Find out why, and answer with the reason's code.",
            f"sopwith computer readiness {NOT_READY}; then type the code",
            ("sopwith computer show " + NOT_READY, "PENDING_REBOOT"),
            _answered("PENDING_REBOOT"),
            asks=True,
        ),
        Task(
            "prepare the rollout",
            f"{NOT_READY} is being restarted meanwhile. Create the rollout in bad.yaml and submit it. Read its plan.",
            "sopwith rollout create -f bad.yaml, then sopwith rollout submit ID",
            ("sopwith rollout create -f bad.yaml", "sopwith rollout submit {rollout}"),
            _state("lamp-2", "APPROVED", "RUNNING", "SUSPENDED"),
            begin=lambda scene: scene.fleet.restart(NOT_READY),
        ),
        Task(
            "start it and watch",
            "Start it, and watch until it has ended or needs you.",
            'sopwith rollout start ID --yes --reason "drill", then sopwith rollout status ID --wait --timeout 60s',
            (
                'sopwith rollout start {rollout} --yes --reason "drill"',
                "sopwith rollout status {rollout} --wait --timeout 60s",
            ),
            _state("lamp-2", "SUSPENDED", "COMPLETED"),
        ),
        Task(
            "name the symptom",
            "A bad update met its canary, and the rollout stands. Answer with the symptom of that computer.",
            "sopwith rollout report ID, or sopwith incident list; then type the symptom",
            ("sopwith rollout report {rollout}", "HEALTH_CHECK_FAILED"),
            _answered("HEALTH_CHECK_FAILED"),
            asks=True,
        ),
        Task(
            "take the incidents",
            "The IT manager waits for somebody to take what was raised. Take every open incident.",
            "sopwith incident list, then sopwith incident acknowledge ID for each",
            ("sopwith incident list", "sopwith incident acknowledge {incident}"),
            lambda scene: not scene.incidents_wait(),
        ),
        Task(
            "withdraw the bad release",
            "Let nobody install lamp@2 any more.",
            'sopwith release withdraw lamp@2 --yes --reason "stays dark"',
            ('sopwith release withdraw lamp@2 --yes --reason "stays dark"',),
            lambda scene: scene.fleet.is_withdrawn("2"),
        ),
        Task(
            "start the mended release",
            "lamp@3 is mended (mended.yaml). Create, submit and start its rollout. Somebody just pulled a cable.",
            "sopwith rollout create -f mended.yaml, submit ID, start ID --yes --reason drill",
            (
                "sopwith rollout create -f mended.yaml",
                "sopwith rollout submit {rollout}",
                'sopwith rollout start {rollout} --yes --reason "drill"',
            ),
            _state("lamp-3", "RUNNING", "COMPLETED"),
            begin=lambda scene: scene.fleet.cut_off(CUT_OFF),
        ),
        Task(
            "find who is missing",
            "One computer has lost contact. Answer with its name.",
            "sopwith computer list, or sopwith rollout explain ID; then type the name",
            ("sopwith computer list", CUT_OFF),
            _answered(CUT_OFF),
            asks=True,
        ),
        Task(
            "see it through",
            "The cable is in again. Watch the rollout until every computer has ended.",
            "sopwith rollout status ID --wait --timeout 90s",
            ("sopwith rollout status {rollout} --wait --timeout 90s",),
            _state("lamp-3", "COMPLETED"),
            begin=lambda scene: scene.fleet.connect(CUT_OFF),
        ),
        Task(
            "prove the record",
            "Show that the update log is whole, and answer with the word that it says of itself.",
            "sopwith log verify; then type whole",
            ("sopwith log verify", "whole"),
            _answered("whole", "consistent", "verified", "ok"),
            asks=True,
        ),
    )


def run(scene: Scene, revision: str, ask: Ask, say: Say, *, auto: bool) -> dict[str, str]:
    """Go through the tasks; return each with how it was answered; raise GivenUpError where the person leaves."""
    results: dict[str, str] = {}
    every = tasks(revision)
    for number, task in enumerate(every, 1):
        scene.answer = ""
        task.begin(scene)
        say(f"\n{number} of {len(every)}: {task.tells}")
        results[task.name] = _show(scene, task, say) if auto else _go_through(scene, task, ask, say)
        say(f"  {results[task.name]}")
    return results


def _go_through(scene: Scene, task: Task, ask: Ask, say: Say) -> str:
    how = DONE
    for _ in range(TRIES_MAX):
        line = ask("drill> ")
        word = (line or "").strip()
        if line is None or word == "quit":
            raise GivenUpError(f"the drill ended at: {task.name}", remedy="nothing was recorded; run it again")
        if word == "hint":
            say(f"  {task.hint}")
            how = HINTED
        elif word == "show":
            return _show(scene, task, say)
        elif word:
            _take(scene, task, word, say)
            if task.is_done(scene):
                return how
    raise GivenUpError(f"no way on was found at: {task.name}", remedy="nothing was recorded; `hint` and `show` help")


def _take(scene: Scene, task: Task, word: str, say: Say) -> None:
    """Run what was typed, or keep it as the answer."""
    if not word.startswith("sopwith"):
        scene.answer = word
        if not task.asks:
            say("  type a command that begins with sopwith, or hint, show, quit")
        elif not task.is_done(scene):
            say("  no; look again")
        return
    try:
        parts = shlex.split(word)[1:]
    except ValueError as error:
        say(f"  this cannot be read: {error}")
        return
    if any(part.split("=")[0] == "--context" for part in parts) or parts[:2] in (["sop", "drill"], ["demo"]):
        say("  a drill stays on its own fleet: leave --context, drill and demo out")
        return
    try:
        done = scene.fleet.typed(*parts)
    except KeyboardInterrupt:
        say("  interrupted; the drill goes on, quit ends it")
        return
    for line in (done.out + done.err).splitlines():
        if not line.startswith(_OF_ITS_OWN_FLEET):
            say(f"  {line}")


def _show(scene: Scene, task: Task, say: Say) -> str:
    for line in _until_done(scene, task):
        say(f"  $ {line}" if line.startswith("sopwith") else f"  > {line}")
        _take(scene, task, line, say)
    if not task.is_done(scene):
        raise DeskError(f"the drill could not show how to {task.name}", remedy="run sopwith sop drill again")
    return SHOWN


def _until_done(scene: Scene, task: Task) -> Iterator[str]:
    """Give the solution's lines with the ids filled in; the last one again while more of its kind are left."""
    for line in task.solution:
        task.is_done(scene)
        yield line.format(sop=scene.fleet.sop_id, **{"rollout": "", "incident": "", **scene.names})
    for _ in range(5):
        if task.asks or task.is_done(scene):
            return
        yield task.solution[-1].format(sop=scene.fleet.sop_id, **{"rollout": "", "incident": "", **scene.names})
