"""`sopwith-agent`: what a person or a service manager types on a computer.

This module reads arguments, prints results, and turns errors into one line and an exit code; everything else is done
elsewhere. Exit codes: 0 done, 1 failed (`check`: not ready), 2 usage, 3 cancelled, 4 refused, 6 controller unreachable.
Heavy modules are loaded inside the command that needs them.
"""

import argparse
import json
import os
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sopwith_agent import people_commands
from sopwith_agent.config import FILE, TEMPLATE, default_state, read_settings
from sopwith_agent.domain.errors import AgentError, SettingsError
from sopwith_agent.late_imports import at_start
from sopwith_formats.errors import FormatError

DONE, FAILED, USAGE, CANCELLED, REFUSED, UNREACHABLE = 0, 1, 2, 3, 4, 6
_EXAMPLES = """\
examples:
  sopwith-agent enroll --join-file pc1.join --state /var/lib/sopwith-agent --name pc1
  sopwith-agent run --state /var/lib/sopwith-agent
  sopwith-agent status -o json
  sopwith-agent check
  sopwith-agent defer --for 4h
  sopwith-agent feedback "the update closed my editor"
"""


class _UsageError(Exception):
    """The command line itself is wrong."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    # What gRPC has to say of a connection is said by us; its own lines on stderr would come beside it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with at_start():
        options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk is explained
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the answer has had enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  nobody is shown a traceback
        return _explain(error)
    return code


def _enroll(options: argparse.Namespace) -> int:
    from sopwith_agent.adapters.enrolment import enrol
    from sopwith_formats.durable import durable_replace
    from sopwith_formats.join import parse_join

    join = parse_join(_join_text(options))
    state: Path = options.state
    name: str = options.name or _own_name()
    computer_id = enrol(join, state, name, lambda line: print(line, flush=True))
    if not (state / FILE).exists():
        durable_replace(state / FILE, TEMPLATE.encode(), 0o600)
    print(f"enrolled as {name} ({computer_id}); start the agent with: sopwith-agent run --state {state}")
    if not join.root_fingerprint:
        print("no source is designated yet: the owner runs `sopwith source init`", file=sys.stderr)
    return DONE


def _run(options: argparse.Namespace) -> int:
    with at_start():
        from sopwith_agent.adapters import trial_file
        from sopwith_agent.log_setup import set_up_logging

    settings = read_settings(options.state)
    set_up_logging(settings.log_level, settings.log_format)
    if trial_file.watched(options.state / "kept", options.root):
        from sopwith_agent.adapters.supervisor import watch_and_become

        return watch_and_become(options.state / "kept", _run_again(options))
    import asyncio
    import gc

    gc.disable()  # what is being loaded is no garbage: looking through it again and again only delays the first dial
    with at_start():
        from sopwith_agent.bootstrap import running_agent

    with running_agent(options.state, options.root, settings) as (session, trials):
        gc.freeze()  # nor will it ever be, while the agent runs
        gc.enable()
        asyncio.Runner().run(_until_stopped(session))
        # Threads that still wait for a slow disk or a package tool must not hold the process: the journal knows more.
        sys.stdout.flush()
        sys.stderr.flush()
        if trials.handing_over and trial_file.TRIED_VARIABLE not in os.environ:
            program = Path(os.environ[trial_file.HOME_VARIABLE]) / trial_file.PROGRAM
            os.execv(program, [str(program), *_run_again(options)])  # noqa: S606  becomes the watcher, in its place
        os._exit(DONE)


def _run_again(options: argparse.Namespace) -> list[str]:
    return ["run", "--state", str(options.state), "--root", str(options.root)]


async def _until_stopped(session: Any) -> None:
    import asyncio
    import signal

    from sopwith_agent.adapters.service_manager import notify, tell_watchdog

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    told: list[asyncio.Task[None]] = []

    def ready() -> None:
        notify("READY=1")
        told.append(asyncio.create_task(tell_watchdog()))

    await session.run(stop, ready)
    notify("STOPPING=1")


def _status(options: argparse.Namespace) -> int:
    document = _status_document(options.state)
    if options.output == "json":
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return DONE
    sop, assignment, connection = document["sop"], document["assignment"], document["connection"]
    installed = ", ".join(f"{name} {version}" for name, version in document["installed"].items())
    lines = {
        "computer": f"{document['name']} ({document['computer_id']})",
        "controller": f"{connection['address']} {_plain(connection['state'])}",
        "last error": connection["error"],
        "SOP": f"{sop['id']} revision {sop['revision']}, policy {sop['policy_sha256'][:12]}"
        if sop
        else "none in force",
        "installed": installed or "nothing by Sopwith",
        "update": _update_line(assignment) if assignment else "none",
        "waiting": "; ".join(people_commands.waiting_lines(document.get("people", []))),
        "log seen": document["checkpoint"].splitlines()[1] + " entries" if document["checkpoint"] else "nothing yet",
    }
    for name, text in lines.items():
        if text:
            print(f"{name:12}{text}")
    return DONE


def _status_document(state: Path) -> dict[str, Any]:
    """Return the status: from the files for who may read them, from the running agent for everybody else."""
    from sopwith_agent.bootstrap import status

    if not os.access(state / "identity", os.R_OK | os.X_OK):
        told = people_commands.status_of_running(state)
        if told is not None:
            return told
    return status(state)


def _check(options: argparse.Namespace) -> int:
    from sopwith_agent.bootstrap import check
    from sopwith_formats.units import format_time

    settings = read_settings(options.state)
    readiness = check(options.state, options.root, settings, connected=_connected(options.state))
    if options.output == "json":
        document = {
            "verdict": readiness.verdict,
            "reasons": [vars(reason) for reason in readiness.reasons],
            "checks": [vars(item) for item in readiness.checks],
            "measured_time": format_time(readiness.measured_time),
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        if readiness.ready:
            print("This computer can be updated now.\n")
        else:
            print("This computer cannot be updated now:")
            for reason in readiness.reasons:
                print(f"  - {reason.message} {reason.remedy}")
            print()
        for item in readiness.checks:
            print(f"{item.name:18}{_plain(item.result):15}{item.measured or '-'}  (required: {item.required or '-'})")
            if item.remedy:
                print(f"{'':18}{item.code}: {item.message} {item.remedy}")
        print(f"verdict: {readiness.verdict}")
    return DONE if readiness.ready else FAILED


def _check_config(options: argparse.Namespace) -> int:
    settings = read_settings(options.state)
    path = options.state / FILE
    print(f"{path} is in order" if path.exists() else f"{path} is not there; the defaults hold")
    for key, value in vars(settings).items():
        print(f"  {key} = {json.dumps(value, default=vars)}")
    return DONE


def _install_service(options: argparse.Namespace) -> int:
    from sopwith_agent.adapters import service_unit

    text = service_unit.unit(options.state, default_state())
    print(text if options.print else "\n".join(service_unit.install(text, options.root)))
    return DONE


def _connected(state: Path) -> bool:
    """Tell whether the running agent holds its stream; where none runs, whether the fleet port would take it."""
    import asyncio

    from sopwith_agent.bootstrap import link, status
    from sopwith_agent.domain.errors import UnavailableError

    found = status(state)
    if found["running"]:
        return bool(found["connected"])
    try:
        return asyncio.run(link(state).probe())
    except UnavailableError:
        return False


def _join_text(options: argparse.Namespace) -> str:
    named = [text for text in (options.join, options.join_file) if text]
    if len(named) > 1:
        raise _UsageError("give the join string once: JOIN, or --join-file")
    if options.join:
        return str(options.join)
    if options.join_file == "-":
        return sys.stdin.readline()
    if options.join_file:
        try:
            return Path(options.join_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{options.join_file} cannot be read: {error}.", remedy="name the file that holds the join string"
            ) from error
    if join := os.environ.get("SOPWITH_JOIN"):
        return join
    raise _UsageError("no join string: give JOIN, --join-file FILE or SOPWITH_JOIN; `sopwith token create` prints one")


def _own_name() -> str:
    plain = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().partition(".")[0].lower()).strip("-")
    return plain[:63] or "computer"


def _update_line(assignment: dict[str, Any]) -> str:
    why = f": {assignment['detail']}" if assignment["detail"] else ""
    return f"{assignment['release']} {_plain(assignment['state'])}{why}"


def _plain(word: str) -> str:
    return word.lower().replace("_", " ")


def _explain(error: BaseException) -> int:
    """Say in one line what went wrong and how to mend it; return the exit code."""
    from sopwith_certs import errors as certs

    message, remedy = getattr(error, "message", str(error)), getattr(error, "remedy", "")
    if isinstance(error, FormatError):
        message = ": ".join(part for part in (error.where, error.message) if part)
    elif isinstance(error, people_commands.AnswerError):
        return _complain(message, remedy, error.code)
    elif isinstance(error, KeyboardInterrupt):
        message = "cancelled"
    elif isinstance(error, OSError):
        message, remedy = f"the system says: {error}", "check the path, its rights and its disk"
    elif not isinstance(error, (_UsageError, AgentError, certs.CertsError)):
        message, remedy = f"an unexpected {type(error).__name__}: {error}", "this is a mistake in Sopwith; report it"
    kinds: list[tuple[type[BaseException], int]] = [
        (_UsageError, USAGE),
        (FormatError, USAGE),
        (KeyboardInterrupt, CANCELLED),
        (certs.UnavailableError, UNREACHABLE),
        (certs.CertsError, REFUSED),
    ]
    return _complain(message, remedy, next((code for kind, code in kinds if isinstance(error, kind)), FAILED))


def _complain(message: str, remedy: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"sopwith-agent: {line}" + (f" ({remedy})" if remedy else ""), file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sopwith-agent",
        description="Updates this computer under the fleet's Standard Operating Procedure.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    enroll = _command(commands, "enroll", _enroll, "join a fleet", "sopwith-agent enroll --join-file - --name pc1")
    enroll.add_argument("join", nargs="?", metavar="JOIN", help="join string; the process list shows it")
    enroll.add_argument("--join-file", metavar="FILE", help="file that holds the join string; - reads it from stdin")
    enroll.add_argument("--name", help="name for people; this computer's own by default")
    run = _command(commands, "run", _run, "be the agent, until SIGTERM", "sopwith-agent run --state a1 --root r1")
    status = _command(commands, "status", _status, "tell what the agent knows", "sopwith-agent status -o json")
    check = _command(commands, "check", _check, "measure readiness and connectivity now", "sopwith-agent check -o json")
    defer = _command(
        commands,
        "defer",
        people_commands.defer,
        "put an update off that waits for your word",
        "sopwith-agent defer --for 4h",
    )
    defer.add_argument(
        "--for",
        dest="seconds",
        type=people_commands.duration,
        metavar="D",
        help="how long, such as 30m, 4h, 2d (default: 4h)",
    )
    now = _command(
        commands,
        "install-now",
        people_commands.install_now,
        "let an update begin that waits for your word",
        "sopwith-agent install-now",
    )
    feedback = _command(
        commands,
        "feedback",
        people_commands.feedback,
        "tell the people who run the updates something",
        'sopwith-agent feedback "the update closed my editor"',
    )
    feedback.add_argument(
        "text", nargs="+", metavar="TEXT", help="your words, at most 2000 characters; no name is sent"
    )
    diagnose = _command(
        commands,
        "diagnose",
        people_commands.diagnose,
        "write what somebody who helps from afar needs to see",
        "sopwith-agent diagnose --out pc1.zip",
    )
    diagnose.add_argument("--out", type=_absolute, metavar="FILE", help="the bundle (default: named by the time)")
    diagnose.add_argument("--log", type=_absolute, metavar="FILE", help="the agent's log (default: the journal's)")
    diagnose.set_defaults(connected=_connected)
    for command in (run, check, diagnose):
        command.add_argument(
            "--root", type=_absolute, default=Path("/"), metavar="DIR", help="install below this folder (default: /)"
        )
    for command in (status, check, defer, now, feedback, diagnose):
        command.add_argument("-o", "--output", choices=("text", "json"), default="text", help="form of the output")
    _command(
        commands, "check-config", _check_config, "read agent.toml and say what holds", "sopwith-agent check-config"
    )
    service = _command(
        commands, "install-service", _install_service, "run under systemd from now on", "sopwith-agent install-service"
    )
    service.add_argument("--print", action="store_true", help="print the unit and change nothing")
    service.add_argument(
        "--root", type=_absolute, default=Path("/"), metavar="DIR", help="write the unit below this folder (default: /)"
    )
    commands.add_parser("source", help="check a signed source by hand; see `sopwith-agent source --help`")
    return parser


def _command(commands: Any, name: str, run: Any, text: str, example: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=run)
    command.add_argument(
        "--state", type=_absolute, default=default_state(), metavar="DIR", help="state folder (default: %(default)s)"
    )
    return command


def _absolute(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty path names no folder")
    return Path(text).absolute()
