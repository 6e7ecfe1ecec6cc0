"""The throw-away fleet of a drill: a controller of its own in profile evaluation, real agents below one folder.

Decides how the real SOP comes to rule a fleet that nobody depends on: the exact document with another revision number,
which no policy digest covers, so that the drill's policy digest is the real one, and is compared. Nothing here knows
the address or a key of the live controller. Whatever was started is ended by its own process id.
"""

import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from sopwith.v1 import (
    fleet_service_pb2,
    incident_pb2,
    incident_service_pb2,
    release_pb2,
    release_service_pb2,
    rollout_pb2,
    rollout_service_pb2,
    sop_pb2,
    sop_service_pb2,
)
from sopwith_controller.desk.connection import Connection
from sopwith_controller.desk.context import read_context
from sopwith_controller.desk.demo_release import write_release, write_rollout
from sopwith_controller.desk.demo_stage import Result, Stage
from sopwith_controller.desk.errors import DeskError

CONTEXT = "c/owner/context.toml"
COMPUTERS = ("pc1", "pc2", "pc3")
NOT_READY, CUT_OFF = "pc3", "pc2"
"""The computer that waits for its restart, and the one whose agent is stopped."""
_PATIENCE = 120.0
"""Seconds until what was started has to answer, also on a machine that is busy."""
_TYPED_TIMEOUT_SECONDS = 180.0
_REBOOT_REQUIRED = Path("var") / "run" / "reboot-required"
_EQUAL = re.compile(r"^([A-Za-z0-9_./-]+)=([A-Za-z0-9_.-]+)$")


class DrillFleet:
    """One fleet in one temporary folder; use it as a context manager."""

    def __init__(self, sop_id: str, document: bytes, policy_sha256: str, trainee: str) -> None:
        self.sop_id = sop_id
        self._document = document
        self._policy_sha256 = policy_sha256
        self._trainee = trainee
        self.folder = Path(tempfile.mkdtemp(prefix="sopwith-drill-"))
        self._stage = Stage(self.folder)
        self._agents: dict[str, Any] = {}
        self._connection: Any = None

    def __enter__(self) -> Self:
        """Return it; nothing is started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End everything and remove the folder."""
        if self._connection is not None:
            self._connection.__exit__(None, None, None)
        self._stage.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sopwith(self, *arguments: str, expect: tuple[int, ...] = (0,), timeout: float = 90) -> Result:
        """Run one command of the admins' program on the drill's controller."""
        return self._stage.run("sopwith", *arguments, context=CONTEXT, expect=expect, timeout=timeout)

    def typed(self, *arguments: str) -> Result:
        """Run what the trainee typed; any exit code is an answer."""
        try:
            return self._stage.run(
                "sopwith", *arguments, context=CONTEXT, expect=tuple(range(-64, 256)), timeout=_TYPED_TIMEOUT_SECONDS
            )
        except subprocess.TimeoutExpired:
            said = f"ended after {_TYPED_TIMEOUT_SECONDS:.0f} s, a drill waits no longer; try --timeout 60s"
            return Result(f"sopwith {' '.join(arguments)}", 3, "", said)

    def open(self) -> None:
        """Bring controller, SOP, source, releases and computers up; raise DeskError when one does not come."""
        self._stage.run(
            "sopwith-controller", "init", "--data", "c", "--organization", "Drill", "--owner", self._trainee,
            "--it-manager", "drill manager", "--it-manager-email", "drill@localhost", "--authority", "drill authority",
            "--profile", "evaluation", "--listen", "127.0.0.1", "--fleet-port", "0", "--web-port", "0",
        )  # fmt: skip
        self._stage.start("sopwith-controller", "serve", "--data", "c", log="controller.log")
        log = self.folder / "controller.log"
        self._stage.until(
            "the drill's controller", lambda: b"controller_started" in log.read_bytes(), seconds=_PATIENCE
        )
        self._connection = Connection(read_context(self.folder / CONTEXT)).__enter__()
        self.sopwith("person", "grant", self._trainee, "--role", "operator", "--role", "release_manager")
        self._follow_the_sop()
        self.sopwith("source", "init", "--keys", "keys", "--backup-keys", "backup")
        for version, shines in (("2", False), ("3", True)):
            folder = write_release(self.folder / f"lamp-{version}", version, shines=shines, summary=f"Lamp {version}")
            self.sopwith("release", "publish", folder.name, "--keys", "keys")
        self._start_computers()
        self._write_rollouts()

    def _follow_the_sop(self) -> None:
        listed = self._ask(self._connection.sops.ListSops, sop_service_pb2.ListSopsRequest()).sops
        known = {one.id: one.revision for one in listed}
        following = f"revision: {known.get(self.sop_id, 0) + 1}".encode()
        text, changed = re.subn(rb"(?m)^revision: \d+[ \t]*$", following, self._document, count=1)
        if not changed:
            raise DeskError("the SOP's revision number was not found in its document")
        (self.folder / "sop.md").write_bytes(text)
        self.sopwith("sop", "submit", "sop.md")
        shown = self.sop()
        if (shown.state, shown.policy_sha256) != (sop_pb2.SOP_STATE_EFFECTIVE, self._policy_sha256):
            raise DeskError(f"the drill does not run under the policy of {self.sop_id}", remedy="report this")

    def _start_computers(self) -> None:
        labels = [flag for label in _labels_of(self.sop().policy_json) for flag in ("--label", label)]
        made = self.sopwith("token", "create", "--uses", str(len(COMPUTERS)), *labels, "-o", "name")
        (self.folder / "computers.join").write_text(made.out, encoding="utf-8")
        wants_restart = self.folder / f"{NOT_READY}-root" / _REBOOT_REQUIRED
        wants_restart.parent.mkdir(parents=True)
        wants_restart.write_text("*** System restart required ***\n", encoding="utf-8")
        with ThreadPoolExecutor(len(COMPUTERS)) as pool:
            list(pool.map(self._enrol, COMPUTERS))
        self._stage.until("the drill's computers", self._all_measured, seconds=_PATIENCE)

    def _enrol(self, name: str) -> None:
        self._stage.run("sopwith-agent", "enroll", "--join-file", "computers.join", "--state", name, "--name", name)
        self.connect(name)

    def _all_measured(self) -> bool:
        found = self._ask(self._connection.fleet.ListComputers, fleet_service_pb2.ListComputersRequest()).computers
        return len([one for one in found if one.connected and one.readiness.verdict]) == len(COMPUTERS)

    def sop(self) -> sop_pb2.Sop:
        """Return the SOP that rules the drill."""
        found: sop_pb2.Sop = self._ask(self._connection.sops.GetSop, sop_service_pb2.GetSopRequest(id=self.sop_id)).sop
        return found

    def rollout(self, name: str) -> tuple[str, str]:
        """Return id and state of a rollout by its name; empty where there is none."""
        request = rollout_service_pb2.ListRolloutsRequest()
        for one in self._ask(self._connection.rollouts.ListRollouts, request).rollouts:
            if one.name == name:
                return one.id, rollout_pb2.RolloutState.Name(one.state).removeprefix("ROLLOUT_STATE_")
        return "", ""

    def open_incidents(self) -> list[str]:
        """Return the ids of incidents that nobody has taken."""
        request = incident_service_pb2.ListIncidentsRequest(unresolved_only=True)
        found = self._ask(self._connection.incidents.ListIncidents, request).incidents
        return [one.id for one in found if one.state == incident_pb2.INCIDENT_STATE_OPEN]

    def is_withdrawn(self, version: str) -> bool:
        """Tell whether a version was withdrawn."""
        found = self._ask(self._connection.releases.ListReleases, release_service_pb2.ListReleasesRequest()).releases
        return any(one.version == version and one.state == release_pb2.RELEASE_STATE_WITHDRAWN for one in found)

    def _ask(self, call: Any, request: Any) -> Any:
        return self._connection.call(call, request)

    def _write_rollouts(self) -> None:
        waves = "[{name: canary, size: 1}, {name: rest, size: 100%}]"
        write_rollout(self.folder / "bad.yaml", "2", waves, sop=self.sop_id, ready_quorum="1")
        write_rollout(self.folder / "mended.yaml", "3", waves, sop=self.sop_id, ready_quorum="1")

    def connect(self, name: str) -> None:
        """Start a computer's agent."""
        arguments = ("run", "--state", name, "--root", f"{name}-root")
        self._agents[name] = self._stage.start("sopwith-agent", *arguments, log=f"{name}.log")

    def cut_off(self, name: str) -> None:
        """Stop a computer's agent, as a pulled cable would."""
        process = self._agents.pop(name)
        self._stage.processes.remove(process)
        process.terminate()
        process.wait(20)

    def restart(self, name: str) -> None:
        """Let a computer come back from the restart that it waited for: it dials and measures anew."""
        self.cut_off(name)
        (self.folder / f"{name}-root" / _REBOOT_REQUIRED).unlink(missing_ok=True)
        self.connect(name)


def _labels_of(policy_json: str) -> list[str]:
    """Return labels that bring a computer into the SOP's scope, as far as it asks for equality."""
    import json

    scope = str(json.loads(policy_json).get("scope", ""))
    wanted = [part.strip() for part in scope.split(",") if part.strip()]
    if not all(_EQUAL.match(part) for part in wanted):
        raise DeskError(
            f"the SOP's scope ({scope}) cannot be drilled", remedy="a drill serves scopes of the form label=value"
        )
    return wanted
