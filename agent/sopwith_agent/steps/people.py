"""The desk for people at the computer: asks `domain.notice` before a change, tells them, and takes their answers.

Decides what they are told in words, and keeps what was told and answered, so that neither a restart nor a second
question costs or grants a deferral. The worker asks before it changes something; people answer from elsewhere (a
button, `sopwith-agent defer`); neither waits for the other.

Rules: an answer is durable and told to the controller before the person hears that it holds; whoever cannot be reached
still counts as told, because `sopwith-agent status` shows it, but the record says so; nothing that identifies a person
is kept or sent.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from sopwith_agent.domain import limits
from sopwith_agent.domain import notice as rule
from sopwith_agent.domain.errors import NotDeferrableError
from sopwith_agent.domain.notice import Notice, NoticeRules, NoticeState
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.announcer_port import Announcement, Announcer
from sopwith_agent.steps.notice_port import YES, Disturbance, Word
from sopwith_formats import canonical_json
from sopwith_formats.agent_policy import read_agent_policy
from sopwith_formats.errors import FormatError
from sopwith_formats.units import format_duration, format_time

_WILL = {
    Disturbance.INSTALL: "will be installed on this computer",
    Disturbance.REBOOT: "needs a restart of this computer, which will begin",
}
_log = structlog.get_logger()


@dataclass
class _Matter:
    """One coming change, as the desk keeps it."""

    assignment_id: str
    disturbance: Disturbance
    what: str
    rules: NoticeRules
    notice: Notice = field(default_factory=Notice)
    reached: str = ""
    asked: bool = True
    """The worker has asked since this process began: the rules are the present ones."""


def rules_of(record: Record, disturbance: Disturbance) -> NoticeRules:
    """Return what the SOP grants people before a change; raise FormatError for a policy that cannot be read."""
    warrant = record.warrant
    policy = read_agent_policy(warrant.policy)
    install = (policy.notice_seconds, policy.notice_deferrals, policy.notice_defer_seconds)
    reboot = (policy.reboot_notice_seconds, policy.reboot_deferrals, policy.reboot_deadline_seconds)
    return NoticeRules(
        *(reboot if disturbance is Disturbance.REBOOT else install),
        policy.notice_grace_seconds,
        emergency=warrant.emergency,
        rollout_deadline=warrant.deadline_time,
    )


class PeopleDesk:
    """Notices by assignment and purpose; safe to use from several threads."""

    def __init__(
        self,
        announcer: Announcer,
        kept: bytes | None,
        keep: Callable[[bytes], None],
        *,
        now: Callable[[], datetime],
        tell_controller: Callable[[dict[str, Any]], object],
    ) -> None:
        """Take up what was kept; `keep` makes the whole durable, `tell_controller` keeps a message for it."""
        self._announcer = announcer
        self._keep = keep
        self._now = now
        self._tell_controller = tell_controller
        self._lock = threading.RLock()
        self._matters: dict[str, _Matter] = {}
        self._asked_to_close: dict[str, tuple[tuple[str, ...], datetime]] = {}
        self.answered: Callable[[], None] = lambda: None
        """Called after each answer, in the answering thread: the worker looks again."""
        if kept is not None:
            self._read(kept)

    def may_disturb(
        self, record: Record, disturbance: Disturbance, *, last_word: bool = False, in_use: bool = False
    ) -> Word:
        """Return whether the change may go on, having told whoever is there."""
        rules = rules_of(record, disturbance)
        if last_word:
            rules = replace(rules, deferrals_max=0)
        with self._lock:
            matter = self._matter(record, rules, disturbance)
            before, now = matter.notice, self._now()
            there = in_use or self._announcer.present() > 0
            matter.notice = rule.look(before, rules, now, in_use=there)
            if matter.notice.state is NoticeState.UNNOTICED:
                matter.notice = rule.tell(matter.notice, rules, now)
            self._show(matter)
            if matter.notice != before:
                self._save()
            return _word(matter)

    def deferral(self, record: Record, disturbance: Disturbance) -> Word | None:
        """Return the deferral that is in force, telling nobody anything; None where there is none."""
        with self._lock:
            matter = self._matters.get(_key(record.warrant.assignment_id, disturbance))
            if matter is None or matter.notice.state is not NoticeState.DEFERRED:
                return None
            matter.rules, matter.asked = rules_of(record, disturbance), True
            before, now = matter.notice, self._now()
            matter.notice = rule.look(before, matter.rules, now, in_use=self._announcer.present() > 0)
            if matter.notice != before:
                self._save()
            return _word(matter) if matter.notice.state is NoticeState.DEFERRED else None

    def account(self, assignment_id: str, disturbance: Disturbance) -> str:
        """Return in one line what people were told and said; empty where nobody was."""
        with self._lock:
            matter = self._matters.get(_key(assignment_id, disturbance))
            if matter is None or not (matter.notice.notices or (matter.rules.emergency and matter.rules.owed)):
                return ""
            return rule.describe(matter.notice, matter.rules) + matter.reached

    def ask_to_close(self, record: Record, programs: Sequence[str]) -> None:
        """Tell people that programs stand in the way of an update; not the same thing again within a notice's time."""
        if not self._announcer.present():
            return
        key, names = record.warrant.assignment_id, tuple(programs)
        again = max(rules_of(record, Disturbance.INSTALL).notice_seconds, limits.notice_outdated_seconds)
        with self._lock:
            now = self._now()
            known = self._asked_to_close.get(key)
            if known and known[0] == names and (now - known[1]).total_seconds() < again:
                return
            self._asked_to_close[key] = (names, now)
        text = f"Please close {', '.join(names)}, so that it can be installed; nothing is closed for you."
        title = f"An update of {record.warrant.release} is waiting"
        self._announcer.announce(Announcement(f"{key}/close", int(now.timestamp()), title, text, may_agree=False))

    def put_off(self, seconds: int | None, key: str = "") -> dict[str, Any]:
        """Put off what waits for people's word; return what holds now, raise NotDeferrableError with the reason.

        `key` is the announcement that is answered; without one it is the newest.
        """
        return self._answer(lambda notice, rules, now: rule.put_off(notice, rules, now, seconds), "PUT_OFF", key)

    def agree(self, key: str = "") -> dict[str, Any]:
        """Let what waits for people's word begin now; as `put_off`."""
        return self._answer(lambda notice, _rules, now: rule.agree(notice, now), "AGREED", key)

    def standing(self) -> list[dict[str, Any]]:
        """Return what people were told or asked for, for `sopwith-agent status`."""
        with self._lock:
            now = self._now()
            return [
                self._document(matter, now) for matter in self._matters.values() if matter.asked and _is_open(matter)
            ]

    def forget(self, assignment_id: str) -> None:
        """Forget an assignment that has ended, and take back what is still shown."""
        with self._lock:
            gone = [key for key, matter in self._matters.items() if matter.assignment_id == assignment_id]
            self._asked_to_close.pop(assignment_id, None)
            for key in gone:
                del self._matters[key]
            for key in (*gone, f"{assignment_id}/close"):
                self._announcer.dismiss(key)
            if gone:
                self._save()

    def _matter(self, record: Record, rules: NoticeRules, disturbance: Disturbance) -> _Matter:
        warrant = record.warrant
        key = _key(warrant.assignment_id, disturbance)
        what = f"{warrant.release} {warrant.version}"
        matter = self._matters.setdefault(key, _Matter(warrant.assignment_id, disturbance, what, rules))
        matter.rules, matter.what, matter.asked = rules, what, True
        return matter

    def _show(self, matter: _Matter) -> None:
        """Tell whoever is there and was not told yet; take it back once it does not hold any more."""
        key = _key(matter.assignment_id, matter.disturbance)
        if matter.notice.state not in {NoticeState.NOTICED, NoticeState.GRACE}:
            self._announcer.dismiss(key)
            return
        how = self._announcer.announce(_announcement(key, matter, self._now()))
        if how:
            matter.reached = f"; by {how}"
        elif not matter.reached:
            matter.reached = "; nobody could be reached by desktop or terminal"
            _log.warning("people_not_reached", assignment=matter.assignment_id)

    def _answer(
        self, change: Callable[[Notice, NoticeRules, datetime], Notice], decision: str, key: str
    ) -> dict[str, Any]:
        with self._lock:
            now = self._now()
            # What was told a moment ago comes before what was put off hours ago.
            opened = sorted(filter(_is_open, self._matters.values()), key=lambda one: one.notice.since_time or now)
            matter = opened[-1] if opened else None
            if key:
                matter = self._matters.get(key)
            if matter is None or not matter.asked:
                raise NotDeferrableError(
                    "Nothing waits for your word.", remedy="`sopwith-agent status` shows what goes on"
                )
            before = matter.notice
            after = change(before, matter.rules, now)
            matter.notice = after
            try:
                self._save()
                if after.deferrals != before.deferrals or before.state is NoticeState.DEFERRED:
                    self._tell_controller(self._message(matter, decision))
            except OSError:
                matter.notice = before
                raise
            self._announcer.dismiss(_key(matter.assignment_id, matter.disturbance))
            document = self._document(matter, now)
        _log.info("people_answered", assignment=matter.assignment_id, decision=decision, until=document["until_time"])
        self.answered()
        return document

    def _message(self, matter: _Matter, decision: str) -> dict[str, Any]:
        notice, put_off = matter.notice, decision == "PUT_OFF"
        return {
            "assignment_id": matter.assignment_id,
            "purpose": matter.disturbance.value,
            "deferrals": notice.deferrals,
            "deferrals_max": matter.rules.deferrals_max,
            "until_time": format_time(notice.until_time) if put_off and notice.until_time else "",
        }

    def _document(self, matter: _Matter, now: datetime) -> dict[str, Any]:
        notice = matter.notice
        last = rule.deadline(notice, matter.rules, now)
        return {
            "assignment": matter.assignment_id,
            "purpose": matter.disturbance.value,
            "what": matter.what,
            "state": notice.state.value,
            "until_time": format_time(notice.until_time) if notice.until_time else "",
            "deferrals": notice.deferrals,
            "deferrals_left": rule.deferrals_left(notice, matter.rules, now),
            "deferrable_until_time": format_time(last) if last else "",
        }

    def _save(self) -> None:
        document = {
            key: {"assignment_id": matter.assignment_id, "purpose": matter.disturbance.value, "what": matter.what}
            | {"notice": matter.notice.to_document()}
            for key, matter in self._matters.items()
        }
        self._keep(canonical_json.encode(document))

    def _read(self, kept: bytes) -> None:
        try:
            for key, one in canonical_json.decode(kept).items():
                notice = Notice.from_document(one["notice"])
                self._matters[key] = _Matter(
                    one["assignment_id"], Disturbance(one["purpose"]), one["what"], NoticeRules(), notice, asked=False
                )
        except (FormatError, KeyError, TypeError, ValueError, AttributeError) as error:
            _log.error("notices_broken", error=str(error))
            self._matters = {}


def _key(assignment_id: str, disturbance: Disturbance) -> str:
    return f"{assignment_id}/{disturbance.value}"


def _word(matter: _Matter) -> Word:
    notice = matter.notice
    if notice.state is NoticeState.GO or notice.until_time is None:
        return YES
    return Word(
        go=False,
        until=notice.until_time,
        put_off=notice.state is NoticeState.DEFERRED,
        detail=_reason(matter, notice.until_time),
    )


def _is_open(matter: _Matter) -> bool:
    return matter.notice.state in {NoticeState.NOTICED, NoticeState.GRACE, NoticeState.DEFERRED}


def _announcement(key: str, matter: _Matter, now: datetime) -> Announcement:
    notice = matter.notice
    left = (notice.until_time or now) - now
    may_put_off = rule.deferrals_left(notice, matter.rules, now) > 0
    minutes = timedelta(minutes=max(1, round(left.total_seconds() / 60)))
    text = f"{matter.what} {_WILL[matter.disturbance]} in {format_duration(minutes)}."
    if may_put_off:
        left_over = matter.rules.deferrals_max - notice.deferrals
        text += f" You can put it off {left_over} more time{'' if left_over == 1 else 's'}."
    else:
        text += " Please save your work."
    title = "An update is ready" if matter.disturbance is Disturbance.INSTALL else "A restart is needed"
    label = "Install now" if matter.disturbance is Disturbance.INSTALL else "Restart now"
    return Announcement(key, notice.notices, title, text, may_put_off=may_put_off, agree_label=label)


def _reason(matter: _Matter, until_time: datetime) -> str:
    notice = matter.notice
    until = format_time(until_time.replace(microsecond=0))
    if notice.state is NoticeState.DEFERRED:
        return (
            f"People at the computer put it off until {until}; "
            f"{notice.deferrals} of {matter.rules.deferrals_max} deferrals used."
        )
    begins = "begins" if matter.disturbance is Disturbance.INSTALL else "restarts"
    last = " They may not put it off any more." if notice.state is NoticeState.GRACE else ""
    return f"People at the computer were told; it {begins} at {until} unless they answer before.{last}"
