"""The stage of the demo: a folder, the processes in it, and a mail server that keeps what it receives.

Everything is real: the programs are started as a person would start them, on loopback, below one folder. Whatever was
started here is ended here, by its own process id, also when the play stops half way.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from sopwith_controller.desk.errors import DeskError

START_TIMEOUT_SECONDS = 20.0
STOP_TIMEOUT_SECONDS = 12.0


@dataclass(frozen=True)
class Result:
    """What one command came to."""

    command: str
    code: int
    out: str
    err: str

    def document(self) -> Any:
        """Return the JSON that it printed."""
        return json.loads(self.out)


class Mailbox:
    """A real SMTP server on loopback that keeps what it receives."""

    def __init__(self) -> None:
        try:
            from aiosmtpd.controller import Controller
        except ImportError as error:
            raise DeskError("the demo needs aiosmtpd", remedy="pip install 'sopwith[all]'") from error
        self.messages: list[EmailMessage] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._server = Controller(self, hostname="127.0.0.1", port=self.port)
        self._server.start()

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802  the name is aiosmtpd's
        """Keep one message."""
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.messages.append(message)
        return "250 kept"

    def close(self) -> None:
        """Stop listening."""
        self._server.stop()


@dataclass
class Stage:
    """One folder with one fleet in it."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    mailbox: Mailbox | None = None

    def run(
        self, program: str, *arguments: str, context: str = "", expect: tuple[int, ...] = (0,), timeout: float = 60
    ) -> Result:
        """Run a program to its end in the folder; raise DeskError when its exit code is not expected."""
        environment = self._environment()
        if context:
            environment["SOPWITH_CONTEXT"] = str(self.folder / context)
        done = subprocess.run(
            [program_path(program), *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        result = Result(f"{program} {' '.join(arguments)}", done.returncode, done.stdout, done.stderr)
        if done.returncode not in expect:
            raise DeskError(f"{result.command} ended with {result.code}:\n{result.out}{result.err}")
        return result

    def start(self, program: str, *arguments: str, log: str) -> subprocess.Popen[bytes]:
        """Start a program that goes on, its words into a file of the folder."""
        with (self.folder / log).open("ab") as out:
            process = subprocess.Popen(
                [program_path(program), *arguments],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def until(self, what: str, found: Any, *, seconds: float = START_TIMEOUT_SECONDS) -> Any:
        """Return the first true answer of a question that is asked again and again; raise when time is up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = found()
            if answer:
                return answer
            dead = [process for process in self.processes if process.poll() not in (None, 0)]
            if dead:
                raise DeskError(
                    f"a process of the demo ended with {dead[0].returncode}", remedy=f"its log lies in {self.folder}"
                )
            time.sleep(0.1)
        raise DeskError(f"waited {seconds:.0f} s for {what}", remedy=f"the logs lie in {self.folder}")

    def stop(self) -> None:
        """End everything that was started here."""
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        end = time.monotonic() + STOP_TIMEOUT_SECONDS
        for process in self.processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.mailbox:
            self.mailbox.close()
            self.mailbox = None

    def _environment(self) -> dict[str, str]:
        hidden = ("SOPWITH_", "XDG_CONFIG_HOME", "GRPC_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
        return {**kept, "NO_COLOR": "1"}


def program_path(program: str) -> str:
    """Return the path of one of our programs, beside the running Python."""
    path = Path(sys.executable).parent / program
    if not path.exists():
        raise DeskError(f"{program} is not installed beside {sys.executable}", remedy="pip install 'sopwith[all]'")
    return str(path)
