"""A whole fleet of real processes for system tests: controller, agents, mail server, each started as a person would.

Built on the stage of the demo, which starts programs, ends them by their own process id, and keeps received mail. Two
things are cheaper than life: what is only read, often again and again, is read by the command line's own code in this
process, over the same mTLS; and a governed fleet may be copied from another one that was stopped.
"""

import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sopwith_controller.cli.errors import run
from sopwith_controller.cli.nouns import build
from sopwith_controller.cli.program import NOUNS
from sopwith_controller.desk.demo_stage import Mailbox, Result, Stage

DYING_AGENT = Path(__file__).with_name("agent_that_dies.py")
OWNER, MANAGER, AUTHORITY, OPERATOR = "c/owner/context.toml", "manager.toml", "authority.toml", "operator.toml"
_READS = {
    *(("computer", verb) for verb in ("list", "show")),
    *(("rollout", verb) for verb in ("list", "show", "explain")),
    *(("log", "list"), ("incident", "list"), ("freeze", "list"), ("release", "list")),
}
_READING = threading.Lock()
"""One thread at a time reads in this process, because where it prints to is one setting of the whole process."""
ROLES = {"manager": ("it_manager",), "authority": ("authority",), "operator": ("operator", "release_manager")}


class Fleet:
    """One controller with people and computers, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stage = Stage(folder)
        self.mailbox = self.stage.mailbox = Mailbox()
        self.controller: subprocess.Popen[bytes] | None = None
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        self.reads_here = True
        """What is only read is read by this process; False where it is a fork of one that may have spoken gRPC."""

    def sopwith(self, *arguments: str, who: str = OWNER, expect: tuple[int, ...] = (0,), timeout: float = 90) -> Result:
        """Run one command as a person."""
        return self.stage.run("sopwith", *arguments, context=who, expect=expect, timeout=timeout)

    def json(self, *arguments: str, who: str = OWNER, expect: tuple[int, ...] = (0,)) -> Any:
        """Run one command as a person and return the JSON that it prints."""
        if self.reads_here and arguments[:2] in _READS and expect == (0,):
            return self._read(*arguments, who=who)
        return self.sopwith(*arguments, "-o", "json", who=who, expect=expect).document()

    def _read(self, *arguments: str, who: str) -> Any:
        """Return what a reading command prints, without a process of its own."""
        words = ("--context", str(self.folder / who), *arguments, "-o", "json")
        out, messages = io.StringIO(), io.StringIO()
        with _READING, contextlib.redirect_stdout(out), contextlib.redirect_stderr(messages):
            code = run(lambda: build(NOUNS).main(words, prog_name="sopwith", standalone_mode=False))
        assert code == 0, f"sopwith {' '.join(arguments)} ended with {code}: {messages.getvalue()}"
        return json.loads(out.getvalue())

    def copy_of(self, template: Path, mail_port: int) -> None:
        """Take over the files of a stopped fleet whose mail went to this port."""
        shutil.copytree(template, self.folder, dirs_exist_ok=True, symlinks=True)
        for path in (*self.folder.glob("*.toml"), *self.folder.glob("c/owner/*.toml"), self.folder / "c/sopwith.toml"):
            text = path.read_text(encoding="utf-8").replace(str(template), str(self.folder))
            path.write_text(text.replace(f":{mail_port}", f":{self.mailbox.port}"), encoding="utf-8")

    def init(self, *more: str) -> Any:
        """Make the controller's data folder."""
        done = self.stage.run(
            "sopwith-controller", "init", "--data", "c", "--organization", "Example", "--owner", "owner",
            "--it-manager", "manager", "--it-manager-email", "manager@localhost", "--authority", "authority",
            "--profile", "standard", "--listen", "127.0.0.1", "--fleet-port", "0", "--web-port", "0",
            "--smtp", f"smtp://127.0.0.1:{self.mailbox.port}", *more, "-o", "json",
        )  # fmt: skip
        return done.document()

    def serve(self) -> None:
        """Start the controller and wait for its answer."""
        log = self.folder / "controller.log"
        before = log.stat().st_size if log.exists() else 0
        self.controller = self.stage.start("sopwith-controller", "serve", "--data", "c", log=log.name)
        self.until("the controller's start", lambda: b"controller_started" in log.read_bytes()[before:])

    def kill_controller(self) -> None:
        """Pull the controller's plug."""
        assert self.controller is not None
        self.controller.send_signal(signal.SIGKILL)
        self.controller.wait()
        self.stage.processes.remove(self.controller)

    def invite(self, name: str) -> None:
        """Invite a person and accept on the person's machine."""
        flags = [flag for role in ROLES[name] for flag in ("--role", role)]
        join = self.json("person", "invite", name, *flags)["join"]
        self.stage.run("sopwith", "person", "accept", join, "--context", f"{name}.toml")

    def sign_sop(self) -> None:
        """Bring SU-SOP-001 into effect."""
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(self.invite, ROLES))
        self.sopwith("sop", "submit", "SU-SOP-001")
        self.sign_revision()

    def sign_revision(self) -> None:
        """Let the three sign the revision in review, and the operator acknowledge it."""
        for who in (OWNER, MANAGER, AUTHORITY):
            self.sopwith("sop", "sign", "SU-SOP-001", "--yes", who=who)
        self.sopwith("sop", "acknowledge", "SU-SOP-001", "--yes", who=OPERATOR)

    def designate_source(self) -> None:
        """Make the source's keys and designate it."""
        self.sopwith("source", "init", "--keys", "keys", "--backup-keys", "backup")

    def publish(self, folder: Path) -> Any:
        """Publish a release folder as the release manager."""
        return self.json("release", "publish", str(folder), "--keys", "keys", who=OPERATOR)

    def enroll(self, *names: str, labels: tuple[str, ...] = ()) -> None:
        """Enrol computers."""
        flags = [flag for label in labels for flag in ("--label", label)]
        join = self.json("token", "create", "--uses", str(len(names)), *flags)["join"]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: self._enroll(join, name), names))

    def _enroll(self, join: str, name: str) -> None:
        self.stage.run("sopwith-agent", "enroll", join, "--state", name, "--name", name)

    def run_agent(self, name: str, *, dies_entering: str = "") -> subprocess.Popen[bytes]:
        """Start one computer's agent; with a state it is killed as soon as its journal says so."""
        program = ("sopwith-agent",) if not dies_entering else (sys.executable, str(DYING_AGENT), dies_entering)
        process = self.stage.start(*program, "run", "--state", name, "--root", f"{name}-root", log=f"{name}.log")
        self.agents[name] = process
        return process

    def await_death(self, name: str) -> None:
        """Wait until an agent was killed."""
        process = self.agents.pop(name)
        self.stage.processes.remove(process)
        assert process.wait(60) == -signal.SIGKILL

    def commits(self, name: str, rollout: str) -> list[int]:
        """Return how often the commit point was announced per assignment, read from the computer's journal."""
        records = [json.loads(path.read_text()) for path in (self.folder / name / "journal").rglob("*.json")]
        mine = [record for record in records if f'"rollout_id":"{rollout}"' in record.get("warrant_payload", "")]
        return [record["commits"] for record in mine]

    def kill_agent(self, name: str) -> None:
        """Pull one agent's plug."""
        process = self.agents.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.stage.processes.remove(process)

    def computers(self, *names: str, labels: tuple[str, ...] = ()) -> None:
        """Enrol and start computers and wait until all are connected and ready."""
        self.enroll(*names, labels=labels)
        for name in names:
            self.run_agent(name)
        self.until("all computers ready", lambda: set(names) <= self.ready(), seconds=60)

    def ready(self) -> set[str]:
        """Return the names of the computers that are connected and ready."""
        computers = self.json("computer", "list")
        return {c["name"] for c in computers if c["connected"] and (c["readiness"] or {}).get("verdict") == "READY"}

    def all_ready(self, count: int) -> bool:
        """Tell whether so many computers are connected and ready."""
        return len(self.ready()) >= count

    def create(self, text: str) -> str:
        """Write a rollout file and create the rollout; return its id."""
        path = self.folder / f"rollout-{time.monotonic_ns()}.yaml"
        path.write_text(text, encoding="utf-8")
        return str(self.json("rollout", "create", "-f", str(path), who=OPERATOR)["id"])

    def start(self, text: str) -> str:
        """Create, submit and start a rollout; return its id."""
        rollout = self.create(text)
        self.sopwith("rollout", "submit", rollout, who=OPERATOR)
        self.sopwith("rollout", "start", rollout, "--yes", "--reason", "monthly update", who=OPERATOR)
        return rollout

    def finish(self, rollout: str, *, expect: tuple[int, ...] = (0,), timeout: int = 120) -> Any:
        """Wait until a rollout has ended or needs a person; return it."""
        self.sopwith(
            "rollout", "status", rollout, "--wait", "--timeout", f"{timeout}s",
            who=OPERATOR, expect=expect, timeout=timeout + 30,
        )  # fmt: skip
        return self.json("rollout", "show", rollout, who=OPERATOR)

    def assignments(self, rollout: str) -> list[dict[str, Any]]:
        """Return each computer's share of a rollout."""
        found: list[dict[str, Any]] = self.json("rollout", "show", rollout, "--computers", who=OPERATOR)
        return found

    def outcomes(self, rollout: str) -> dict[str, str]:
        """Return outcome by computer, from the update log; a second outcome of one computer fails."""
        result: dict[str, str] = {}
        for entry in self.json("log", "list"):
            if entry["rollout"] == rollout and entry["outcome"]:
                assert entry["computer"] not in result, f"two outcomes of {entry['computer']}"
                result[entry["computer"]] = entry["outcome"]
        return result

    def until(self, what: str, found: Any, *, seconds: float = 40) -> Any:
        """Wait for a true answer."""
        return self.stage.until(what, found, seconds=seconds)

    def mails(self) -> list[str]:
        """Return the received mails as text."""
        return [message.as_string() for message in self.mailbox.messages]

    def stop(self) -> None:
        """End everything."""
        self.stage.stop()


def link_version(fleet: Fleet, name: str, release: str = "lamp") -> str:
    """Return the version that a computer's link points at, read from the disk."""
    link = fleet.folder / f"{name}-root" / "opt" / release / "current"
    return link.readlink().name if link.is_symlink() else ""


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a log file."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
