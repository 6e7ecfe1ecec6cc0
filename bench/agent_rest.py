"""What an agent costs at rest: its memory with one live mTLS stream, beside a bare grpc.aio client with the same.

A real controller and a real agent, installed as its users do, run on this computer for some minutes: enrolled, with the
SOP in effect, the source designated, the log's checkpoint verified, started anew, at rest over four heartbeats; then it
installs a small release, and its memory is looked at again. Where they cannot run, the line says why instead.
"""

import subprocess
import tempfile
import time
from pathlib import Path

import psutil
from bench import agent_venv
from bench.measure import Line

from sopwith_controller.desk.demo_release import write_release
from tests.system.fleet import Fleet

LIMIT_MIB = 45
LIMIT_INSTALLED_MIB = 64
LIMIT_CPU_PERCENT = 0.3
SETTLED_SECONDS = 10.0
REST_SECONDS = 130.0
_ROLLOUT = """
rollout: lamp-1
release: lamp@1
sop: SU-SOP-001
waves: [{name: all, size: 100%}]
"""
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
        agent, installed, percent, bare = _agent_and_bare()
    except Exception as error:  # noqa: BLE001  a measurement that cannot be made is a line, not an end
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        return [Line(what, "skipped", f"{LIMIT_MIB} MiB", beside=f"because {reason}")]
    beside = f"bare grpc.aio client: {bare:.1f} MiB ({agent / bare:.2f} x)"
    return [
        Line(what, f"{agent:.1f} MiB", f"{LIMIT_MIB} MiB", agent / LIMIT_MIB, beside),
        Line(
            "agent after an install, resident memory",
            f"{installed:.1f} MiB",
            f"{LIMIT_INSTALLED_MIB} MiB",
            installed / LIMIT_INSTALLED_MIB,
            f"bare grpc.aio client: {bare:.1f} MiB ({installed / bare:.2f} x)",
        ),
        Line(
            "agent at rest, processor",
            f"{percent:.2f} % of a core",
            f"{LIMIT_CPU_PERCENT} %",
            percent / LIMIT_CPU_PERCENT,
            f"over {REST_SECONDS:.0f} s",
        ),
    ]


def _agent_and_bare() -> tuple[float, float, float, float]:
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
                time.sleep(SETTLED_SECONDS)
                process = psutil.Process(agent.pid)
                before = sum(process.cpu_times()[:2])
                time.sleep(REST_SECONDS)
                used = sum(process.cpu_times()[:2]) - before
                memory = process.memory_info().rss / 2**20
                fleet.publish(write_release(fleet.folder / "lamp-1", "1", shines=True, summary="The first lamp"))
                rollout = fleet.start(_ROLLOUT)
                if fleet.finish(rollout)["counts"]["succeeded"] != 1:
                    raise RuntimeError("the release was not installed")
                installed = process.memory_info().rss / 2**20
            finally:
                _end(agent)
            bare = _bare_client(program, Path(folder) / "pc1" / "identity")
            return memory, installed, used / REST_SECONDS * 100, bare
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
