"""What every implementation of the controller's memory promises; run on the fake, on SQLite and on PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sopwith_controller.domain import deviation, entities, incident_entities, rollout_entities
from sopwith_controller.domain.durations import Measurement
from sopwith_controller.domain.errors import ConflictError, NotFoundError
from sopwith_controller.domain.lasting_entities import Baseline, Repetition
from sopwith_controller.domain.log_recovery import LogRecovery
from sopwith_controller.domain.rollout_entities import RolloutState, WaveShare
from sopwith_controller.services.lasting_repositories import ReceiptRow
from sopwith_controller.services.repositories import AgentMessageRow
from sopwith_formats import merkle
from sopwith_formats.errors import FormatError
from sopwith_formats.vocabulary import AssignmentState
from tests import builders as make
from tests.builders import NOON

EVERYTHING_COMPUTER = make.computer(
    "full",
    state=entities.ComputerState.QUARANTINED,
    labels={"site": "berlin", "ä": "ü\n"},
    facts={"os": "linux", "memory": 2**40, "list": [1, None, True, {"a": ["b"]}], "zero": "\x00"},
    facts_time=NOON + timedelta(microseconds=7),
    installed={"hello": "1"},
    readiness=entities.Readiness(
        "NOT_READY",
        (entities.Reason("DISK_FULL", "no room", "make some"),),
        ({"name": "disk", "result": "BLOCKED"},),
        NOON,
    ),
    last_seen_time=NOON,
    asleep=True,
    receipt_key_pem="PEM",
    receipts_seen=3,
    acknowledged_sequence=2**40,
    process_nonce="n",
    boot_id="b",
    source_root_sha256=make.SHA,
    state_reason="cloned",
    newest_receipt_sha256=make.SHA,
)
EVERYTHING_SOP = make.sop_revision(
    signatures=(entities.SopSignature("p-1", "owner", "owner", "Approved", "approve", NOON, "{}", "sha256:k", True),),
    acknowledged_by=("manager", "owner"),
    document=bytes(range(256)),
    submitted_time=NOON,
    effective_time=NOON,
    ended_time=NOON,
)
EVERYTHING_ROLLOUT = make.rollout(
    approvals=(rollout_entities.Approval("manager", make.SHA, NOON, "{}"),),
    waves=(rollout_entities.WaveProgress(NOON, None, NOON), rollout_entities.WaveProgress()),
    started_time=NOON,
    ended_time=NOON,
    deadline_time=NOON,
    counted_from=NOON,
    emergency=True,
    generation=4,
    origin="catch_up",
    origin_id="r-0",
)
EVERYTHING_ASSIGNMENT = make.assignment(
    state=AssignmentState.ENDED,
    outcome="FAILED",
    reasons=(entities.Reason("POWER_LOW", "on battery"),),
    next_try_time=NOON,
    offered_time=NOON,
    start_until_time=NOON,
    install_started_time=NOON,
    ended_time=NOON,
    reported_time=NOON,
    lost_time=NOON,
    reboot_asked_time=NOON,
    reboot_wanted=True,
    reboot_forced=True,
    reboot_until_time=NOON,
    percent=55,
)
EVERYTHING_INCIDENT = make.incident(
    computers=("pc1", "pc2"),
    due_time=NOON,
    acknowledged_time=NOON,
    resolved_time=NOON,
    notes=(incident_entities.IncidentNote("manager", NOON, "look\x00", True),),
    told_computers=("pc1",),
    last_told_time=NOON,
    state=incident_entities.IncidentState.ACKNOWLEDGED,
)


EVERYTHING_DEVIATION = deviation.Deviation(
    id="d-1",
    gate="window",
    state=deviation.DeviationState.APPROVED,
    reason="the vendor's engineer is here today only",
    measure="two people watch the canary",
    requester="otto",
    sop_id="SU-SOP-001",
    created_time=NOON,
    expires_time=NOON + timedelta(days=7),
    rollout_id="r-1",
    plan_sha256="ab" * 32,
    selector="site=berlin",
    approver="mia",
    approved_time=NOON,
    closed_by="mia",
    closed_time=NOON,
    closing_reason="done",
)


async def test_deviations_are_found_by_age_and_by_what_still_lives(database):
    async with database.write() as unit:
        for number, state in enumerate(deviation.DeviationState):
            await unit.deviations.put(
                replace(
                    EVERYTHING_DEVIATION, id=f"d-{number}", state=state, created_time=NOON + timedelta(hours=number)
                )
            )
        await unit.commit()

    async with database.read() as unit:
        assert [one.id for one in await unit.deviations.all()] == ["d-3", "d-2", "d-1", "d-0"]
        assert [one.id for one in await unit.deviations.unended()] == ["d-1", "d-0"]
        assert await unit.deviations.get("d-9") is None


async def test_many_computers_are_put_at_once(database):
    many = [make.computer(f"pc{number}", last_seen_time=NOON if number % 2 else None) for number in range(3)]
    async with database.write() as unit:
        await unit.computers.put_all(many)
        await unit.computers.put_all([])
        await unit.commit()

    async with database.read() as unit:
        assert list(await unit.computers.all()) == many


EVERYTHING_FREEZE = incident_entities.Freeze("f-1", "holidays", "owner", NOON, NOON, "mia", "plant", "u1@x")


async def test_everything_put_is_read_back_equal(database):
    async with database.write() as unit:
        await unit.put_settings(make.settings())
        await unit.computers.put(EVERYTHING_COMPUTER)
        await unit.computers.put(make.computer())
        await unit.certificates.put(make.certificate(revoked_time=NOON))
        await unit.people.put(make.person(roles=("owner", "auditor"), certificate_expires_time=NOON))
        await unit.tokens.put(make.token(labels={"site": "berlin"}, revoked=True))
        await unit.releases.put(make.release(withdrawal_signed=True))
        await unit.sops.put(EVERYTHING_SOP)
        await unit.rollouts.put(EVERYTHING_ROLLOUT)
        await unit.assignments.put_all([EVERYTHING_ASSIGNMENT])
        await unit.freezes.put(EVERYTHING_FREEZE)
        await unit.deviations.put(EVERYTHING_DEVIATION)
        await unit.incidents.put(EVERYTHING_INCIDENT)
        await unit.notifications.put(make.notification(dispatched_time=NOON, next_try_time=NOON, attempts=2))
        await unit.commit()

    async with database.read() as unit:
        assert await unit.settings() == make.settings()
        assert await unit.computers.get("c-full") == EVERYTHING_COMPUTER
        assert await unit.certificates.get("0a") == make.certificate(revoked_time=NOON)
        assert (await unit.people.all())[0].roles == ("owner", "auditor")
        assert await unit.tokens.get("t-1") == make.token(labels={"site": "berlin"}, revoked=True)
        assert await unit.releases.get("hello", "1") == make.release(withdrawal_signed=True)
        assert await unit.sops.get("SU-SOP-001", 1) == EVERYTHING_SOP
        assert await unit.rollouts.get("r-1") == EVERYTHING_ROLLOUT
        assert await unit.assignments.get("a-0") == EVERYTHING_ASSIGNMENT
        assert (await unit.freezes.all())[0] == EVERYTHING_FREEZE
        assert await unit.deviations.get("d-1") == EVERYTHING_DEVIATION
        assert await unit.incidents.get("i-1") == EVERYTHING_INCIDENT
        sent = make.notification(dispatched_time=NOON, next_try_time=NOON, attempts=2)
        assert await unit.notifications.of_incident("i-1") == [sent]


async def test_what_is_absent_is_none_or_empty(database):
    async with database.read() as unit:
        assert await unit.computers.get("x") is None
        assert await unit.computers.find("x") is None
        assert await unit.computers.many([]) == []
        assert await unit.certificates.get("x") is None
        assert await unit.people.find("x") is None
        assert await unit.tokens.by_secret("x") is None
        assert await unit.releases.get("x", "1") is None
        assert await unit.sops.effective("x") is None
        assert await unit.sops.newest("x") is None
        assert await unit.rollouts.find("x") is None
        assert await unit.assignments.of_rollout("x") == []
        assert await unit.incidents.get("x") is None
        assert await unit.requests.result_of("x") is None
        assert await unit.update_log.size() == 0
        assert await unit.update_log.newest_checkpoint() == ""
        with pytest.raises(NotFoundError):
            await unit.settings()


async def test_a_unit_left_without_commit_changes_nothing(database):
    async with database.write() as unit:
        await unit.computers.put(make.computer())
        await unit.update_log.append(make.log_draft())

    async with database.read() as unit:
        assert await unit.computers.all() == []
        assert await unit.update_log.size() == 0


async def test_a_unit_left_by_an_error_changes_nothing(database):
    async def fail() -> None:
        async with database.write() as unit:
            await unit.computers.put(make.computer())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    async with database.read() as unit:
        assert await unit.computers.all() == []


async def test_an_entry_that_cannot_be_written_takes_the_change_with_it(database):
    async def fail() -> None:
        async with database.write() as unit:
            await unit.computers.put(make.computer())
            await unit.update_log.append(make.log_draft(details={"share": 0.5}))
            await unit.commit()

    with pytest.raises(FormatError, match="float"):
        await fail()

    async with database.read() as unit:
        assert await unit.computers.all() == []
        assert await unit.update_log.size() == 0


async def test_a_unit_sees_its_own_changes_and_others_do_not_before_the_commit(database):
    async with database.write() as writing, database.read() as before:
        await writing.computers.put(make.computer())
        assert await writing.computers.find("pc1") is not None
        assert await before.computers.find("pc1") is None
        await writing.commit()

    async with database.read() as unit:
        assert await unit.computers.find("pc1") is not None


async def test_a_reader_keeps_the_state_it_began_with(database):
    async with database.read() as reading:
        assert await reading.computers.all() == []
        async with database.write() as writing:
            await writing.computers.put(make.computer())
            await writing.commit()

        assert await reading.computers.all() == []


async def test_writers_come_one_after_another(database):
    async with database.write() as unit:
        await unit.tokens.put(make.token(uses_left=50))
        await unit.commit()

    async def use() -> None:
        async with database.write() as unit:
            token = await unit.tokens.get("t-1")
            await asyncio.sleep(0)
            await unit.tokens.put(replace(token, uses_left=token.uses_left - 1))
            await unit.commit()

    await asyncio.gather(*(use() for _ in range(20)))

    async with database.read() as unit:
        assert (await unit.tokens.get("t-1")).uses_left == 30


async def test_a_writer_inside_a_writer_is_refused_instead_of_waiting_forever(database):
    async with database.write():
        with pytest.raises(RuntimeError, match="open in this task"):
            async with database.write():
                pass


async def test_a_reading_unit_refuses_to_write(database):
    async with database.read() as unit:
        with pytest.raises(RuntimeError, match="only reads"):
            await unit.computers.put(make.computer())
        with pytest.raises(RuntimeError, match="only reads"):
            await unit.commit()


async def test_nothing_goes_through_a_unit_that_has_ended(database):
    async with database.write() as unit:
        await unit.commit()
        with pytest.raises(RuntimeError, match="ended"):
            await unit.computers.put(make.computer())

    with pytest.raises(RuntimeError, match="ended"):
        await unit.computers.all()


async def test_an_assignment_of_nothing_is_refused_with_all_its_unit(database):
    async def fail() -> None:
        async with database.write() as unit:
            await unit.people.put(make.person())
            await unit.assignments.put_all([make.assignment()])
            await unit.commit()

    with pytest.raises(ConflictError):
        await fail()

    async with database.read() as unit:
        assert await unit.people.all() == []


async def test_the_accepted_computer_of_a_name_is_found_then_the_newest(database):
    retired = make.computer(id="c-1", state=entities.ComputerState.RETIRED, enrolled_time=NOON + timedelta(days=2))
    accepted = make.computer(id="c-2")
    pending = make.computer(id="c-3", state=entities.ComputerState.PENDING, enrolled_time=NOON + timedelta(days=1))
    async with database.write() as unit:
        for one in (retired, accepted, pending, make.computer("pc0", key_fingerprint="sha256:pc1")):
            await unit.computers.put(one)
        await unit.commit()

    async with database.read() as unit:
        assert (await unit.computers.find("pc1")).id == "c-2"
        assert (await unit.computers.find("c-3")).id == "c-3"
        assert (await unit.computers.by_key("sha256:pc1")).id == "c-1"
        assert [one.name for one in await unit.computers.all()] == ["pc0", "pc1", "pc1", "pc1"]
        assert {one.id for one in await unit.computers.many(["c-1", "c-2", "c-1", "x"])} == {"c-1", "c-2"}


async def test_names_are_ordered_by_code_point(database):
    async with database.write() as unit:
        for name in ("b", "A", "a", "B", "ä", "_"):
            await unit.computers.put(make.computer(name))
        await unit.commit()

    async with database.read() as unit:
        assert [one.name for one in await unit.computers.all()] == ["A", "B", "_", "a", "b", "ä"]


async def test_the_last_contact_never_goes_back(database):
    async with database.write() as unit:
        await unit.computers.put(make.computer())
        await unit.computers.touch({"c-pc1": NOON + timedelta(minutes=5), "c-unknown": NOON})
        await unit.computers.touch({"c-pc1": NOON})
        await unit.computers.put(make.computer(last_seen_time=NOON + timedelta(minutes=1)))
        await unit.computers.put(make.computer(asleep=True))
        await unit.commit()

    async with database.read() as unit:
        found = await unit.computers.get("c-pc1")
        assert found.last_seen_time == NOON + timedelta(minutes=5)
        assert found.asleep
        assert await unit.computers.get("c-unknown") is None


async def test_revoked_serials_are_those_that_would_still_be_accepted(database):
    async with database.write() as unit:
        await unit.certificates.put(make.certificate("01", revoked_time=NOON))
        await unit.certificates.put(make.certificate("02", revoked_time=NOON, expires_time=NOON))
        await unit.certificates.put(make.certificate("03", issued_time=NOON + timedelta(hours=1)))
        await unit.commit()

    async with database.read() as unit:
        assert await unit.certificates.revoked_serials() == ["01"]
        assert [one.serial for one in await unit.certificates.of_subject("c-pc1")] == ["03", "02", "01"]


async def test_tokens_are_found_by_digest_and_listed_newest_first(database):
    async with database.write() as unit:
        await unit.tokens.put(make.token("t-1"))
        await unit.tokens.put(make.token("t-2", created_time=NOON + timedelta(hours=1)))
        await unit.commit()

    async with database.read() as unit:
        assert (await unit.tokens.by_secret("digest-t-2")).id == "t-2"
        assert [one.id for one in await unit.tokens.all()] == ["t-2", "t-1"]


async def test_a_rolled_back_release_is_held_back_until_permitted(database):
    async with database.write() as unit:
        await unit.releases.put(make.release())
        for computer_id in ("c-1", "c-2", "c-2"):
            await unit.releases.note_rolled_back("hello", "1", computer_id)
        await unit.releases.permit("hello", "1", ["c-1", "c-9"], "manager")
        await unit.commit()

    async with database.write() as unit:
        assert await unit.releases.rolled_back_on("hello", "1") == ["c-2"]
        assert await unit.releases.rolled_back_on("hello", "2") == []
        await unit.releases.note_rolled_back("hello", "1", "c-1")
        assert await unit.releases.rolled_back_on("hello", "1") == ["c-1", "c-2"]


async def test_releases_are_listed_by_name_and_time(database):
    async with database.write() as unit:
        await unit.releases.put(make.release("b", "9", published_time=NOON - timedelta(days=1)))
        await unit.releases.put(make.release("a", "10", published_time=NOON + timedelta(days=1)))
        await unit.releases.put(make.release("a", "9"))
        await unit.commit()

    async with database.read() as unit:
        assert [one.release for one in await unit.releases.all()] == ["a@9", "a@10", "b@9"]


async def test_sop_revisions_are_ordered_and_one_is_effective(database):
    states = entities.SopState.SUPERSEDED, entities.SopState.EFFECTIVE, entities.SopState.DRAFT
    async with database.write() as unit:
        for number, state in enumerate(states, start=9):
            await unit.sops.put(make.sop_revision(number, state=state))
        await unit.sops.put(make.sop_revision(id="SU-SOP-002"))
        await unit.commit()

    async with database.read() as unit:
        assert [one.revision for one in await unit.sops.revisions("SU-SOP-001")] == [9, 10, 11]
        assert (await unit.sops.effective("SU-SOP-001")).revision == 10
        assert (await unit.sops.newest("SU-SOP-001")).revision == 11
        assert await unit.sops.ids() == ["SU-SOP-001", "SU-SOP-002"]


async def test_rollouts_are_found_by_id_then_by_newest_name(database):
    async with database.write() as unit:
        await unit.rollouts.put(make.rollout("r-1"))
        await unit.rollouts.put(make.rollout("r-2", created_time=NOON + timedelta(hours=1)))
        await unit.rollouts.put(make.rollout("r-3", name="other", state=rollout_entities.RolloutState.RUNNING))
        await unit.commit()

    async with database.read() as unit:
        assert (await unit.rollouts.find("hello-1")).id == "r-2"
        assert (await unit.rollouts.find("r-1")).id == "r-1"
        assert [one.id for one in await unit.rollouts.all()] == ["r-2", "r-3", "r-1"]
        assert [one.id for one in await unit.rollouts.in_states(["DRAFT"])] == ["r-1", "r-2"]
        assert await unit.rollouts.in_states([]) == []


async def test_assignments_come_in_plan_order_and_newest_first_by_computer(database):
    async with database.write() as unit:
        await unit.computers.put(make.computer())
        await unit.rollouts.put(make.rollout("r-1"))
        await unit.rollouts.put(make.rollout("r-2", created_time=NOON + timedelta(hours=1)))
        await unit.assignments.put_all([make.assignment(position) for position in (10, 2, 1)])
        await unit.assignments.put_all(
            [make.assignment(3, rollout_id="r-2", state=AssignmentState.ENDED, outcome="SKIPPED")]
        )
        await unit.assignments.put_all([])
        await unit.commit()

    async with database.read() as unit:
        assert [one.position for one in await unit.assignments.of_rollout("r-1")] == [1, 2, 10]
        assert [one.id for one in await unit.assignments.of_computer("c-pc1")] == ["a-3", "a-2", "a-10", "a-1"]
        unended = await unit.assignments.of_computer("c-pc1", unended_only=True)
        assert [one.id for one in unended] == ["a-2", "a-10", "a-1"]
        assert {one.id for one in await unit.assignments.many(["a-1", "a-3", "x"])} == {"a-1", "a-3"}


async def test_thousands_of_assignments_go_in_and_out_at_once(database):
    many = [make.assignment(position) for position in range(3000)]
    async with database.write() as unit:
        await unit.computers.put(make.computer())
        await unit.rollouts.put(make.rollout())
        await unit.assignments.put_all(many)
        await unit.assignments.put_all([replace(one, percent=1) for one in many])
        await unit.commit()

    async with database.read() as unit:
        found = await unit.assignments.many([one.id for one in many])
        assert len(found) == 3000
        assert {one.percent for one in found} == {1}


async def test_changes_of_assignments_and_computers_are_numbered_in_the_order_of_their_commits(database):
    async with database.write() as unit:
        assert (await unit.assignments.last_change(), await unit.computers.last_change()) == (0, 0)
        await unit.computers.put_all([make.computer("pc1"), make.computer("pc2")])
        await unit.rollouts.put(make.rollout())
        await unit.rollouts.put(make.rollout("r-2"))
        await unit.assignments.put_all([make.assignment(1), make.assignment(2)])
        await unit.assignments.put_all([make.assignment(3, rollout_id="r-2")])
        assert (await unit.assignments.last_change(), await unit.computers.last_change()) == (None, None)
        await unit.commit()
    async with database.read() as unit:
        change, computers = await unit.assignments.last_change(), await unit.computers.last_change()
    async with database.write() as unit:
        await unit.assignments.put_all([make.assignment(2, percent=50), make.assignment(3, rollout_id="r-2")])
        await unit.computers.put(make.computer("pc2", asleep=True))
        await unit.commit()
    async with database.write() as unit:
        await unit.assignments.put_all([make.assignment(1, percent=99)])
        await unit.computers.put(make.computer("pc1", asleep=True))

    async with database.read() as unit:
        later = await unit.assignments.last_change()
        assert later > change
        assert await unit.assignments.changed_since("r-1", change) == [make.assignment(2, percent=50)]
        assert await unit.assignments.changed_since("r-1", later) == []
        assert await unit.computers.changed_since(computers) == [make.computer("pc2", asleep=True)]


async def test_last_contacts_are_read_apart_and_number_no_change(database):
    async with database.write() as unit:
        await unit.computers.put_all([make.computer("pc1"), make.computer("pc2", last_seen_time=NOON)])
        await unit.commit()
    async with database.read() as unit:
        change = await unit.computers.last_change()
    async with database.write() as unit:
        await unit.computers.touch({"c-pc2": NOON + timedelta(hours=1)})
        await unit.commit()

    async with database.read() as unit:
        assert await unit.computers.last_change() == change
        assert await unit.computers.last_seen(["c-pc1", "c-pc2", "x"]) == {"c-pc2": NOON + timedelta(hours=1)}
        assert await unit.computers.last_seen([]) == {}


async def test_what_other_rollouts_have_at_work_comes_with_their_names(database):
    async with database.write() as unit:
        await unit.computers.put(make.computer())
        await unit.rollouts.put(make.rollout("r-1", state=RolloutState.RUNNING))
        await unit.rollouts.put(make.rollout("r-2", name="other", state=RolloutState.RUNNING))
        await unit.rollouts.put(make.rollout("r-3", state=RolloutState.COMPLETED))
        installing = make.assignment(2, rollout_id="r-2", state=AssignmentState.INSTALLING)
        await unit.assignments.put_all(
            [
                make.assignment(1, state=AssignmentState.INSTALLING),
                installing,
                make.assignment(3, rollout_id="r-2"),
                make.assignment(4, rollout_id="r-2", state=AssignmentState.ENDED, outcome="FAILED"),
                make.assignment(5, rollout_id="r-3", state=AssignmentState.INSTALLING),
            ]
        )
        await unit.commit()

    async with database.read() as unit:
        assert await unit.assignments.at_work(["RUNNING"], other_than="r-1") == [(installing, "other")]
        assert await unit.assignments.at_work([], other_than="r-1") == []


async def test_assignments_that_stand_alike_are_counted_by_wave_state_and_outcome(database):
    ended, pending = AssignmentState.ENDED, AssignmentState.PENDING
    async with database.write() as unit:
        await unit.computers.put(make.computer())
        await unit.rollouts.put(make.rollout())
        await unit.assignments.put_all(
            [make.assignment(n, state=ended, outcome="SUCCEEDED") for n in range(3)]
            + [make.assignment(3, state=ended, outcome="FAILED"), make.assignment(4, wave=1)]
        )
        await unit.commit()

    async with database.read() as unit:
        shares = await unit.assignments.shares("r-1")
        assert sorted(shares, key=lambda share: (share.wave, share.outcome)) == [
            WaveShare(0, ended, "FAILED", 1),
            WaveShare(0, ended, "SUCCEEDED", 3),
            WaveShare(1, pending, "", 1),
        ]
        assert await unit.assignments.shares("x") == []


async def test_what_a_retry_replaced_counts_no_more_and_is_found_by_its_id(database):
    ended = AssignmentState.ENDED
    async with database.write() as unit:
        await unit.computers.put(make.computer())
        await unit.rollouts.put(make.rollout())
        await unit.assignments.put_all([make.assignment(1, state=ended, outcome="FAILED", replaced=True)])
        await unit.assignments.put_all([make.assignment(1, id="a-again", generation=2)])
        await unit.commit()

    async with database.read() as unit:
        assert [one.id for one in await unit.assignments.of_rollout("r-1")] == ["a-again"]
        assert await unit.assignments.shares("r-1") == [WaveShare(0, AssignmentState.PENDING, "", 1)]
        assert {one.id for one in await unit.assignments.changed_since("r-1", 0)} == {"a-1", "a-again"}
        assert [one.replaced for one in await unit.assignments.many(["a-1"])] == [True]


async def test_the_newest_measurements_of_a_release_name_come_first(database):
    def measured(number: int, release_name: str = "hello") -> Measurement:
        ended = NOON + timedelta(minutes=number)
        return Measurement(f"a-{number}", release_name, "2", "linux/x86_64/debian", 61_000, 900, 2**33, ended)

    async with database.write() as unit:
        await unit.measurements.put_all([measured(2), measured(1), measured(3), measured(4, "other")])
        await unit.measurements.put_all([replace(measured(1), install_milliseconds=5)])
        await unit.commit()

    async with database.read() as unit:
        assert list(await unit.measurements.newest("hello", 2)) == [measured(3), measured(2)]
        assert (await unit.measurements.newest("hello", 9))[-1].install_milliseconds == 5
        assert list(await unit.measurements.newest("third", 9)) == []


async def test_a_freeze_is_active_from_start_to_before_its_end(database):
    async with database.write() as unit:
        await unit.freezes.put(incident_entities.Freeze("f-1", "", "owner", NOON, NOON + timedelta(hours=1)))
        await unit.freezes.put(incident_entities.Freeze("f-2", "", "owner", NOON + timedelta(minutes=1)))
        await unit.commit()

    async with database.read() as unit:
        assert [one.id for one in await unit.freezes.active(NOON)] == ["f-1"]
        assert [one.id for one in await unit.freezes.active(NOON + timedelta(hours=1))] == ["f-2"]
        assert [one.id for one in await unit.freezes.all()] == ["f-2", "f-1"]


async def test_the_next_freeze_is_the_earliest_that_was_not_called_off(database):
    async with database.write() as unit:
        for minutes, length in ((9, 5), (7, 0), (0, 60), (8, None)):
            start = NOON + timedelta(minutes=minutes)
            end = None if length is None else start + timedelta(minutes=length)
            await unit.freezes.put(incident_entities.Freeze(f"f-{minutes}", "", "owner", start, end))
        await unit.commit()

    async with database.read() as unit:
        assert await unit.freezes.next_start(NOON) == NOON + timedelta(minutes=8)
        assert await unit.freezes.next_start(NOON + timedelta(minutes=8)) == NOON + timedelta(minutes=9)
        assert await unit.freezes.next_start(NOON + timedelta(minutes=9)) is None


async def test_incidents_are_listed_newest_first_and_resolved_ones_left_out(database):
    async with database.write() as unit:
        await unit.incidents.put(make.incident("i-1"))
        await unit.incidents.put(make.incident("i-2", state=incident_entities.IncidentState.ACKNOWLEDGED))
        later = NOON + timedelta(hours=1)
        await unit.incidents.put(
            make.incident("i-3", state=incident_entities.IncidentState.RESOLVED, detected_time=later)
        )
        await unit.commit()

    async with database.read() as unit:
        assert [one.id for one in await unit.incidents.all()] == ["i-3", "i-2", "i-1"]
        assert [one.id for one in await unit.incidents.unresolved()] == ["i-2", "i-1"]


async def test_messages_are_due_until_delivered_oldest_first(database):
    later = NOON + timedelta(minutes=1)
    async with database.write() as unit:
        await unit.notifications.put(make.notification("n-1", created_time=later))
        await unit.notifications.put(make.notification("n-2", next_try_time=later, attempts=1, error="refused"))
        await unit.notifications.put(make.notification("n-3", delivered=True, attempts=1))
        await unit.commit()

    async with database.read() as unit:
        assert [one.id for one in await unit.notifications.due(NOON, 10)] == ["n-1"]
        assert [one.id for one in await unit.notifications.due(later, 10)] == ["n-2", "n-1"]
        assert [one.id for one in await unit.notifications.due(later, 1)] == ["n-2"]
        assert [one.id for one in await unit.notifications.undelivered()] == ["n-2"]


async def test_a_message_of_a_computer_is_recorded_once(database):
    rows = [AgentMessageRow("c-1", number, "progress", f"{number:064x}", NOON) for number in (1, 2, 4)]
    async with database.write() as unit:
        await unit.agent_messages.add_all(rows)
        await unit.agent_messages.add_all([])
        await unit.agent_messages.add_all([replace(rows[0], computer_id="c-2")])
        await unit.commit()

    async def repeat() -> None:
        async with database.write() as unit:
            await unit.agent_messages.add_all([replace(rows[1], sha256="other")])
            await unit.commit()

    with pytest.raises(ConflictError):
        await repeat()
    async with database.read() as unit:
        assert await unit.agent_messages.digests("c-1", 2, 4) == {2: f"{2:064x}", 4: f"{4:064x}"}


async def test_a_signed_record_is_kept_byte_for_byte_and_once(database):
    rows = [
        ReceiptRow(computer, number, "ENDED", f"{number:064x}", b"\x00\xff" + computer.encode(), b"\xfe\x00", NOON)
        for computer, number in (("c-1", 1), ("c-1", 2), ("c-2", 1))
    ]
    async with database.write() as unit:
        await unit.receipts.add_all([rows[2], rows[0], rows[1]])
        await unit.receipts.add_all([])
        await unit.commit()

    async def repeat() -> None:
        async with database.write() as unit:
            await unit.receipts.add_all([replace(rows[1], sha256="other")])
            await unit.commit()

    with pytest.raises(ConflictError):
        await repeat()
    async with database.read() as unit:
        assert await unit.receipts.after(("", 0), 10) == rows
        assert await unit.receipts.after(("c-1", 1), 1) == rows[1:2]
        assert await unit.receipts.digests([("c-1", 2), ("c-2", 1), ("c-2", 9)]) == {
            ("c-1", 2): rows[1].sha256,
            ("c-2", 1): rows[2].sha256,
        }


async def test_recoveries_of_the_log_are_kept_by_the_size_they_went_on_from(database):
    first = LogRecovery(7, make.SHA, "olga", "disk", make.SHA, NOON, NOON + timedelta(hours=1), 7)
    second = replace(first, size=3, recovered_time=NOON + timedelta(hours=2))
    async with database.write() as unit:
        for one in (first, second, replace(first, witnessed_size=9)):
            await unit.recoveries.put(one)
        await unit.commit()

    async with database.read() as unit:
        assert await unit.recoveries.all() == [second, replace(first, witnessed_size=9)]


async def test_a_request_is_remembered_with_its_result(database):
    async with database.write() as unit:
        await unit.requests.remember("q-1", "r-1", NOON)
        await unit.commit()

    async with database.read() as unit:
        assert await unit.requests.result_of("q-1") == "r-1"


async def test_entries_carry_index_time_date_local_time_and_their_links(database, clock):
    clock.time = datetime(2026, 11, 22, 23, 30, 0, 125_000, tzinfo=UTC)
    async with database.write() as unit:
        first = await unit.update_log.append(make.log_draft("FIRST"))
        second = await unit.update_log.append(
            make.log_draft("SECOND", computer="pc1", local_offset_seconds=3600, details={"gate": ["window"]})
        )
        await unit.commit()

    async with database.read() as unit:
        rows = await unit.update_log.entries(0, 10)
    assert (first, second) == (0, 1)
    assert [row.index for row in rows] == [0, 1]
    assert [row.time for row in rows] == ["2026-11-22T23:30:00.125Z"] * 2
    assert [row.date for row in rows] == ["2026-11-22"] * 2
    assert [row.local_time for row in rows] == ["", "2026-11-23T00:30:00.125+01:00"]
    assert rows[1].details == '{"gate":["window"]}'
    assert rows[0].entry_sha256 != rows[1].entry_sha256


async def test_entries_are_filtered_by_rollout_and_computer(database):
    async with database.write() as unit:
        for rollout, computer in (("r-1", "pc1"), ("r-1", "pc2"), ("r-2", "pc1")):
            await unit.update_log.append(make.log_draft(rollout=rollout, computer=computer))
        await unit.commit()

    async with database.read() as unit:
        assert [row.index for row in await unit.update_log.entries(0, 10, rollout="r-1")] == [0, 1]
        assert [row.index for row in await unit.update_log.entries(1, 10, computer="pc1")] == [2]
        assert [row.index for row in await unit.update_log.entries(0, 10, rollout="r-1", computer="pc1")] == [0]
        assert [row.index for row in await unit.update_log.entries(1, 1)] == [1]


async def test_hostile_text_stays_one_line_and_steers_no_terminal(database):
    hostile = "ok\x1b[2J\r\nforged entry\x00\u202e\ud800\u2028"
    async with database.write() as unit:
        await unit.update_log.append(make.log_draft(message=hostile, operator=hostile, details={hostile: [hostile]}))
        await unit.commit()

    async with database.read() as unit:
        row = (await unit.update_log.entries(0, 1))[0]
    assert row.message == row.operator == "ok\\u001b[2J\\u000d\\u000aforged entry\\u0000\\u202e\\ud800\\u2028"
    assert all(text.isprintable() for text in (row.message, row.details, row.canonical_json))


async def test_hostile_text_from_a_computer_is_kept_readable_everywhere_else(database):
    async with database.write() as unit:
        await unit.computers.put(make.computer(facts={"a": "\x00\ud800"}, boot_id="b\x00\ud800"))
        await unit.commit()

    async with database.read() as unit:
        found = await unit.computers.get("c-pc1")
    assert found.facts == {"a": "\x00\ud800"}
    assert found.boot_id.startswith("b")


async def test_the_tree_proves_inclusion_and_growth_across_units(database):
    for count in (1, 2, 4, 6):
        async with database.write() as unit:
            for _ in range(count):
                await unit.update_log.append(make.log_draft())
            await unit.commit()

    async with database.read() as unit:
        log = unit.update_log
        rows = await log.entries(0, 100)
        leaves = [merkle.leaf_hash(row.canonical_json.encode()) for row in rows]
        roots = {size: merkle.Frontier() for size in range(14)}
        for size, tree in roots.items():
            for leaf in leaves[:size]:
                tree.append(leaf)
        for size in range(1, 14):
            for index in range(size):
                hashes = await log.inclusion_proof(index, size)
                assert merkle.verify_inclusion(index, size, leaves[index], hashes, roots[size].root())
            hashes = await log.consistency_proof(size, 13)
            assert merkle.verify_consistency(size, 13, roots[size].root(), roots[13].root(), hashes)


async def test_stored_nodes_are_every_complete_subtree_in_order(database):
    async with database.write() as unit:
        for _ in range(6):
            await unit.update_log.append(make.log_draft())
        await unit.commit()

    async with database.read() as unit:
        first = await unit.update_log.nodes(None, 4)
        rest = await unit.update_log.nodes((first[-1].level, first[-1].index), 100)
    addresses = [(node.level, node.index) for node in [*first, *rest]]
    assert addresses == [(0, n) for n in range(6)] + [(1, n) for n in range(3)] + [(2, 0)]


async def test_each_commit_that_appends_leaves_a_checkpoint_of_its_size(database):
    for count in (2, 0, 3):
        async with database.write() as unit:
            for _ in range(count):
                await unit.update_log.append(make.log_draft())
            await unit.commit()

    async with database.read() as unit:
        checkpoint = await unit.update_log.newest_checkpoint()
        assert checkpoint.splitlines()[1] == "5"
        assert (await unit.update_log.checkpoints())[-1] == checkpoint


async def test_baselines_in_force_are_listed_oldest_first(database):
    older = Baseline("r-2", "hello-1", "hello@1", "site=berlin", NOON, "r-9", "no SOP is effective")
    newer = Baseline("r-1", "hello-2", "hello@2", "", NOON + timedelta(hours=1))
    ended = replace(newer, rollout_id="r-3", ended_time=NOON, ended_reason="withdrawn")
    async with database.write() as unit:
        for one in (newer, ended, older):
            await unit.baselines.put(one)
        await unit.commit()

    async with database.read() as unit:
        assert await unit.baselines.in_force() == [older, newer]
        assert await unit.baselines.get("r-3") == ended
        assert await unit.baselines.get("x") is None


async def test_patch_days_in_force_are_listed_by_id(database):
    first = Repetition("r-1", "monthly", "r-7", "FREQ=MONTHLY;BYDAY=2TU", "Europe/Berlin", NOON)
    never = Repetition("r-2", "yearly", "r-2", "FREQ=YEARLY", "UTC", None)
    ended = replace(first, id="r-3", ended_time=NOON, ended_reason="aborted by owner")
    async with database.write() as unit:
        for one in (never, ended, first):
            await unit.repetitions.put(one)
        await unit.commit()

    async with database.read() as unit:
        assert await unit.repetitions.in_force() == [first, never]
        assert await unit.repetitions.get("r-3") == ended
        assert await unit.repetitions.get("x") is None
