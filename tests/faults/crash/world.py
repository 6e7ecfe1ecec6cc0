"""What surrounds the computer that dies: a source that is served, the controller's keys, three releases, and the judge.

The release `lamp` is an archive with a program that says its version; lamp 3 is sick, so that it has to go back. The
judge is the model of what may be after a death: the tree that runs is wholly one version, the receipt says which, each
install was committed once, nothing is left lying about.
"""

import contextlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from sopwith_agent.adapters import tuf_source  # noqa: F401  loaded late by the agent; forks find it loaded
from sopwith_agent.adapters.identity_store import IdentityStore, Trust
from sopwith_agent.adapters.installers import archive  # noqa: F401  likewise
from sopwith_agent.domain.messages import SourceNamed
from sopwith_certs import signing
from sopwith_certs.authority import Subject, certificate_pem
from sopwith_certs.identity import Kind
from sopwith_formats.manifest import Artifact, HealthCheck, Manifest, manifest_target
from sopwith_formats.vocabulary import AssignmentState
from tests.agent.archives import file_member, folder_member, lying_in, tar_bytes
from tests.certs.fleet import TRUST_DOMAIN, authority, now
from tests.faults.crash.computer import Computer
from tests.faults.hostile_source import SourceRepository

GOOD, SICK = "2", "3"
_DATA_BYTES = 300_000
"""More than one piece of the downloader, so that a download has a middle."""


@dataclass
class World:
    """What outlives every death: nothing of it lies on the computer's disk."""

    folder: Path
    served: Path
    base: str
    passing: frozenset[str] = frozenset()
    """What may run besides versions until the agent has recovered: what a package tool was cut off in."""
    repository: SourceRepository = field(default_factory=SourceRepository)
    warrant_key: signing.PrivateKey = field(default_factory=signing.new_key)
    manifests: dict[str, Manifest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ca = authority()
        self.data = os.urandom(_DATA_BYTES)
        self.root_json = self.repository.files["/metadata/1.root.json"]
        for version in ("1", GOOD, SICK):
            self._publish(version)
        self.repository.publish()
        self.older = dict(self.repository.files)
        self.repository.rotate("root", count=2)
        self.repository.publish()
        self.newer = dict(self.repository.files)
        self.serve(self.older)

    def serve(self, files: dict[str, bytes]) -> None:
        """Let the source serve exactly these files."""
        for path in [path for path in self.served.rglob("*") if path.is_file()]:
            path.unlink()
        for name, content in files.items():
            path = self.served / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def computer(self) -> Computer:
        """Start the computer's agent: a new process knows only what lies on the disk."""
        return Computer(self.folder, self.warrant_key)

    def certificate(self, key: signing.PrivateKey) -> bytes:
        """Return a new certificate for the computer's key."""
        return certificate_pem(self.ca.issue(key.public_key(), Subject(Kind.COMPUTER, "c-1"), now()))

    def identity(self) -> IdentityStore:
        """Return the computer's identity as a new process finds it."""
        return IdentityStore(self.folder / "state/identity")

    def enrol(self) -> None:
        """Enrol the computer, or finish an enrolment that was cut off."""
        store = self.identity()
        key = store.enrolling_key()
        if key is None:
            key = signing.new_key()
            store.keep_enrolling_key(key)
        trust = Trust("127.0.0.1:1", TRUST_DOMAIN, "127.0.0.1", 1, "", "Example", "pc1")
        public = signing.public_key_pem(self.warrant_key.public_key())
        store.keep_enrolment(self.certificate(key), self.ca.trust_bundle_pem, public, trust)

    def designate(self, computer: Computer) -> None:
        """Name the source to the computer, as the controller does."""
        named = SourceNamed(self.root_json, f"{self.base}/metadata/", f"{self.base}/targets/")
        answer = computer.source.designate(named)
        assert answer["accepted"], answer["reason"]

    def lay(self, version: str = "", until: AssignmentState | None = None) -> None:
        """Lay a computer that runs lamp 1, with the update to a version brought as far as a state."""
        self.enrol()
        computer = self.computer()
        self.designate(computer)
        computer.offer(self.manifests["1"], "a-1")
        computer.work()
        assert self.running() == "1"
        sequence = max(message.sequence for message in computer.outbox.after(0, 1000))
        computer.outbox.acknowledge(sequence)
        if version and until is not None:
            computer.offer(self.manifests[version], "a-2")
            computer.work(until)
            record = computer.journal.load("a-2")
            assert record is not None
            assert record.state is until

    def running(self) -> str:
        """Return the version that runs, whole; raise AssertionError for anything between two versions."""
        into = self.folder / "root/opt/lamp"
        if not (into / "current").is_symlink():
            return ""
        version = str((into / "current").readlink())
        found = lying_in(into / version)
        assert found == self._tree(version), f"lamp {version} is not whole"
        return version

    def left_behind(self) -> list[str]:
        """Return what no computer should have after an update."""
        into = self.folder / "root/opt/lamp"
        return [path.name for path in into.iterdir() if path.name not in {"current", "1", GOOD, SICK}]

    def _tree(self, version: str) -> dict[str, str]:
        return {
            "bin": "folder",
            "bin/lamp": f"755 {sha256(program_of(version)).hexdigest()[:8]}",
            "share": "folder",
            "share/data": f"644 {sha256(self._data_of(version)).hexdigest()[:8]}",
        }

    def _data_of(self, version: str) -> bytes:
        return version.encode() + self.data

    def _publish(self, version: str) -> None:
        members = [
            folder_member("bin/"),
            file_member("bin/lamp", program_of(version), 0o755),
            folder_member("share/"),
            file_member("share/data", self._data_of(version)),
        ]
        content = tar_bytes(members, tarfile.PAX_FORMAT)
        file = f"lamp-{version}.tar"
        options = {"into": "/opt/lamp", "link": "current"}
        artifact = Artifact(file, "archive", len(content), sha256(content).hexdigest(), options=options)
        check = HealthCheck(exec=("/opt/lamp/current/bin/lamp",), expect=f"lamp {version}")
        manifest = Manifest("lamp", version, (artifact,), health_checks=(check,))
        self.manifests[version] = manifest
        self.repository.add_target(manifest.target(file), content)
        self.repository.add_target(manifest_target("lamp", version), manifest.to_json())


def program_of(version: str) -> bytes:
    """Return the lamp's program; that of the sick version says its version and fails."""
    return f"#!/bin/sh\necho lamp {version}\nexit {int(version == SICK)}\n".encode()


AnyWorld = TypeVar("AnyWorld", bound=World)


@contextlib.contextmanager
def served_world(folder: Path, www: Path, kind: type[AnyWorld]) -> Iterator[AnyWorld]:
    """Give a world whose computer lies in a folder, its source served from a process of its own."""
    www.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.faults.crash.served_folder", str(www)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        port = int(server.stdout.readline())
        yield kind(folder, www, f"http://127.0.0.1:{port}")
    finally:
        server.stdin.close()
        server.wait(10)
        server.stdout.close()
