"""What somebody who helps from afar needs to see of an agent, in one file that holds no secret and names nobody.

Decides what the bundle holds and what is blotted out: secrets by their look and name (`sopwith_formats.redaction`), the
names of people who are logged in; keys are never read. Rules: everything is read as it lies, beside an agent that runs,
and nothing is changed; a part that cannot be read is named instead; the whole stays small.
"""

import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sopwith_agent.adapters.people.sessions import login_sessions
from sopwith_agent.adapters.processes import run_program
from sopwith_agent.domain.errors import AgentError
from sopwith_agent.domain.record import read_record
from sopwith_formats.durable import durable_replace
from sopwith_formats.errors import FormatError
from sopwith_formats.redaction import redacted, redacted_text
from sopwith_formats.units import format_time

_LOG_MAX_BYTES = 2**20
_STEPS_MAX = 40
_JOURNALCTL = ("journalctl", "--unit", "sopwith-agent", "--lines", "2000", "--no-pager", "--output", "short-iso")
_LIBRARIES = ("sopwith", "grpcio", "protobuf", "cryptography", "tuf", "psutil", "jeepney", "structlog")
_SHORTEST_NAME = 3
_README = """\
What `sopwith-agent diagnose` saw on this computer, for whoever helps with its updates.

status.json   what the agent knows: connection, SOP, installed releases, update at hand
check.json    readiness and connectivity, measured when this was written
journal.json  what the agent did for each update that it remembers, step by step
versions.json operating system, agent and libraries
agent.toml    the agent's settings on this computer
log.txt       the newest lines of the agent's log

Passwords, tokens, private keys and the names of people who were logged in are blotted out. Keys are not in here. Look
through it before you pass it on.
"""


def write_bundle(out: Path, root: Path, parts: Mapping[str, Callable[[], Any]]) -> list[str]:
    """Write the bundle; return the names of what is in it. A part is text, or what JSON can hold."""
    import zipfile  # the agent itself writes none

    names = _people(root)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("README.txt", _README)
        for name, make in parts.items():
            bundle.writestr(name, _without(names, _text(make)))
        written = bundle.namelist()
    durable_replace(out, data.getvalue(), 0o600)
    return written


def journal_summary(folder: Path) -> list[dict[str, Any]]:
    """Return what a helper needs of the journal: what was done, not the signed bytes; broken records by their name."""
    return [_summary(path) for path in sorted(folder.glob("*.json"))]


def _summary(path: Path) -> dict[str, Any]:
    try:
        record = read_record(path.read_bytes())
    except (FormatError, OSError) as error:
        return {"file": path.name, "unreadable": str(error)}
    return {
        "assignment": record.warrant.assignment_id,
        "rollout": record.warrant.rollout_id,
        "release": f"{record.warrant.release}@{record.warrant.version}",
        "state": record.state.value,
        "outcome": record.outcome,
        "symptom": record.symptom,
        "detail": record.detail,
        "attempts": record.attempts,
        "commits": record.commits,
        "started_time": format_time(record.started_time),
        "entered_time": format_time(record.entered_time),
        "steps": [step.as_text() for step in record.steps[-_STEPS_MAX:]],
    }


def versions() -> dict[str, str]:
    """Return the versions of the agent and of what it is built on."""
    from importlib import metadata  # an agent at rest makes no bundle, and need not carry it

    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def log_tail(file: Path | None) -> str:
    """Return the newest lines of a log file, or of the service's journal."""
    if file is None:
        finished = run_program(_JOURNALCTL, timeout_seconds=20, output_max=_LOG_MAX_BYTES, raw_output=True)
        return finished.output if finished.ok else f"the journal could not be read: {finished.line}"
    with file.open("rb") as log:
        size = log.seek(0, io.SEEK_END)
        log.seek(max(0, size - _LOG_MAX_BYTES))
        return log.read().decode(errors="replace")


def _text(make: Callable[[], Any]) -> str:
    try:
        made = make()
    except (OSError, AgentError, ValueError) as error:
        return f"this could not be read: {error}\n"
    if isinstance(made, str):
        return "\n".join(redacted_text(line) for line in made.splitlines()) + "\n"
    safe = redacted({"it": made})["it"]
    return json.dumps(safe, indent=2, ensure_ascii=False, default=str) + "\n"


def _people(root: Path) -> list[str]:
    """Return the names of people who are logged in, long ones first; names of the system's own users tell nothing."""
    try:
        found = {session.user for session in login_sessions(root) or () if session.uid != 0}
    except OSError:
        return []
    return sorted((name for name in found if len(name) >= _SHORTEST_NAME), key=len, reverse=True)


def _without(names: list[str], text: str) -> str:
    for name in names:
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "[person]", text)
    return text
