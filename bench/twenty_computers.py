"""Twenty computers install a signed update of 10 MiB: from the start command until every outcome is in the update log.

A real controller and twenty real agents, installed as users do, run on this computer; they are connected and the
rollout is approved before the clock starts. Two updates are measured, because an agent loads the libraries that check a
source with its first one. The clock ends with the last outcome, by the time that the controller wrote into the log.

Beside it stand Ansible, which does the like to twenty hosts on the same files (fetch, compare the digest, unpack, run;
nothing is signed, gated, recorded or taken back), and the floor: curl, sha256sum and tar twenty times, two at once.
"""

import functools
import hashlib
import http.server
import io
import random
import shlex
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
from bench import agent_venv
from bench.measure import Line

from tests.system.fleet import OPERATOR, Fleet

COMPUTERS = 20
SIZE_BYTES = 10 * 2**20
LIMIT_SECONDS = 2.0
READY_SECONDS = 240.0
ANSIBLE = "ansible-core>=2.17,<3"
_MANIFEST = """
release: parcel
version: "{version}"
summary: Ten mebibytes that cannot be packed
severity: moderate
artifacts:
  - file: parcel-{version}.tar
    installer: archive
    options: {{into: /opt/parcel, link: current}}
health_checks:
  - {{exec: [/opt/parcel/current/bin/parcel], expect: "parcel", timeout: 30s}}
"""
_ROLLOUT = f"""
rollout: parcel-{{version}}
release: parcel@{{version}}
sop: SU-SOP-001
waves: [{{{{name: all, size: 100%}}}}]
max_concurrency: {COMPUTERS}
"""
_PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - file: {path: "{{ folder }}/tree", state: directory}
    - get_url: {url: "{{ url }}", dest: "{{ folder }}/parcel.tar", checksum: "sha256:{{ digest }}"}
    - unarchive: {src: "{{ folder }}/parcel.tar", dest: "{{ folder }}/tree", remote_src: true}
    - command: "{{ folder }}/tree/bin/parcel"
"""


@dataclass(frozen=True)
class Update:
    """What one update took."""

    seconds: float
    agents_cpu_seconds: float
    """All agents together, the programs that they ran included."""
    controller_cpu_seconds: float


def lines() -> list[Line]:
    """Measure both updates, then the peer and the floor."""
    what = f"{COMPUTERS} computers, one 10 MiB update"
    limit = f"{LIMIT_SECONDS:.0f} s"
    with tempfile.TemporaryDirectory() as folder:
        try:
            updates = _updates(Path(folder) / "fleet")
        except Exception as error:  # noqa: BLE001  a measurement that cannot be made is a line, not an end
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            return [Line(what, "skipped", limit, beside=f"because {reason}")]
        beside = _peers(Path(folder))
    return [
        Line(f"{what}, {name}", f"{update.seconds:.1f} s", limit, update.seconds / LIMIT_SECONDS, f"{said}; {peers}")
        for name, update, peers in zip(("the agents' first", "their next"), updates, beside, strict=True)
        for said in (
            f"processor: agents {update.agents_cpu_seconds:.1f} s, controller {update.controller_cpu_seconds:.1f} s",
        )
    ]


def _updates(folder: Path) -> list[Update]:
    program = agent_venv.program()
    folder.mkdir()
    fleet, agents = Fleet(folder), []
    try:
        fleet.init()
        fleet.serve()
        fleet.sign_sop()
        fleet.designate_source()
        names = [f"pc{number}" for number in range(1, COMPUTERS + 1)]
        fleet.enroll(*names)
        agents = [_run_agent(program, folder, name) for name in names]
        fleet.until("every computer ready", lambda: fleet.all_ready(COMPUTERS), seconds=READY_SECONDS)
        return [_update(fleet, agents, version) for version in ("1", "2")]
    finally:
        for agent in agents:
            agent.kill()
            agent.wait()
        fleet.stop()


def _update(fleet: Fleet, agents: Sequence["subprocess.Popen[bytes]"], version: str) -> Update:
    fleet.publish(_write_release(fleet.folder / f"parcel-{version}", version))
    rollout = fleet.create(_ROLLOUT.format(version=version))
    fleet.sopwith("rollout", "submit", rollout, who=OPERATOR)
    processes = [psutil.Process(agent.pid) for agent in agents]
    controller = [psutil.Process(fleet.controller.pid)] if fleet.controller else []
    agents_before, controller_before = _cpu(processes), _cpu(controller)
    begun = time.time()
    fleet.sopwith("rollout", "start", rollout, "--yes", "--reason", "monthly update", who=OPERATOR)
    fleet.finish(rollout)
    entries = [one for one in fleet.json("log", "list") if one["rollout"] == rollout and one["outcome"]]
    if [one["outcome"] for one in entries] != ["SUCCEEDED"] * COMPUTERS:
        raise RuntimeError(f"not every computer installed {version}")
    ended = max(datetime.fromisoformat(one["time"]).timestamp() for one in entries)
    return Update(ended - begun, _cpu(processes) - agents_before, _cpu(controller) - controller_before)


def _run_agent(program: Path, folder: Path, name: str) -> "subprocess.Popen[bytes]":
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [program, "run", "--state", name, "--root", f"{name}-root"], cwd=folder, stdout=log, stderr=log
        )


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def _write_release(folder: Path, version: str) -> Path:
    folder.mkdir()
    (folder / "release.yaml").write_text(_MANIFEST.format(version=version), encoding="utf-8")
    with tarfile.open(folder / f"parcel-{version}.tar", "w") as archive:
        for name, data, mode in (
            ("bin/parcel", f"#!/bin/sh\necho parcel {version}\n".encode(), 0o755),
            ("share/data", random.Random(version).randbytes(SIZE_BYTES), 0o644),  # noqa: S311  bytes that do not pack
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return folder


def _peers(folder: Path) -> list[str]:
    """Return what Ansible and the bare tools took, one text for each of our two updates."""
    archive = _write_release(folder / "served", "1") / "parcel-1.tar"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    with _served(archive) as url:
        try:
            seconds = _ansible(folder / "ansible", url, digest)
            ansible = f"Ansible: {seconds:.1f} s"
        except (subprocess.CalledProcessError, OSError) as error:
            ansible = f"Ansible cannot run here: {type(error).__name__}"
        floor = _floor(folder / "floor", url, digest)
    return [ansible, f"{COMPUTERS} times curl, sha256sum, tar: {floor:.1f} s"]


def _ansible(folder: Path, url: str, digest: str) -> float:
    """Install Ansible into an environment of its own; return how long its playbook takes."""
    quiet = functools.partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    quiet([sys.executable, "-m", "venv", folder])
    quiet([folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", ANSIBLE])
    hosts = [f"pc{number} folder={folder}/pc{number}" for number in range(1, COMPUTERS + 1)]
    everywhere = f"ansible_connection=local ansible_python_interpreter={folder}/bin/python url={url} digest={digest}"
    (folder / "hosts").write_text("\n".join(["[all]", *hosts, "[all:vars]", *everywhere.split(), ""]))
    (folder / "playbook.yml").write_text(_PLAYBOOK)
    command = [folder / "bin/ansible-playbook", "-i", "hosts", "--forks", str(COMPUTERS), "playbook.yml"]
    return _seconds(lambda: quiet(command, cwd=folder))


def _floor(folder: Path, url: str, digest: str) -> float:
    folder.mkdir()

    def one(number: int) -> None:
        own = shlex.quote(str(folder / str(number)))
        script = (
            f"mkdir {own} && cd {own} && curl -sSf -o parcel.tar {url} && echo '{digest}  parcel.tar' | sha256sum -c"
            " && tar xf parcel.tar && sync parcel.tar share/data && bin/parcel"
        )
        subprocess.run(["/bin/sh", "-c", script], check=True, stdout=subprocess.DEVNULL)

    with ThreadPoolExecutor(2) as pool:
        return _seconds(lambda: list(pool.map(one, range(COMPUTERS))))


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves one folder without a word."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _served(file: Path) -> Iterator[str]:
    """Serve a file on loopback; give its address."""
    handler = functools.partial(_Quiet, directory=str(file.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/{file.name}"
        finally:
            server.shutdown()
            thread.join()
