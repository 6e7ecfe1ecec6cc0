"""What a person at the computer types: `defer`, `install-now`, `feedback`, and the words of `status` and `check`.

Decides how answers read and which exit code they have; the running agent decides what is granted. Times are shown by
the computer's own clock and zone, because whoever reads them sits in front of it; scripts read `-o json`.

Exit codes: 0 done, 1 nothing waits or the agent does not run, 4 the procedure or the rights of the caller refuse.
"""

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import AgentError, SettingsError
from sopwith_formats.errors import FormatError
from sopwith_formats.units import parse_duration, parse_time

DONE, FAILED, REFUSED = 0, 1, 4
_SYSTEM_STATE = Path("/var/lib/sopwith-agent")


class AnswerError(AgentError):
    """The agent said no; `code` is the exit code."""

    def __init__(self, message: str, *, remedy: str, code: int) -> None:
        self.code = code
        super().__init__(message, remedy=remedy)


def defer(options: argparse.Namespace) -> int:
    """Put off what waits for people's word."""
    answer = _ask(options.state, {"ask": "defer", "seconds": options.seconds})
    if options.output == "json":
        return _print_json(answer)
    left = answer["deferrals_left"]
    again = f"You can put it off {left} more time{'' if left == 1 else 's'}." if left else "It cannot be put off again."
    print(f"{_what(answer)} is put off until {say(answer['until_time'])}. {again}")
    return DONE


def install_now(options: argparse.Namespace) -> int:
    """Let what waits for people's word begin now."""
    answer = _ask(options.state, {"ask": "install-now"})
    if options.output == "json":
        return _print_json(answer)
    print(f"{_what(answer)} begins as soon as nothing else stands in its way.")
    return DONE


def feedback(options: argparse.Namespace) -> int:
    """Tell whoever runs the updates something."""
    text = " ".join(options.text)
    if not text.strip() or len(text) > limits.feedback_max_characters:
        raise FormatError(f"write 1 to {limits.feedback_max_characters} characters")
    answer = _ask(options.state, {"ask": "feedback", "text": text})
    if options.output == "json":
        return _print_json(answer)
    print("Thank you. It is kept, and reaches the people who run the updates when this computer is connected.")
    return DONE


def diagnose(options: argparse.Namespace) -> int:
    """Write what somebody who helps from afar needs to see."""
    from sopwith_agent.bootstrap import diagnose as write

    out: Path = options.out or Path.cwd() / f"sopwith-diagnosis-{datetime.now().astimezone():%Y%m%d-%H%M%S}.zip"
    held = write(options.state, options.root, out, options.log, connected=options.connected(options.state))
    if options.output == "json":
        return _print_json({"file": str(out), "holds": held})
    print(f"{out}: {', '.join(held)}\nSecrets and the names of people are blotted out; look through it all the same.")
    return DONE


def duration(text: str) -> int:
    """Return the seconds of a written duration; raise argparse's error for anything else."""
    try:
        seconds = int(parse_duration(text).total_seconds())
    except FormatError as error:
        raise argparse.ArgumentTypeError(f"{error.message} ({error.remedy})") from error
    if not 0 < seconds <= limits.defer_max_seconds:
        raise argparse.ArgumentTypeError("write a time of at least 1s and at most 366d")
    return seconds


def waiting_lines(people: list[dict[str, Any]]) -> list[str]:
    """Return what people at the computer were told, and what they can do about it."""
    lines = []
    for one in people:
        if one["state"] == "DEFERRED":
            lines.append(f"{_what(one)} is put off until {say(one['until_time'])}; sooner: sopwith-agent install-now")
            continue
        lines.append(f"{_what(one)} begins at {say(one['until_time'])}; at once: sopwith-agent install-now")
        if one["deferrals_left"]:
            latest = f", at the latest {say(one['deferrable_until_time'])}" if one["deferrable_until_time"] else ""
            lines.append(f"later: sopwith-agent defer --for 4h ({one['deferrals_left']} more{latest})")
    return lines


def status_of_running(state: Path) -> dict[str, Any] | None:
    """Return the status as the running agent tells everybody; None where none answers."""
    try:
        return _ask(state, {"ask": "status"})
    except SettingsError:
        return None


def say(time: str) -> str:
    """Return a time of day for people, with its day unless that is today."""
    local = parse_time(time).astimezone()
    today = datetime.now(local.tzinfo).date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%H:%M on %A %d %B}"


def _what(answer: dict[str, Any]) -> str:
    return f"The restart for {answer['what']}" if answer["purpose"] == "reboot" else f"The update {answer['what']}"


def _ask(state: Path, request: dict[str, Any]) -> dict[str, Any]:
    from sopwith_agent.adapters.people.door import ask, run_folder

    places = [state] if state.exists() else [state, _SYSTEM_STATE]
    for place in places:
        try:
            said = ask(run_folder(place), request)
        except (OSError, ValueError):
            continue
        if said["result"] == "done":
            answer: dict[str, Any] = said["answer"]
            return answer
        raise AnswerError(
            said["message"], remedy=said["remedy"], code=REFUSED if said["result"] == "refused" else FAILED
        )
    raise SettingsError(
        "No running agent answers on this computer.",
        remedy="whoever runs the updates can start it; while it does not run, nothing is installed",
    )


def _print_json(answer: dict[str, Any]) -> int:
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return DONE
