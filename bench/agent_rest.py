"""What an agent costs at rest: memory and processor with one live mTLS stream, beside a bare grpc.aio client.

A real controller and a real agent, installed as its users do, run on this computer for some minutes: enrolled, with the
SOP in effect, the source designated, the log's checkpoint verified, started anew, at rest over four heartbeats; then it
installs a small release, and its memory is looked at again. The bare client holds one channel with the same credentials
and keepalive over the same time, and says nothing. Where they cannot run, the line says why instead.
"""

import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
from bench import agent_venv
from bench.measure import Line, cost_of_rest

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
    options = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000)]
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        await channel.channel_ready()
        print("ready", flush=True)
        await asyncio.sleep(1200)
asyncio.run(main())
"""


@dataclass(frozen=True)
class _Rest:
    """One process over the time it was watched: MiB resident, and percent of a core."""

    memory: float
    processor: float


def lines() -> list[Line]:
    """Measure both."""
    what = "agent at rest, resident memory"
    try:
        agent, bare, installed, cost = _measure()
    except Exception as error:  # noqa: BLE001  a measurement that cannot be made is a line, not an end
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        return [Line(what, "skipped", f"{LIMIT_MIB} MiB", beside=f"because {reason}")]
    return [
        Line(
            what,
            f"{agent.memory:.1f} MiB",
            f"{LIMIT_MIB} MiB",
            agent.memory / LIMIT_MIB,
            f"bare grpc.aio client: {bare.memory:.1f} MiB ({agent.memory / bare.memory:.2f} x)",
        ),
        Line(
            "agent after an install, resident memory",
            f"{installed:.1f} MiB",
            f"{LIMIT_INSTALLED_MIB} MiB",
            installed / LIMIT_INSTALLED_MIB,
            f"bare grpc.aio client: {bare.memory:.1f} MiB ({installed / bare.memory:.2f} x)",
        ),
        Line(
            "agent at rest, processor",
            f"{agent.processor:.2f} % of a core",
            f"{LIMIT_CPU_PERCENT} %",
            agent.processor / LIMIT_CPU_PERCENT,
            f"bare grpc.aio client: {bare.processor:.2f} % ({agent.processor / bare.processor:.2f} x), over"
            f" {REST_SECONDS:.0f} s; after 5 s of rest any work costs {cost:.1f} x",
        ),
    ]


def _measure() -> tuple[_Rest, _Rest, float, float]:
    """Return the agent, the bare client, the agent's memory after an install, and what rest costs on this computer."""
    program = agent_venv.program()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ends:
        fleet = Fleet(Path(folder))
        ends.callback(fleet.stop)
        fleet.init()
        fleet.serve()
        fleet.sign_sop()
        fleet.designate_source()
        fleet.enroll("pc1")
        first = _run_agent(program, fleet)
        fleet.until("a ready computer", lambda: fleet.all_ready(1))
        _end(first)
        agent = _run_agent(program, fleet)
        ends.callback(_end, agent)
        fleet.until("the agent's stream", lambda: any(one["connected"] for one in fleet.json("computer", "list")))
        bare = _bare_client(program, Path(folder) / "pc1" / "identity")
        ends.callback(_end, bare)
        time.sleep(SETTLED_SECONDS)
        processes = [psutil.Process(agent.pid), psutil.Process(bare.pid)]
        percents = _processor_percent(processes)
        memory = [process.memory_info().rss / 2**20 for process in processes]
        cost = cost_of_rest()
        fleet.publish(write_release(fleet.folder / "lamp-1", "1", shines=True, summary="The first lamp"))
        rollout = fleet.start(_ROLLOUT)
        if fleet.finish(rollout)["counts"]["succeeded"] != 1:
            raise RuntimeError("the release was not installed")
        installed = processes[0].memory_info().rss / 2**20
        of_agent, of_bare = (_Rest(*each) for each in zip(memory, percents, strict=True))
        return of_agent, of_bare, installed, cost


def _processor_percent(processes: list[psutil.Process]) -> list[float]:
    """Watch them together for a while."""
    before = [sum(process.cpu_times()[:2]) for process in processes]
    time.sleep(REST_SECONDS)
    after = [sum(process.cpu_times()[:2]) for process in processes]
    return [(end - begin) / REST_SECONDS * 100 for begin, end in zip(before, after, strict=True)]


def _run_agent(program: Path, fleet: Fleet) -> subprocess.Popen[str]:
    log = (fleet.folder / "bench.log").open("a")
    return subprocess.Popen(
        [program, "run", "--state", "pc1", "--root", "pc1-root"], cwd=fleet.folder, stdout=log, stderr=log, text=True
    )


def _bare_client(program: Path, identity: Path) -> subprocess.Popen[str]:
    command = [str(program.with_name("python")), "-c", _BARE, str(identity)]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if client.stdout is None or client.stdout.readline().strip() != "ready":
        _end(client)
        raise RuntimeError("the bare client cannot connect")
    return client


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
