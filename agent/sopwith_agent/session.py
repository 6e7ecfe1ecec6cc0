"""The agent's conversation with the controller, for as long as the agent runs.

The session decides when to dial, what to answer, and what to hand to the worker thread; the worker alone does things to
the computer, and goes on while nobody is connected. Everything that the controller must hear lies in the outbox before
it is sent here, and stays there until it is acknowledged.

Rules: the agent always dials; the first redial comes within a second, pauses grow with full jitter to a minute and
begin anew with each Welcome, unless the controller names a longer one; every open has a deadline; one task writes, one
reads. Stopping finishes or parks the step at hand.
"""

import asyncio
import concurrent.futures
import contextlib
import random
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import structlog

from sopwith_agent.domain import limits
from sopwith_agent.domain import messages as m
from sopwith_agent.domain.errors import AgentError
from sopwith_agent.domain.readiness import Need, Readiness
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.certificate_care import CertificateCare
from sopwith_agent.steps.controller_time import CLOCK_WAS_SET, was_set
from sopwith_agent.steps.link_port import LinkError
from sopwith_agent.steps.orders import Orders, RebootLease
from sopwith_agent.steps.session_ports import SessionPorts
from sopwith_agent.steps.slumber import Slumber
from sopwith_agent.steps.speech import Speech
from sopwith_agent.steps.waiting import at_most, steadily, until_one_ends
from sopwith_formats.errors import FormatError

_log = structlog.get_logger()


class Session:
    """Runs until it is asked to stop."""

    def __init__(self, ports: SessionPorts) -> None:
        self._ports = ports
        self._nonce = secrets.token_hex(16)
        self._connected = False
        self._welcomed = False
        self._pause_hint_seconds = 0
        self._heartbeat_seconds = limits.heartbeat_default_seconds
        self._speech = Speech(ports.outbox)
        self._dial_now = asyncio.Event()
        self._care = CertificateCare(
            ports.link, ports.certificates, ports.clock, connected=lambda: self._connected, renewed=self._dial_now
        )
        self._measure_now = asyncio.Event()
        self._told_facts: tuple[dict[str, Any], dict[str, str]] = ({}, {})
        self._status_changed = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._slumber = Slumber()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def connected(self) -> bool:
        """Tell whether a stream is live; asked by the sensors, from any thread."""
        return self._connected

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set; `ready` is called when the worker runs and the first dial begins."""
        self._attach(asyncio.get_running_loop())
        crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        worker = threading.Thread(target=self._work, args=(crashed,), name="worker", daemon=True)
        worker.start()
        tasks = [
            asyncio.create_task(steadily(work))
            for work in (
                self._stay_connected,
                self._care.run,
                self._measure_regularly,
                self._publish_status,
                *self._ports.beside,
            )
        ]
        stopped = asyncio.create_task(_wait(stop))
        ready()
        try:
            done, _ = await asyncio.wait([*tasks, stopped, crashed], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await self._end(worker)
            for task in (*tasks, stopped, *self._background):
                task.cancel()
            await asyncio.gather(*tasks, stopped, *self._background, return_exceptions=True)
            self._connected = False
            await asyncio.to_thread(self._tell_board)

    def show_status(self) -> None:
        """Write the status soon, because something outside of the session changed; from any thread."""
        self._call(self._status_changed.set)

    def going_to_sleep(self) -> None:
        """Announce sleep; returns when that is said or cannot be. Called in the thread of whoever noticed."""
        if self._loop is None:
            return
        with contextlib.suppress(TimeoutError, concurrent.futures.CancelledError):
            announced = asyncio.run_coroutine_threadsafe(self._announce_sleep(), self._loop)
            announced.result(limits.sleep_announce_seconds + 1)

    def woke_up(self) -> None:
        """Dial at once, and look at everything whose time came meanwhile; from any thread."""
        self._call(self._slumber.end)
        self._call(self._dial_now.set)
        self._call(self._measure_now.set)
        self._ports.worker.wake()

    async def _announce_sleep(self) -> None:
        self._slumber.begin()
        if self._connected:
            self._say(m.GoingToSleep())
            await at_most(limits.sleep_announce_seconds, self._slumber.announced)

    def measured(self, readiness: Readiness) -> None:
        """Carry a measurement to the controller; called in the measuring thread."""
        self._call(self._say, m.ReadinessMeasured(readiness))

    def _work(self, crashed: asyncio.Future[None]) -> None:
        """Run the worker in its thread; what it cannot handle ends the agent, whose next start reads the journal."""
        try:
            self._ports.worker.run()
        except BaseException as error:  # noqa: BLE001  it is raised again where the agent is run
            self._call(crashed.set_exception, error)

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        def call(function: Callable[..., object], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already: the agent is ending
                loop.call_soon_threadsafe(function, *arguments)

        self._call, self._loop = call, loop
        self._ports.outbox.changed = lambda: call(self._speech.outbox_grew)
        self._ports.outbox.passing = lambda message: call(self._say, message)
        self._ports.worker.moved = lambda record: call(self._on_moved, record)

    async def _end(self, worker: threading.Thread) -> None:
        """Stop the worker and give what it still said a moment to leave; what does not get away lies in the outbox."""
        self._ports.worker.stop()
        await asyncio.to_thread(worker.join, limits.stop_timeout_seconds - limits.farewell_seconds - 1)
        if worker.is_alive():
            _log.warning("step_left_running", detail="it is taken up from the journal at the next start")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.farewell_seconds):
                while self._connected and self._ports.outbox.first_unacknowledged:
                    self._acknowledged.clear()
                    await self._acknowledged.wait()

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            self._welcomed, self._pause_hint_seconds = False, 0
            await self._slumber.over()
            try:
                await self._converse()
                self._note_connection("The controller closed the stream.")
            except (AgentError, FormatError, OSError) as error:
                self._note_connection(str(error))
                self._care.look.set()
            failures = 0 if self._welcomed else failures + 1
            self._dial_now.clear()
            if not self._slumber.asleep:
                await at_most(self._pause(failures), self._dial_now)

    def _pause(self, failures: int) -> float:
        ceiling = min(limits.redial_cap_seconds, limits.redial_first_seconds * 2 ** min(failures, 16))
        hint = self._pause_hint_seconds
        return hint + random.uniform(0, max(ceiling if not hint else hint / 4, 0.1))  # noqa: S311  spreads load only

    async def _converse(self) -> None:
        async with self._ports.link.open() as stream:
            incoming = stream.received()
            try:
                async with asyncio.timeout(limits.open_timeout_seconds):
                    await stream.send(await self._hello())
                    first = await anext(incoming, None)
            except TimeoutError as error:
                raise LinkError(f"The controller says nothing within {limits.open_timeout_seconds} s.") from error
            if not isinstance(first, m.Welcome):
                raise LinkError("The controller closed the stream before it welcomed this computer.")
            await self._on_welcome(first)
            await until_one_ends(
                self._speech.speak(stream), self._listen(incoming), self._beat(), self._slumber.passed()
            )

    async def _hello(self) -> m.Hello:
        ports = self._ports
        records = await asyncio.to_thread(ports.journal.records)
        facts, installed = self._told_facts = await asyncio.to_thread(ports.inventory.take)
        return m.Hello(
            version=ports.version,
            process_nonce=self._nonce,
            boot_id=ports.clock.boot_id(),
            facts=facts,
            receipt_key_pem=ports.receipt_key_pem,
            journal=tuple((r.warrant.assignment_id, r.state.value) for r in records if not r.ended),
            installed=installed,
            first_unacknowledged=ports.outbox.first_unacknowledged,
            source_root_sha256=ports.source.root_sha256(),
            checkpoint=ports.memory.checkpoint,
            sent_time=ports.clock.now(),
            newest_receipt=ports.outbox.newest_receipt,
        )

    async def _on_welcome(self, welcome: m.Welcome) -> None:
        ports = self._ports
        if was_set(ports.clock, welcome.controller_time):
            await self._obey(lambda: ports.orders.hold_all(CLOCK_WAS_SET))
        wished = welcome.heartbeat_seconds or limits.heartbeat_default_seconds
        self._heartbeat_seconds = max(1, min(wished, limits.heartbeat_cap_seconds))
        lacking = await asyncio.to_thread(ports.outbox.lacking, welcome.newest_receipt)
        await asyncio.to_thread(ports.outbox.acknowledge, welcome.acknowledged_sequence)
        await asyncio.to_thread(ports.memory.welcomed, welcome)
        await self._obey(lambda: ports.orders.freeze(active=welcome.frozen, reason=_FREEZE if welcome.frozen else ""))
        self._speech.begin(lacking)
        self._connected = self._welcomed = True
        self._receipt_for(welcome.sop)
        _log.info("controller_connected", address=ports.link.address, controller_version=welcome.version)
        self._status_changed.set()
        self._measure_now.set()
        self._care.look.set()
        ports.worker.wake()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            self._say(m.Heartbeat(self._ports.clock.now()))

    async def _listen(self, incoming: AsyncIterator[m.Incoming]) -> None:
        async for message in incoming:
            await self._take(message)
            if isinstance(message, m.Draining):
                return

    async def _take(self, message: m.Incoming) -> None:  # noqa: C901, PLR0912  one arm for each word of the wire
        ports = self._ports
        match message:
            case m.WarrantOffered():
                ports.worker.offer(message.payload, message.signature)
            case m.Acknowledged():
                await asyncio.to_thread(ports.outbox.acknowledge, message.sequence)
                self._acknowledged.set()
            case m.LeaseRenewed(assignment_id=key) | m.RebootLeased(assignment_id=key) if ports.worker.knows(key):
                await self._obey(lambda: _give_leave(ports.orders, message))
            case m.Withdrawn(assignment_id=key) if ports.worker.knows(key):
                await self._obey(lambda: ports.orders.withdraw(key, message.reason))
            case m.FreezeSet():
                _log.info("freeze_set", active=message.active, reason=message.reason)
                await self._obey(lambda: ports.orders.freeze(active=message.active, reason=message.reason or _FREEZE))
            case m.MeasureAsked():
                self._in_background(self._measure(message.request_id))
            case m.SopInForce():
                await asyncio.to_thread(ports.memory.sop_changed, message)
                self._receipt_for(message)
                self._status_changed.set()
                self._measure_now.set()
            case m.SourceNamed():
                ports.worker.do(lambda: self._designate(message))
            case m.LabelsTold():
                await asyncio.to_thread(ports.memory.labels_told, message.labels)
                self._measure_now.set()
                ports.worker.wake()
            case m.TrustChanged():
                await asyncio.to_thread(ports.certificates.trust_changed, message)
            case m.CheckpointTold():
                await asyncio.to_thread(ports.memory.checkpoint_told, message)
                self._status_changed.set()
            case m.Draining():
                self._pause_hint_seconds = max(0, message.reconnect_after_seconds)
            case _:
                _log.debug("message_passed_over", kind=type(message).__name__)

    def _receipt_for(self, sop: m.SopInForce | None) -> None:
        """Say which SOP lies in this computer's memory now; said again with every connection."""
        if sop is not None:
            self._say(m.SopHeld(sop.id, sop.revision, sop.policy_sha256))

    async def _obey(self, order: Callable[[], object]) -> None:
        """Carry an order out and let the worker look; on a full disk it still holds for this process."""
        try:
            await asyncio.to_thread(order)
        except OSError as error:
            _log.error("order_not_kept", error=str(error))
        self._ports.worker.wake()

    def _designate(self, named: m.SourceNamed) -> None:
        """Take the source up, once, in the worker's thread, and say what came of it."""
        answer = self._ports.source.designate(named)
        self._ports.outbox.put("source_designated", answer)
        _log.info("source_designated", **answer)
        self._call(self._measure_now.set)
        self._ports.worker.wake()

    def _on_moved(self, record: Record) -> None:
        self._status_changed.set()
        if record.ended:
            self._in_background(self._report_facts())
            self._measure_now.set()

    async def _report_facts(self, *, changed_only: bool = False) -> None:
        facts, installed = await asyncio.to_thread(self._ports.inventory.take)
        if changed_only and (facts, installed) == self._told_facts:
            return
        self._told_facts = (facts, installed)
        self._say(m.FactsMeasured(facts, installed))
        self._status_changed.set()

    async def _measure(self, request_id: str = "") -> None:
        readiness = await asyncio.to_thread(self._ports.meter.measure, self._ports.memory.policy, Need())
        if request_id:
            self._say(m.ReadinessMeasured(readiness, request_id))

    async def _measure_regularly(self) -> None:
        while True:
            await at_most(limits.readiness_interval_seconds, self._measure_now)
            self._measure_now.clear()
            self._ports.worker.do(self._ports.worker.look_at_packages)
            await self._measure()
            await self._report_facts(changed_only=True)

    async def _publish_status(self) -> None:
        while True:
            await asyncio.to_thread(self._tell_board)
            await asyncio.sleep(limits.status_interval_seconds)
            await self._status_changed.wait()
            self._status_changed.clear()

    def _tell_board(self) -> None:
        unfinished = self._ports.worker.unfinished()
        self._ports.board.publish(connected=self._connected, address=self._ports.link.address, unfinished=unfinished)

    def _note_connection(self, why: str) -> None:
        if self._connected or why != self._ports.board.connection_error:
            _log.warning("controller_disconnected", reason=why)
        self._connected = False
        self._ports.board.connection_error = why
        self._status_changed.set()

    def _say(self, message: m.Outgoing) -> None:
        """Say something that may be lost; nobody is there to hear it without a stream."""
        if self._connected:
            self._speech.say(message)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


_FREEZE = "a freeze is in force"


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def _give_leave(orders: Orders, message: m.LeaseRenewed | m.RebootLeased) -> None:
    key, reason, despite = message.assignment_id, message.reason, message.despite_freeze
    if isinstance(message, m.RebootLeased):
        orders.reboot_lease(key, RebootLease(message.reboot_until_time, reason, despite))
    else:
        orders.lease(key, message.start_until_time, reason, despite_freeze=despite)
