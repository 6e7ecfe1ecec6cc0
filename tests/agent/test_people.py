"""Notices on a whole agent without its network: told, put off, restarted, agreed, and what the receipt says of it."""

from datetime import timedelta

import pytest

from sopwith_agent.domain.errors import NotDeferrableError
from sopwith_agent.steps.notice_port import Disturbance
from sopwith_agent.steps.orders import RebootLease
from sopwith_formats.agent_policy import AgentPolicy
from sopwith_formats.vocabulary import AssignmentState
from tests.agent.fakes import START
from tests.agent.workshop import Workshop

POLICY = {"notice_seconds": 900, "notice_deferrals": 2, "notice_defer_seconds": 86400, "notice_grace_seconds": 300}


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path)


def offer(workshop: Workshop, policy=POLICY, **changes) -> None:
    workshop.install("1")
    workshop.offer(workshop.warrant(workshop.publish("2"), policy=policy, **changes))
    workshop.worker.run_until_idle()


def pass_time(workshop: Workshop, seconds: float) -> None:
    workshop.clock.advance(seconds)
    workshop.worker.wake()
    workshop.worker.run_until_idle()


def notice_steps(workshop: Workshop) -> list[str]:
    return [step["detail"] for step in workshop.receipt().steps if step["step"] == "notice"]


def test_computer_that_nobody_uses_is_updated_without_a_word(workshop):
    offer(workshop)

    assert workshop.receipt().outcome == "SUCCEEDED"
    assert workshop.announcer.told == []
    assert notice_steps(workshop) == []


def test_people_are_told_and_it_begins_after_the_notice(workshop):
    workshop.announcer.sessions = 1
    offer(workshop)

    (told,) = workshop.announcer.told
    assert told.text == "hello 2 will be installed on this computer in 15m. You can put it off 2 more times."
    assert told.may_put_off
    assert workshop.record().state is AssignmentState.STAGED
    assert workshop.installed() == "1"
    assert workshop.record().detail.startswith("People at the computer were told; it begins at ")

    pass_time(workshop, 899)
    assert workshop.installed() == "1"
    pass_time(workshop, 1)
    assert workshop.receipt().outcome == "SUCCEEDED"
    assert notice_steps(workshop) == ["told 1 time; nobody objected to the notice; by desktop"]


def test_people_are_told_before_a_reboot_and_the_receipt_says_what_they_answered(workshop):
    workshop.power.allowed = True
    workshop.install("1")
    workshop.orders.reboot_lease("a-1", RebootLease(START + timedelta(days=1)))
    policy = AgentPolicy(notice_seconds=0, reboot_notice_seconds=600, reboot_deferrals=1).to_document()
    workshop.announcer.sessions = 1
    workshop.offer(workshop.warrant(workshop.publish("2", reboot="always"), policy=policy))
    workshop.worker.run_until_idle()
    told = [one.text for one in workshop.announcer.told]

    workshop.desk.put_off(3600)
    pass_time(workshop, 3600)
    rebooted_too_soon = workshop.power.reboots
    pass_time(workshop, 600)
    workshop.clock.boot = "boot-2"
    workshop.start()
    workshop.run()

    assert told == [
        "hello 2 needs a restart of this computer, which will begin in 10m. You can put it off 1 more time."
    ]
    assert (rebooted_too_soon, workshop.power.reboots) == (0, 1)
    [account] = [step["detail"] for step in workshop.receipt().steps if step["step"] == "reboot_notice"]
    assert account.startswith("told 2 times; put off 1 of 1 times by people at the computer; nobody objected")


def test_install_now_begins_at_once(workshop):
    workshop.announcer.sessions = 1
    offer(workshop)

    workshop.desk.agree()
    workshop.worker.run_until_idle()

    assert workshop.receipt().outcome == "SUCCEEDED"
    assert notice_steps(workshop) == ["told 1 time; a person at the computer said: now; by desktop"]


def test_last_person_leaving_lets_it_begin(workshop):
    workshop.announcer.sessions = 1
    offer(workshop)

    workshop.announcer.sessions = 0
    pass_time(workshop, 61)

    assert workshop.receipt().outcome == "SUCCEEDED"


def test_what_is_put_off_gives_its_place_back_and_comes_again(workshop):
    workshop.announcer.sessions = 1
    offer(workshop)

    held = workshop.desk.put_off(3600)
    workshop.worker.run_until_idle()

    assert (held["deferrals"], held["deferrals_left"]) == (1, 1)
    record = workshop.record()
    assert (record.state, record.symptom, record.attempts) == (AssignmentState.PREPARING, "USER_BUSY", 0)
    assert "1 of 2 deferrals used" in record.detail
    pass_time(workshop, 3500)
    assert workshop.record().state is AssignmentState.PREPARING
    pass_time(workshop, 101)
    assert workshop.record().state is AssignmentState.STAGED
    assert [told.number for told in workshop.announcer.told] == [1, 2]


def test_deferrals_are_spent_then_grace_then_installed(workshop):
    workshop.announcer.sessions = 1
    offer(workshop)
    for _ in range(2):
        workshop.desk.put_off(3600)
        workshop.worker.run_until_idle()
        pass_time(workshop, 3601)

    last = workshop.announcer.told[-1]
    assert not last.may_put_off
    assert last.text == "hello 2 will be installed on this computer in 5m. Please save your work."
    with pytest.raises(NotDeferrableError, match="put off 2 times already"):
        workshop.desk.put_off(3600)
    pass_time(workshop, 300)
    assert workshop.receipt().outcome == "SUCCEEDED"
    assert notice_steps(workshop) == [
        "told 3 times; put off 2 of 2 times by people at the computer; nobody objected to the notice; by desktop"
    ]


def test_deferral_survives_a_restart_and_is_told_to_the_controller_once(workshop):
    workshop.announcer.sessions = 1
    offer(workshop)
    workshop.desk.put_off(3600)
    workshop.worker.run_until_idle()

    workshop.start()
    with pytest.raises(NotDeferrableError):
        workshop.desk.put_off(3600)  # it has not looked yet what is granted
    workshop.worker.run_until_idle()

    assert workshop.record().state is AssignmentState.PREPARING
    deferrals = [message.body for message in workshop.outbox.after(0, 1000) if message.kind == "deferral"]
    assert [(body["assignment_id"], body["deferrals"], body["deferrals_max"]) for body in deferrals] == [("a-1", 1, 2)]
    assert workshop.desk.put_off(60)["deferrals"] == 2


def test_disk_that_refuses_the_answer_grants_nothing(workshop, monkeypatch):
    workshop.announcer.sessions = 1
    offer(workshop)

    def full(_kind: str, _body: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workshop.outbox, "put", full)
    with pytest.raises(OSError, match="No space left"):
        workshop.desk.put_off(3600)

    assert workshop.desk.standing()[0]["state"] == "NOTICED"
    assert workshop.desk.standing()[0]["deferrals"] == 0


def test_emergency_is_told_and_goes_on_after_a_minute(workshop):
    workshop.announcer.sessions = 1
    offer(workshop, emergency=True, change_class="emergency")

    with pytest.raises(NotDeferrableError, match="emergency"):
        workshop.desk.put_off(None)
    pass_time(workshop, 60)

    assert workshop.receipt().outcome == "SUCCEEDED"
    assert notice_steps(workshop) == [
        "told 1 time; emergency: deferrals skipped; nobody objected to the notice; by desktop"
    ]


def test_nobody_is_told_before_the_controller_lets_it_start(workshop):
    workshop.announcer.sessions = 1
    offer(workshop, start_until_time=None)

    assert workshop.announcer.told == []
    workshop.orders.lease("a-1", workshop.clock.now().replace(year=2099))
    pass_time(workshop, 0)
    assert len(workshop.announcer.told) == 1


def test_people_who_cannot_be_reached_are_counted_as_told_and_the_record_says_so(workshop):
    workshop.announcer.sessions, workshop.announcer.reached = 1, ""
    offer(workshop)

    pass_time(workshop, 900)

    assert notice_steps(workshop)[0].endswith("; nobody could be reached by desktop or terminal")


def test_programs_in_the_way_make_people_be_asked_to_close_them(workshop):
    workshop.announcer.sessions = 1
    workshop.sensors.change = {"blocking_processes": ("editor",)}
    workshop.install("1")
    workshop.offer(workshop.warrant(workshop.publish("2", blocking_processes=("editor",)), policy=POLICY))
    workshop.worker.run_until_idle()
    pass_time(workshop, 60)

    (told,) = workshop.announcer.told
    assert (told.title, told.may_agree) == ("An update of hello is waiting", False)
    assert "Please close editor" in told.text


def test_ended_assignment_takes_back_what_is_shown(workshop):
    workshop.announcer.sessions = 1
    offer(workshop)
    workshop.orders.withdraw("a-1", "not needed")
    pass_time(workshop, 0)

    assert "a-1/install" in workshop.announcer.dismissed
    assert workshop.desk.standing() == []


def test_kept_notices_that_cannot_be_read_grant_nothing_and_stop_nothing(workshop):
    workshop.announcer.sessions = 1
    offer(workshop)
    (workshop.folder / "journal" / "notices.json").write_bytes(b"{")

    workshop.start()
    workshop.worker.run_until_idle()

    assert workshop.desk.account("a-1", Disturbance.INSTALL).startswith("told 1 time")
