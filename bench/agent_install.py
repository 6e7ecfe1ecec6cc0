"""What an agent's install takes, and how soon after its start it dials, beside a bare Python with gRPC."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import agent_venv
from bench.measure import Line, best_seconds

from tests.agent.fake_controller import FakeController

LIMIT_MIB = 60
LIMIT_DIAL_SECONDS = 0.5
LIMIT_VERSION_SECONDS = 0.1
RUNS = 7
_BARE = """
import asyncio, grpc.aio, psutil, sys
async def main():
    async with asyncio.timeout(5):
        await grpc.aio.insecure_channel(sys.argv[1]).channel_ready()
asyncio.run(main())
"""


def lines() -> list[Line]:
    """Measure size, --version and the first dial."""
    try:
        program = agent_venv.program()
    except subprocess.CalledProcessError as error:
        return [Line("agent install", "skipped", f"{LIMIT_MIB} MiB", beside=f"because {error}"[:120])]
    mib = agent_venv.size_bytes() / 2**20
    python = program.with_name("python")
    nothing = best_seconds(lambda: _run(python, "-c", "pass"), RUNS)
    version = best_seconds(lambda: _run(program, "--version"), RUNS)
    dial, bare = _dialled(program), _first_contact(lambda address: [str(python), "-c", _BARE, address])
    return [
        Line("agent install, without pip and bytecode", f"{mib:.1f} MiB", f"{LIMIT_MIB} MiB", mib / LIMIT_MIB),
        Line(
            "installed sopwith-agent --version",
            f"{version * 1000:.0f} ms",
            f"{LIMIT_VERSION_SECONDS * 1000:.0f} ms",
            version / LIMIT_VERSION_SECONDS,
            f"python -c pass: {nothing * 1000:.0f} ms ({version / nothing:.1f} x)",
        ),
        Line(
            "installed agent, start to first dial",
            f"{dial * 1000:.0f} ms",
            f"{LIMIT_DIAL_SECONDS * 1000:.0f} ms",
            dial / LIMIT_DIAL_SECONDS,
            f"bare grpc.aio and psutil: {bare * 1000:.0f} ms ({dial / bare:.1f} x)",
        ),
    ]


def _dialled(program: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"

        def command(address: str) -> list[str]:
            controller = FakeController()
            controller.port = int(address.rpartition(":")[2])
            if not state.exists():
                state.mkdir(mode=0o700)
                controller.enrol(state / "identity")
            identity = state / "identity" / "trust.json"
            identity.write_text(_with_address(identity.read_text(), address))
            return [str(program), "run", "--state", str(state), "--root", folder]

        return _first_contact(command)


def _with_address(trust: str, address: str) -> str:
    import json

    return json.dumps({**json.loads(trust), "fleet_address": address}, sort_keys=True, separators=(",", ":"))


def _first_contact(command: Callable[[str], list[str]]) -> float:
    """Return the shortest time from starting a program to its first connection."""
    times = []
    for _ in range(RUNS):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(30)
            arguments = command(f"127.0.0.1:{listener.getsockname()[1]}")
            begun = time.perf_counter()
            process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=sys.stderr)
            try:
                connection, _ = listener.accept()
                times.append(time.perf_counter() - begun)
                connection.close()
            finally:
                process.kill()
                process.wait()
    return min(times)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
