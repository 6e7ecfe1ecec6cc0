"""`sopwith-controller serve` as a service manager sees it: ready, alone, gone cleanly."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopwith_controller.desk.demo_stage import program_path

pytestmark = pytest.mark.system

INIT = (
    *("--organization", "Example", "--owner", "owner", "--it-manager", "manager"),
    *("--it-manager-email", "manager@localhost", "--authority", "authority"),
    *("--listen", "127.0.0.1", "--fleet-port", "0", "--web-port", "0"),
)


class Service:
    """One controller process with a service manager's socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.settimeout(40)
        self.manager.bind(str(folder / "notify"))
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify")}
        self.process = subprocess.Popen(
            [program_path("sopwith-controller"), "serve", "--data", "c"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def said(self) -> str:
        return self.manager.recv(1024).decode()

    def close(self) -> None:
        self.manager.close()
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.communicate()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    done = subprocess.run(
        [program_path("sopwith-controller"), "init", "--data", "c", *INIT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    service = Service(tmp_path)
    yield service
    service.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_ready_and_ends_cleanly_on_a_signal(service: Service, number: signal.Signals) -> None:
    process = service.start()
    ready = service.said()
    endpoints = json.loads((service.folder / "c" / "endpoints.json").read_text())
    for port in (endpoints["fleet_port"], endpoints["web_port"]):
        socket.create_connection(("127.0.0.1", port), 5).close()

    process.send_signal(number)
    stopping = service.said()
    out, _ = process.communicate(timeout=20)

    lines = [json.loads(line) for line in out.splitlines()]
    assert (ready, stopping) == ("READY=1", "STOPPING=1")
    assert process.returncode == 0
    assert [lines[-2]["event"], lines[-1]["event"]].count("controller_stopped") == 1


def test_a_second_controller_on_the_same_folder_is_refused(service: Service) -> None:
    service.start()
    service.said()

    second = subprocess.run(
        [program_path("sopwith-controller"), "serve", "--data", "c"],
        cwd=service.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert second.returncode == 1
    assert "in use by process" in second.stderr
    assert "Traceback" not in second.stderr
