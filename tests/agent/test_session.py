"""The agent's session over a real gRPC stream with mutual TLS, against a controller that remembers what it heard."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from sopwith.v1 import agent_service_pb2 as pb
from sopwith_agent.adapters.clock import SystemClock
from sopwith_agent.adapters.controller_link import GrpcLink
from sopwith_agent.adapters.fleet_memory import FileMemory
from sopwith_agent.adapters.identity_store import IdentityStore
from sopwith_agent.adapters.inventory import ComputerInventory
from sopwith_agent.adapters.state_folder import FileBoard, read_status
from sopwith_agent.domain.messages import Body, SourceNamed
from sopwith_agent.session import Session
from sopwith_agent.steps.session_ports import SessionPorts
from sopwith_formats.agent_policy import AgentPolicy
from sopwith_formats.receipt import read_receipt
from tests.agent.fake_controller import FakeController
from tests.agent.workshop import Workshop


class Desk:
    """A source that takes one designation."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop

    def root_sha256(self) -> str:
        return self.shop.source.root

    def designate(self, named: SourceNamed) -> Body:
        accepted = not self.shop.source.root
        self.shop.source.root = self.shop.source.root or "9" * 64
        return {"root_sha256": self.shop.source.root, "accepted": accepted, "reason": "" if accepted else "known"}


class Computer:
    """An agent's process: a workshop, an identity and a session over the real link."""

    def __init__(self, folder: Path, identity: IdentityStore) -> None:
        self.shop = Workshop(folder, SystemClock())
        self.identity = identity
        self.stop = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        shop, clock = self.shop, SystemClock()
        shop.clock = clock
        shop.keys = self.identity  # type: ignore[assignment]
        shop.start()
        self.stop = asyncio.Event()
        memory = FileMemory(shop.folder, self.identity)
        self.board = FileBoard(shop.folder, clock.now, lambda: {"name": memory.name, "checkpoint": memory.checkpoint})
        self.session = Session(
            SessionPorts(
                link=GrpcLink(self.identity, clock.now),
                worker=shop.worker,
                outbox=shop.outbox,
                journal=shop.journal,
                orders=shop.orders,
                meter=shop.meter,
                clock=clock,
                certificates=self.identity,
                inventory=ComputerInventory(shop.sensors, shop.register, shop.bench.installed_version),
                source=Desk(shop),
                memory=memory,
                board=self.board,
                version="0.1.0",
                receipt_key_pem=self.identity.receipt_key_pem(),
            )
        )
        shop.tell_readiness = self.session.measured
        self.task = asyncio.create_task(self.session.run(self.stop))

    async def end(self) -> None:
        self.stop.set()
        if self.task is not None:
            await self.task
            self.task = None


@pytest.fixture
async def controller() -> AsyncIterator[FakeController]:
    made = FakeController()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def computer(controller: FakeController, tmp_path: Path) -> AsyncIterator[Computer]:
    made = Computer(tmp_path, controller.enrol(tmp_path / "identity"))
    yield made
    await made.end()


async def test_hello_says_who_comes_and_readiness_follows(controller: FakeController, computer: Computer) -> None:
    computer.start()

    await controller.until(controller.readiness)

    (hello,) = controller.hellos
    assert hello.version == "0.1.0"
    assert hello.facts["os"] == "linux"
    assert hello.receipt_key_pem == computer.identity.receipt_key_pem()
    assert [reason.code for reason in controller.readiness()[0].readiness.reasons] == []


async def test_warrant_becomes_one_receipt(controller: FakeController, computer: Computer) -> None:
    computer.shop.install("1")
    computer.start()

    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2")))
    await controller.until(controller.receipts)

    receipt = read_receipt(controller.receipts()[0].payload)
    assert (receipt.outcome, receipt.version_before, receipt.version_after) == ("SUCCEEDED", "1", "2")
    assert controller.progress() == ["PREPARING", "DOWNLOADING", "STAGED", "INSTALLING", "CONFIRMING"]
    assert sorted(controller.recorded) == list(range(1, len(controller.recorded) + 1))
    await controller.until(lambda: any(m.facts_changed.installed == {"hello": "2"} for m in controller.heard))


async def test_warrant_of_another_key_is_refused(controller: FakeController, computer: Computer) -> None:
    computer.start()
    warrant = computer.shop.warrant(computer.shop.publish("2"))

    await controller.say(pb.ControllerMessage(warrant=pb.Warrant(payload=warrant.payload(), signature=b"no")))
    await controller.until(controller.receipts)

    receipt = read_receipt(controller.receipts()[0].payload)
    assert (receipt.outcome, receipt.symptom) == ("FAILED", "WARRANT_REFUSED")


async def test_lease_renewal_starts_a_staged_install(controller: FakeController, computer: Computer) -> None:
    computer.start()
    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2"), start_until_time=None))
    await controller.until(lambda: controller.progress()[-1:] == ["STAGED"])

    renewal = pb.LeaseRenewal(assignment_id="a-1")
    renewal.start_until_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=5))
    await controller.say(pb.ControllerMessage(lease_renewal=renewal))
    await controller.until(controller.receipts)

    assert read_receipt(controller.receipts()[0].payload).outcome == "SUCCEEDED"


async def test_leave_to_reboot_reboots_a_computer_that_waits_for_it(
    controller: FakeController, computer: Computer
) -> None:
    computer.shop.power.allowed = True
    computer.start()
    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2", reboot="always")))
    await controller.until(lambda: controller.progress()[-1:] == ["AWAITING_REBOOT"])

    lease = pb.RebootLease(assignment_id="a-1")
    lease.reboot_until_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=5))
    await controller.say(pb.ControllerMessage(reboot_lease=lease))
    await controller.until(lambda: controller.progress()[-1:] == ["REBOOTING"])

    assert computer.shop.power.reboots <= 1


async def test_freeze_stops_starts_until_it_ends(controller: FakeController, computer: Computer) -> None:
    controller.frozen = True
    computer.start()
    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2")))
    await controller.until(lambda: controller.progress()[-1:] == ["STAGED"])
    commits = computer.shop.installer.commits

    await controller.say(pb.ControllerMessage(freeze=pb.Freeze(active=False)))
    await controller.until(controller.receipts)

    assert (commits, computer.shop.installer.commits) == (0, 1)


async def test_withdrawal_before_the_install_cancels(controller: FakeController, computer: Computer) -> None:
    computer.start()
    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2"), start_until_time=None))
    await controller.until(lambda: controller.progress()[-1:] == ["STAGED"])

    await controller.say(pb.ControllerMessage(withdraw=pb.Withdraw(assignment_id="a-1", reason="superseded")))
    await controller.until(controller.receipts)

    assert read_receipt(controller.receipts()[0].payload).outcome == "CANCELLED"


async def test_measure_request_is_answered_with_its_id(controller: FakeController, computer: Computer) -> None:
    computer.start()

    await controller.say(pb.ControllerMessage(measure_request=pb.MeasureRequest(request_id="q-7")))

    await controller.until(lambda: any(report.request_id == "q-7" for report in controller.readiness()))


async def test_leave_to_start_is_void_once_the_controllers_clock_was_set(
    controller: FakeController, computer: Computer
) -> None:
    computer.start()
    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2"), start_until_time=None))
    await controller.until(lambda: controller.progress()[-1:] == ["STAGED"])
    await controller.stop()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    controller.clock_ahead = timedelta(days=1)
    computer.shop.orders.lease("a-1", tomorrow + timedelta(minutes=5))
    computer.shop.orders.freeze(active=True, reason="until the controller is back")

    await controller.start()
    await controller.until(lambda: len(controller.hellos) == 2)
    await controller.until(lambda: not computer.shop.orders.frozen)

    assert computer.shop.orders.try_start("a-1", tomorrow) == "the controller's clock was set"


async def test_heartbeats_come_as_often_as_the_welcome_asks(controller: FakeController, computer: Computer) -> None:
    controller.heartbeat_seconds = 1
    computer.start()

    await controller.until(lambda: any(message.HasField("heartbeat") for message in controller.heard))


async def test_update_finishes_while_the_controller_is_away_and_is_told_once(
    controller: FakeController, computer: Computer
) -> None:
    computer.start()
    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2"), start_until_time=None))
    await controller.until(lambda: controller.progress()[-1:] == ["STAGED"])
    await controller.stop()
    computer.shop.orders.lease("a-1", datetime.now(UTC) + timedelta(minutes=5))
    computer.shop.worker.wake()
    await _until(lambda: not computer.shop.worker.unfinished())

    await controller.start()
    await controller.until(controller.receipts)

    assert [read_receipt(receipt.payload).outcome for receipt in controller.receipts()] == ["SUCCEEDED"]
    assert controller.contradictions == []
    assert len(controller.hellos) == 2


async def test_controller_that_never_acknowledged_hears_everything_again_unchanged(
    controller: FakeController, computer: Computer
) -> None:
    controller.acknowledges = False
    computer.start()
    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2")))
    await controller.until(controller.receipts)
    await computer.end()
    heard = len(controller.heard)

    computer.start()
    await controller.until(lambda: len([m for m in controller.heard[heard:] if m.sequence]) == len(controller.recorded))

    assert controller.hellos[1].first_unacknowledged == 1
    assert controller.contradictions == []
    assert len(controller.receipts()) == 1


async def test_controller_from_a_backup_is_sent_again_what_it_lacks_before_anything_else(
    controller: FakeController, computer: Computer
) -> None:
    computer.start()
    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2")))
    await controller.until(controller.receipts)
    await computer.end()
    first, second = controller.signed()
    heard = len(controller.heard)
    controller.newest_receipt = (1, hashlib.sha256(first.payload).hexdigest())
    computer.shop.outbox.put("source_designated", {"root_sha256": "", "accepted": False, "reason": ""})

    computer.start()
    await controller.until(lambda: any(m.HasField("source_designated") for m in controller.heard))

    assert controller.hellos[1].newest_receipt.number == 2
    assert controller.hellos[1].newest_receipt.payload_sha256 == hashlib.sha256(second.payload).hexdigest()
    kinds = [(m.WhichOneof("content"), m.sequence) for m in controller.heard[heard:]]
    again = [kind for kind, _ in kinds if kind in {"receipt_again", "source_designated"}]
    assert again == ["receipt_again", "source_designated"]
    assert [m.receipt_again for m in controller.heard if m.HasField("receipt_again")] == [second]
    assert controller.contradictions == []


async def test_restarted_agent_goes_on_where_its_journal_says(controller: FakeController, computer: Computer) -> None:
    computer.start()
    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2"), start_until_time=None))
    await controller.until(lambda: controller.progress()[-1:] == ["STAGED"])
    await computer.end()

    computer.start()
    await controller.until(lambda: len(controller.hellos) == 2)
    journal = [(entry.assignment_id, entry.state) for entry in controller.hellos[1].journal]
    renewal = pb.LeaseRenewal(assignment_id="a-1")
    renewal.start_until_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=5))
    await controller.say(pb.ControllerMessage(lease_renewal=renewal))
    await controller.until(controller.receipts)

    assert journal == [("a-1", "STAGED")]
    assert read_receipt(controller.receipts()[0].payload).outcome == "SUCCEEDED"


async def test_drain_hint_is_obeyed(controller: FakeController, computer: Computer) -> None:
    computer.start()
    await controller.until(controller.readiness)
    loop = asyncio.get_running_loop()
    drained = loop.time()

    await controller.say(pb.ControllerMessage(drain=pb.Drain(reconnect_after_seconds=2)))
    await controller.until(lambda: len(controller.hellos) == 2)

    assert loop.time() - drained >= 1.9


async def test_source_is_designated_once_and_the_answer_is_kept(controller: FakeController, computer: Computer) -> None:
    computer.shop.source.root = ""
    computer.start()
    await controller.until(controller.readiness)
    before = [reason.code for reason in controller.readiness()[-1].readiness.reasons]

    named = pb.SourceDesignation(root_json=b"{}", metadata_url="https://x/m/", files_url="https://x/t/")
    for _ in range(2):
        await controller.say(pb.ControllerMessage(source_designation=named))
    await controller.until(lambda: len([m for m in controller.heard if m.HasField("source_designated")]) == 2)

    answers = [m.source_designated.accepted for m in controller.heard if m.HasField("source_designated")]
    assert before == ["SOURCE_NOT_DESIGNATED"]
    assert answers == [True, False]
    await controller.until(lambda: not controller.readiness()[-1].readiness.reasons)


@pytest.mark.clause("5 Distribute and integrate", "agent")
async def test_sop_and_status_are_kept_for_people_without_the_controller(
    controller: FakeController, computer: Computer
) -> None:
    computer.start()
    sop = pb.SopUpdate(id="SU-SOP-001", revision=3, policy_sha256="a" * 64)
    sop.agent_policy_json = AgentPolicy(clock_skew_seconds=7).to_json().decode()

    await controller.say(pb.ControllerMessage(sop_update=sop))
    await controller.until(lambda: any(m.sop_held.revision == 3 for m in controller.heard))
    kept = computer.shop.folder / "fleet.json"
    await _until(lambda: kept.exists() and json.loads(kept.read_text())["sop"])
    await computer.end()

    again = FileMemory(computer.shop.folder, computer.identity)
    assert again.sop is not None
    assert (again.sop.revision, again.policy.clock_skew_seconds) == (3, 7)
    assert read_status(computer.shop.folder)["connected"] is False


async def test_receipt_for_the_sop_is_given_with_every_connection(
    controller: FakeController, computer: Computer
) -> None:
    controller.sop = pb.SopUpdate(id="SU-SOP-001", revision=2, policy_sha256="b" * 64)
    controller.sop.agent_policy_json = AgentPolicy().to_json().decode()

    computer.start()
    await controller.until(lambda: any(m.HasField("sop_held") for m in controller.heard))

    (held,) = [message for message in controller.heard if message.HasField("sop_held")]
    assert (held.sop_held.id, held.sop_held.revision, held.sop_held.policy_sha256) == ("SU-SOP-001", 2, "b" * 64)
    assert held.sequence == 0


async def test_certificate_is_renewed_at_two_thirds_of_its_life(controller: FakeController, tmp_path: Path) -> None:
    computer = Computer(tmp_path, controller.enrol(tmp_path / "identity", days_ago=21))
    key = computer.identity.pair().key_pem
    computer.start()

    await _until(lambda: computer.identity.dates().not_after > datetime.now(UTC) + timedelta(days=29))
    await computer.end()

    assert controller.renewals == 1
    assert computer.identity.pair().key_pem == key


async def test_expired_certificate_is_named_and_not_taken_for_a_dead_network(
    controller: FakeController, tmp_path: Path
) -> None:
    computer = Computer(tmp_path, controller.enrol(tmp_path / "identity", days_ago=60))
    computer.start()

    await _until(lambda: "ran out" in computer.board.connection_error)
    await computer.end()

    assert controller.hellos == []


async def test_certificate_of_another_fleet_is_not_talked_to(controller: FakeController, tmp_path: Path) -> None:
    stranger = FakeController()
    stranger.port = controller.port
    computer = Computer(tmp_path, stranger.enrol(tmp_path / "identity"))
    computer.start()

    await _until(lambda: "does not answer" in computer.board.connection_error)
    await computer.end()

    assert controller.hellos == []


async def test_refusal_is_told_in_the_controllers_words(controller: FakeController, computer: Computer) -> None:
    controller.refuses = (grpc.StatusCode.PERMISSION_DENIED, "pc1 is RETIRED")
    computer.start()

    await _until(lambda: "pc1 is RETIRED" in computer.board.connection_error)


async def test_first_redial_comes_within_a_second(controller: FakeController, computer: Computer) -> None:
    computer.start()
    await controller.until(controller.readiness)
    await controller.stop()
    await controller.start()

    await controller.until(lambda: len(controller.hellos) == 2, seconds=4)


async def test_stop_parks_and_ends_within_ten_seconds(controller: FakeController, computer: Computer) -> None:
    computer.start()
    await controller.send_warrant(computer.shop.warrant(computer.shop.publish("2"), start_until_time=None))
    await controller.until(lambda: controller.progress()[-1:] == ["STAGED"])

    async with asyncio.timeout(10):
        await computer.end()

    assert computer.shop.record().state.value == "STAGED"


async def _until(found: Callable[[], object]) -> None:
    """Wait for something that happens in another thread, or is a file."""
    async with asyncio.timeout(20):
        while not found():  # noqa: ASYNC110  threads and files raise no events
            await asyncio.sleep(0.02)
