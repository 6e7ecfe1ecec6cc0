"""How the reasons of waiting computers look on a terminal: each alone where few wait, by reason where many do.

Rules: computers that wait for the same thing stand together with their number and the first names, whatever their own
name or time in the sentence; `--all` or `-o wide` shows each in plan order.
"""

import re
from collections.abc import Iterable, Sequence

from sopwith.v1 import rollout_pb2, rollout_service_pb2
from sopwith_controller.cli.output import enum_name, escape, print_table
from sopwith_controller.cli.plan_view import named

EACH_MAX = 20
"""Up to so many computers are shown one by one."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def print_explanations(reply: rollout_service_pb2.ExplainRolloutResponse, *, everything: bool = False) -> None:
    """Print what each waiting computer waits for."""
    state = enum_name(reply, "state")
    print(f"The rollout is {state}{': ' + escape(reply.state_reason) if reply.state_reason else ''}.")
    waiting = list(reply.explanations)
    if not waiting:
        print("No computer waits.")
        return
    print()
    if everything or len(waiting) <= EACH_MAX:
        _print_each(waiting)
    else:
        _print_groups(waiting)
        print(f"\n{len(waiting):,} computers. Each: --all, or -o json. One: --computer NAME.")


def _print_each(waiting: Sequence[rollout_pb2.Explanation]) -> None:
    print_table(
        ["COMPUTER", "WAVE", "STATE", "WAITS FOR", "WHY"],
        [
            [one.computer, one.wave, one.state, one.waits_for, one.message.removeprefix(f"wave {one.wave} ")]
            for one in waiting
        ],
        wrap=4,
    )
    _print_remedies((one.waits_for, one.remedy) for one in waiting)


def _print_groups(waiting: Sequence[rollout_pb2.Explanation]) -> None:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in waiting:
        key = (one.waits_for, _shared(one.message, one.computer), one.remedy.replace(one.computer, "COMPUTER"))
        groups.setdefault(key, []).append(one.computer)
    largest = sorted(groups.items(), key=lambda item: -len(item[1]))
    print_table(
        ["COMPUTERS", "WAIT FOR", "FOR EXAMPLE", "WHY"],
        [[f"{len(names):,}", waits_for, named(names), message] for (waits_for, message, _), names in largest],
        wrap=(2, 3),
    )
    _print_remedies((waits_for, remedy) for (waits_for, _, remedy), _ in largest)


def _shared(message: str, computer: str) -> str:
    """Return a sentence without what is one computer's own: its name, and the time of its last contact."""
    said = message.replace(f"{computer} ", "it ") if computer else message
    return re.sub(rf"since {_TIME.pattern}", "for some time", said) if "not heard of" in said else said


def _print_remedies(remedies: Iterable[tuple[str, str]]) -> None:
    helpful = list(dict.fromkeys(pair for pair in remedies if pair[1]))
    if helpful:
        print()
        print_table(["WHAT HELPS", ""], [[waits_for, remedy] for waits_for, remedy in helpful], wrap=1)
