"""What an agent costs at rest: its memory with one live mTLS stream, beside a bare grpc.aio client with the same.

A real controller and a real agent, installed as its users do, run on this computer for some seconds: enrolled, with the
SOP in effect, the source designated, the log's checkpoint verified, started anew. Where they cannot run, the line says
why instead.
"""

import subprocess
import tempfile
import time
from pathlib import Path

import psutil
from bench import agent_venv
from bench.measure import Line

from tests.system.fleet import Fleet

LIMIT_MIB = 45
LIMIT_CPU_PERCENT = 0.3
REST_SECONDS = 10.0
_BARE = """
import asyncio, grpc.aio, json, pathlib, sys
async def main():
    folder = pathlib.Path(sys.argv[1])
    read = lambda name: (folder / name).read_bytes()
    credentials = grpc.ssl_channel_credentials(read("ca.pem"), read("key.pem"), read("certificate.pem"))
    address = json.loads(read("trust.json"))["fleet_address"]
    await grpc.aio.secure_channel(address, credentials).channel_ready()
    print("ready", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def lines() -> list[Line]:
    """Measure both."""
    what = "agent at rest, resident memory"
    try:
        agent, percent, bare = _agent_and_bare()
    except Exception as error:  # noqa: BLE001  a measurement that cannot be made is a line, not an end
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        return [Line(what, "skipped", f"{LIMIT_MIB} MiB", beside=f"because {reason}")]
    beside = f"bare grpc.aio client: {bare:.1f} MiB ({agent / bare:.2f} x)"
    return [
        Line(what, f"{agent:.1f} MiB", f"{LIMIT_MIB} MiB", agent / LIMIT_MIB, beside),
        Line(
            "agent at rest, processor",
            f"{percent:.2f} % of a core",
            f"{LIMIT_CPU_PERCENT} %",
            percent / LIMIT_CPU_PERCENT,
            f"over {REST_SECONDS:.0f} s",
        ),
    ]


def _agent_and_bare() -> tuple[float, float, float]:
    program = agent_venv.program()
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder))
        try:
            fleet.init()
            fleet.serve()
            fleet.sign_sop()
            fleet.designate_source()
            fleet.enroll("pc1")
            first = _run_agent(program, fleet)
            fleet.until("a ready computer", lambda: fleet.all_ready(1))
            _end(first)
            agent = _run_agent(program, fleet)
            try:
                fleet.until(
                    "the agent's stream", lambda: any(one["connected"] for one in fleet.json("computer", "list"))
                )
                time.sleep(REST_SECONDS)
                process = psutil.Process(agent.pid)
                before = sum(process.cpu_times()[:2])
                time.sleep(REST_SECONDS)
                used = sum(process.cpu_times()[:2]) - before
                memory = process.memory_info().rss / 2**20
            finally:
                _end(agent)
            return memory, used / REST_SECONDS * 100, _bare_client(program, Path(folder) / "pc1" / "identity")
        finally:
            fleet.stop()


def _run_agent(program: Path, fleet: Fleet) -> subprocess.Popen[str]:
    log = (fleet.folder / "bench.log").open("a")
    return subprocess.Popen(
        [program, "run", "--state", "pc1", "--root", "pc1-root"], cwd=fleet.folder, stdout=log, stderr=log, text=True
    )


def _bare_client(program: Path, identity: Path) -> float:
    command = [program.with_name("python"), "-c", _BARE, identity]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if client.stdout is None or client.stdout.readline().strip() != "ready":
            raise RuntimeError("the bare client cannot connect")
        time.sleep(1)
        return psutil.Process(client.pid).memory_info().rss / 2**20
    finally:
        _end(client)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
