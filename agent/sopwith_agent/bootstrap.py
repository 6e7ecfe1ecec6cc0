"""Puts the agent together: the one place that picks implementations.

Nothing here decides anything that a person would see; whoever wants to know what the agent is made of reads this page.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from sopwith_agent.adapters import diagnosis, state_folder
from sopwith_agent.adapters.clock import SystemClock
from sopwith_agent.adapters.controller_link import GrpcLink
from sopwith_agent.adapters.fleet_memory import FileMemory
from sopwith_agent.adapters.health_checks import HealthChecks
from sopwith_agent.adapters.identity_store import IdentityStore
from sopwith_agent.adapters.installers.by_name import InstallersByName
from sopwith_agent.adapters.inventory import ComputerInventory
from sopwith_agent.adapters.journal import FileJournal
from sopwith_agent.adapters.logind import SleepInhibitor, SleepWatch
from sopwith_agent.adapters.outbox import FileOutbox
from sopwith_agent.adapters.own_commands import OwnCommands
from sopwith_agent.adapters.package_watch import FilePackageWatch, Sign
from sopwith_agent.adapters.people.announcer import SystemAnnouncer
from sopwith_agent.adapters.people.door import Counter, Door, run_folder
from sopwith_agent.adapters.people.sessions import login_sessions
from sopwith_agent.adapters.power import SYSTEMCTL, SystemPower
from sopwith_agent.adapters.proxies import ProxyChoice
from sopwith_agent.adapters.register import FileRegister
from sopwith_agent.adapters.sensors.computer import ComputerSensors
from sopwith_agent.adapters.sensors.facts import platform_here
from sopwith_agent.adapters.source_handle import SourceHandle
from sopwith_agent.adapters.source_ways import Ways
from sopwith_agent.adapters.trial_file import FileTrials
from sopwith_agent.config import FILE, Settings, read_settings
from sopwith_agent.domain.errors import NotDeferrableError
from sopwith_agent.domain.readiness import Need, Readiness
from sopwith_agent.session import Session
from sopwith_agent.steps.command_port import Moment
from sopwith_agent.steps.orders import Orders
from sopwith_agent.steps.people import PeopleDesk
from sopwith_agent.steps.readiness_meter import Meter
from sopwith_agent.steps.sensor_port import Question
from sopwith_agent.steps.session_ports import SessionPorts
from sopwith_agent.steps.workbench import Workbench
from sopwith_agent.steps.worker import Worker
from sopwith_formats.durable import make_private_folder
from sopwith_formats.manifest import Command
from sopwith_formats.observation import Observation, PackageChange
from sopwith_formats.units import format_time
from sopwith_formats.version import VERSION

_log = structlog.get_logger()


@dataclass
class _Base:
    """What running and checking share."""

    state: Path
    root: Path
    identity: IdentityStore
    clock: SystemClock
    memory: FileMemory
    source: SourceHandle
    installers: InstallersByName
    sensors: ComputerSensors

    def question(self, *, connected: bool) -> Question:
        """Return what the sensors are asked."""
        return Question(
            self.root,
            self.state,
            labels=self.memory.labels,
            controller_connected=connected,
            controller_ahead_seconds=self.clock.controller_ahead_seconds(),
            source_designated=bool(self.source.root_sha256()),
            source_url=self.source.metadata_url(),
            source_ca_file=self.identity.authorities_file,
            throughput_bytes_per_second=self.source.throughput(),
        )


@contextmanager
def running_agent(state: Path, root: Path, settings: Settings) -> Iterator[tuple[Session, FileTrials]]:
    """Give a session that is ready to run, alone on its state folder; raise SettingsError when it cannot be."""
    IdentityStore(state / "identity").trust()  # named before the folder is made or locked: most often it is missing
    with state_folder.held(state):
        state_folder.clear_leftovers(state)
        base = _base(state, root, settings)
        root.mkdir(parents=True, exist_ok=True)
        trials = FileTrials(state / "kept", root, stop=lambda: os.kill(os.getpid(), signal.SIGTERM))
        session = _session(base, settings, trials)
        trials.connected = lambda: session.connected
        yield session, trials


def check(state: Path, root: Path, settings: Settings, *, connected: bool) -> Readiness:
    """Measure readiness and connectivity now."""
    base = _base(state, root, settings)
    meter = Meter(base.sensors, base.clock, lambda: base.question(connected=connected), lambda _readiness: None)
    return meter.measure(base.memory.policy, Need())


def diagnose(state: Path, root: Path, out: Path, log: Path | None, *, connected: bool) -> list[str]:
    """Write the bundle for whoever helps; return what is in it."""
    settings = read_settings(state)
    base = _base(state, root, settings)

    def measured() -> Any:
        return asdict(check(state, root, settings, connected=connected))

    return diagnosis.write_bundle(
        out,
        root,
        {
            "status.json": lambda: status(state),
            "check.json": measured,
            "journal.json": lambda: diagnosis.journal_summary(state / "journal" / "assignments"),
            "versions.json": lambda: {**base.sensors.facts(), "libraries": diagnosis.versions()},
            "agent.toml": lambda: (state / FILE).read_text(encoding="utf-8", errors="replace"),
            "log.txt": lambda: diagnosis.log_tail(log),
        },
    )


def link(state: Path) -> GrpcLink:
    """Return the way to the controller."""
    return GrpcLink(IdentityStore(state / "identity"), SystemClock().now)


def status(state: Path) -> dict[str, Any]:
    """Return what is known without asking anybody: what the running agent wrote last, or its files."""
    identity = IdentityStore(state / "identity")
    memory = FileMemory(state, identity)
    written = state_folder.read_status(state)
    running = state_folder.running(state)
    nothing = {"connected": False, "installed": {}, "assignment": None, "waiting_assignments": 0, "people": []}
    connection = {"state": "NOT_RUNNING", "address": identity.trust().fleet_address, "since_time": "", "error": ""}
    document = {"connection": connection, **nothing, **written, **_known(identity, memory, identity.computer_id())}
    if not running:
        document.update({"connected": False, "connection": {**document["connection"], "state": "NOT_RUNNING"}})
    return {**document, "running": running}


def _base(state: Path, root: Path, settings: Settings) -> _Base:
    identity = IdentityStore(state / "identity")
    clock = SystemClock(root)
    installers = InstallersByName()
    proxies = ProxyChoice(settings.proxy, settings.no_proxy, settings.proxy_credentials)
    return _Base(
        state,
        root,
        identity,
        clock,
        FileMemory(state, identity),
        SourceHandle(state / "source", identity, Ways(proxies, settings.mirrors, settings.download_rates)),
        installers,
        ComputerSensors(root, installers.names(), clock.now, proxies, user_names=settings.user_names == "facts"),
    )


def _session(base: _Base, settings: Settings, trials: FileTrials) -> Session:
    state, identity, clock = base.state, base.identity, base.clock
    computer_id = identity.computer_id()
    for name in ("staging", "kept"):
        make_private_folder(state / name)
    journal = FileJournal(state / "journal")
    outbox = FileOutbox(state / "outbox", identity.sign_receipt, clock.now)
    orders = Orders(journal.kept_orders(), journal.keep_orders)
    register = FileRegister(state / "kept" / "register")
    stopping = threading.Event()
    sessions: list[Session] = []
    announcer = SystemAnnouncer(base.root)
    desk = PeopleDesk(
        announcer,
        journal.kept_notices(),
        journal.keep_notices,
        now=clock.fleet_now,
        tell_controller=lambda body: outbox.put("deferral", body),
    )
    announcer.put_off = lambda key: _pressed(lambda: desk.put_off(None, key))
    announcer.agree = lambda key: _pressed(lambda: desk.agree(key))
    meter = Meter(
        base.sensors,
        clock,
        lambda: base.question(connected=sessions[0].connected),
        lambda readiness: sessions[0].measured(readiness),  # noqa: PLW0108  there is no session yet
    )
    bench = Workbench(
        clock=clock,
        journal=journal,
        outbox=outbox,
        source=base.source,
        installers=base.installers,
        health=HealthChecks(),
        readiness=meter,
        register=register,
        power=SystemPower(base.root, _reboot_command(settings)),
        commands=OwnCommands(_own_commands(settings)),
        orders=orders,
        warrant_keys=identity,
        approval_proof=identity,
        held_policies=base.memory,
        trials=trials,
        platform=platform_here(base.root),
        computer_id=lambda: computer_id,
        computer_name=lambda: base.memory.name,
        root=base.root,
        staging=state / "staging",
        kept=state / "kept",
        stopping=stopping.is_set,
        people=desk,
        packages=FilePackageWatch(state, base.root, _observations(outbox, clock, computer_id), clock.now),
        wakefulness=SleepInhibitor(base.root),
    )
    worker = Worker(bench, stopping)

    def answered() -> None:
        worker.wake()
        sessions[0].show_status()

    desk.answered = answered
    watch = SleepWatch(
        base.root,
        lambda: sessions[0].going_to_sleep(),  # noqa: PLW0108  there is no session yet
        lambda: sessions[0].woke_up(),  # noqa: PLW0108
    )
    door = Door(
        run_folder(state),
        Counter(
            put_off=desk.put_off,
            agree=desk.agree,
            feedback=lambda text: outbox.put("feedback", _feedback(text, worker, clock)),
            status=lambda: status(state),
            logged_in=lambda: {one.uid for one in login_sessions(base.root) or () if one.uid is not None},
        ),
        clock.monotonic,
    )
    inventory = ComputerInventory(base.sensors, register, bench.installed_version)
    board = state_folder.FileBoard(
        state,
        clock.now,
        lambda: {
            **_known(identity, base.memory, computer_id),
            "installed": inventory.installed,
            "people": desk.standing(),
        },
    )
    sessions.append(
        Session(
            SessionPorts(
                link=GrpcLink(identity, clock.now),
                worker=worker,
                outbox=outbox,
                journal=journal,
                orders=orders,
                meter=meter,
                clock=clock,
                certificates=identity,
                inventory=inventory,
                source=base.source,
                memory=base.memory,
                board=board,
                version=VERSION,
                receipt_key_pem=identity.receipt_key_pem(),
                beside=(door.run, watch.run),
            )
        )
    )
    return sessions[0]


def _reboot_command(settings: Settings) -> tuple[str, ...]:
    return {"systemctl": SYSTEMCTL, "command": settings.reboot_command}.get(settings.reboot, ())


def _own_commands(settings: Settings) -> dict[Moment, tuple[Command, ...]]:
    written = {Moment.DRAIN: settings.drain, Moment.UNDRAIN: settings.undrain, Moment.SNAPSHOT: settings.snapshot}
    seconds = settings.command_timeout_seconds
    return {moment: tuple(Command(words, seconds) for words in commands) for moment, commands in written.items()}


def _pressed(answer: Callable[[], object]) -> None:
    """Carry out what a button asks for; one that comes too late, or may not, changes nothing."""
    try:
        answer()
    except (NotDeferrableError, OSError) as error:
        _log.info("button_without_effect", reason=str(error))


def _feedback(text: str, worker: Worker, clock: SystemClock) -> dict[str, Any]:
    at_hand = worker.unfinished()
    assignment_id = at_hand[0].warrant.assignment_id if at_hand else ""
    return {"text": text, "given_time": format_time(clock.now()), "assignment_id": assignment_id}


def _observations(outbox: FileOutbox, clock: SystemClock, computer_id: str) -> Sign:
    """Return how package changes that others made are signed and sent."""

    def sign(mark: str, changes: tuple[PackageChange, ...], left_out: int, gap: str) -> None:
        outbox.observed(
            Observation(
                number=0,
                previous_sha256="",
                computer_id=computer_id,
                mark=mark,
                changes=changes,
                left_out=left_out,
                gap=gap,
                observed_time=clock.now(),
                boot_id=clock.boot_id(),
                boot_seconds=clock.boot_seconds(),
                utc_offset_seconds=clock.utc_offset_seconds(),
            )
        )

    return sign


def _known(identity: IdentityStore, memory: FileMemory, computer_id: str) -> dict[str, Any]:
    sop, trust = memory.sop, identity.trust()
    return {
        "computer_id": computer_id,
        "name": memory.name,
        "controller": trust.controller_name,
        "sop": {"id": sop.id, "revision": sop.revision, "policy_sha256": sop.policy_sha256} if sop else None,
        "source_root_sha256": trust.source_root_sha256,
        "checkpoint": memory.checkpoint,
    }
