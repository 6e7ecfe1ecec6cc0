"""What an agent costs at rest: its memory with one live mTLS stream, beside a bare grpc.aio client with one channel.

A real controller and a real agent run on this computer for some seconds. Where they cannot, the line says why instead.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from bench.measure import Line

from tests.system.fleet import Fleet

LIMIT_MIB = 45
LIMIT_CPU_PERCENT = 0.3
REST_SECONDS = 10.0
_BARE = """
import asyncio, grpc.aio, sys
async def main():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0") if len(sys.argv) < 2 else int(sys.argv[1])
    if len(sys.argv) < 2:
        await server.start()
        print(port, flush=True)
    else:
        await grpc.aio.insecure_channel(f"127.0.0.1:{port}").channel_ready()
        print("ready", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def lines() -> list[Line]:
    """Measure both."""
    what = "agent at rest, resident memory"
    try:
        agent, percent = _agent()
    except Exception as error:  # noqa: BLE001  a measurement that cannot be made is a line, not an end
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        return [Line(what, "skipped", f"{LIMIT_MIB} MiB", beside=f"because {reason}")]
    bare = _bare_client()
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


def _agent() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder))
        try:
            fleet.init()
            fleet.serve()
            fleet.enroll("pc1")
            process = psutil.Process(fleet.run_agent("pc1").pid)
            fleet.until("the agent's stream", lambda: any(one["connected"] for one in fleet.json("computer", "list")))
            time.sleep(REST_SECONDS / 2)
            before = sum(process.cpu_times()[:2])
            time.sleep(REST_SECONDS)
            used = sum(process.cpu_times()[:2]) - before
            return process.memory_info().rss / 2**20, used / REST_SECONDS * 100
        finally:
            fleet.stop()


def _bare_client() -> float:
    server = _start()
    try:
        port = _first_line(server)
        client = _start(port)
        try:
            _first_line(client)
            time.sleep(1)
            return psutil.Process(client.pid).memory_info().rss / 2**20
        finally:
            _end(client)
    finally:
        _end(server)


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", _BARE, *arguments], stdout=subprocess.PIPE, text=True)


def _first_line(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        raise RuntimeError("the bare client says nothing")
    return process.stdout.readline().strip()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
