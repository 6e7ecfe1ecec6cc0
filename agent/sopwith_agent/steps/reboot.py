"""AWAITING_REBOOT and REBOOTING: the release needs a reboot before it can be confirmed.

The steps decide whether and when this agent reboots the computer, and notice that it was rebooted; by whom does not
matter: the kernel's boot id is another one. Whose window it is and how many may be away at once is the controller's,
who gives leave; who sits at the computer is `notice_port`'s.

Rules: no leave, no reboot, and leave is a lease of the controller's clock; a freeze stops it. People are asked only
with leave at hand, so that what they are told is true. Then the drain commands are asked: one that refuses defers, is
counted, and what was drained is given back. Once the SOP's deadline passed, or its deferrals are spent, the reboot is
forced where the SOP lets it: after the notice, whatever people and drain commands say, but never without leave; where
the SOP does not, the assignment ends FAILED with PENDING_REBOOT, the release in place but unconfirmed. So it does at
the rollout's own deadline. A computer that was told to reboot and does not is told again, a few times; then the release
goes back. A boot that never comes is noticed by the controller. A release that was booted into is taken back by another
boot, so that the version before really runs.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.command_port import Moment
from sopwith_agent.steps.notice_port import Disturbance
from sopwith_agent.steps.workbench import Done, Wait, Workbench
from sopwith_formats.agent_policy import AgentPolicy
from sopwith_formats.manifest import Manifest, read_manifest
from sopwith_formats.units import format_duration, format_time
from sopwith_formats.vocabulary import Symptom


def await_reboot(record: Record, bench: Workbench) -> Done | Wait:
    """Return what follows: booted meanwhile, reboot now, give up, or go on waiting."""
    booted = _booted(record, bench)
    if booted:
        return booted
    now, policy = bench.clock.fleet_now(), bench.policy(record.warrant)
    record = replace(record, reboot_asked_time=record.reboot_asked_time or now)
    spent = _spent(record, policy, now)
    record = replace(record, reboot_forced=bool(spent) and policy.reboot_forced)
    return _over(record, spent, now) or _held(record, bench, policy, now) or _asked(record, bench, policy)


def _over(record: Record, spent: str, now: datetime) -> Done | None:
    """Return the end of an assignment that may not be waited for any more."""
    left = "; the release is in place, but unconfirmed" if record.manifest_json else ""
    if now >= record.warrant.deadline_time:
        detail = f"The deadline passed before the computer was rebooted{left}."
    elif spent and not record.reboot_forced:
        detail = f"{spent}, and the SOP lets no reboot be forced{left}."
    else:
        return None
    return Done(record, Event.REBOOT_FORBIDDEN, Symptom.PENDING_REBOOT, detail)


def _held(record: Record, bench: Workbench, policy: AgentPolicy, now: datetime) -> Wait | None:
    """Return what is waited for before anybody at the computer is asked."""
    if policy.reboot_when == "never" or not bench.power.may_reboot():
        return _wait(record, bench, "Waits for a reboot by a person.")
    put_off = record.reboot_deferred_until
    if put_off and now < put_off and not record.reboot_forced:
        return _wait(record, bench, _put_off_text(record, policy, put_off), until=put_off)
    return _without_leave(record, bench)


def _without_leave(record: Record, bench: Workbench) -> Wait | None:
    hindrance = bench.orders.reboot_hindrance(record.warrant.assignment_id, bench.clock.fleet_now())
    if not hindrance:
        return None
    return _wait(give_back(record, bench), bench, f"Waits for leave to reboot: {hindrance}.", wanted=True)


def _asked(record: Record, bench: Workbench, policy: AgentPolicy) -> Done | Wait:
    word = bench.people.may_disturb(record, Disturbance.REBOOT, last_word=record.reboot_forced)
    if word.go:
        return _drain(record, bench, policy)
    detail = word.detail or "People at the computer are told of the reboot."
    return _wait(record, bench, detail, until=word.until, wanted=not word.put_off)


def reboot(record: Record, bench: Workbench) -> Done | Wait:
    """Start the reboot, or notice that it happened."""
    booted = _booted(record, bench)
    if booted:
        return booted
    waits = _tell_to_reboot(record, bench)
    if waits:
        return waits
    detail = f"The computer was told to reboot {record.reboot_tries} times, and did not. {record.detail}".strip()
    return Done(record, Event.REBOOT_UNABLE, Symptom.REBOOT_FAILED, detail)


def reboot_back(record: Record, manifest: Manifest, bench: Workbench) -> Record | Wait:
    """Return what it waits for until the computer booted into the version before; the record once nothing is left.

    It holds its place of the budget since it rebooted, so it needs no new leave; people have the last notice.
    """
    booted_since = record.way_back_boot_id not in ("", bench.clock.boot_id())
    if manifest.reboot == "never" or not record.booted_new or booted_since:
        return record
    if not bench.power.may_reboot() or bench.policy(record.warrant).reboot_when == "never":
        return _left_running(record, bench, "people reboot this computer")
    word = bench.people.may_disturb(record, Disturbance.REBOOT, last_word=True)
    if not word.go:
        return Wait(record, limits.not_ready_retry_seconds, record.symptom, record.detail)
    if not record.way_back_boot_id:
        record = replace(_with_account(record, bench), way_back_boot_id=bench.clock.boot_id(), reboot_wanted=True)
        bench.journal.save(record)
        bench.outbox.entered(record)
    waits = _tell_to_reboot(record, bench)
    return replace(waits, symptom=record.symptom, detail=record.detail) if waits else _left_running(record, bench, "")


def _left_running(record: Record, bench: Workbench, why: str) -> Record:
    detail = f"the version before runs once the computer is rebooted{f'; {why}' if why else ''}"
    return record.step("reboot", bench.clock.now(), "left", detail)


def _tell_to_reboot(record: Record, bench: Workbench) -> Wait | None:
    """Tell the computer to reboot, and return how long to wait for it; None when it was told as often as allowed."""
    seconds = bench.clock.boot_seconds()
    ago = seconds - record.reboot_tried_at_seconds
    if record.reboot_tries and ago < limits.reboot_grace_seconds:
        return Wait(record, limits.reboot_grace_seconds - ago, record.symptom, record.detail)
    if record.reboot_tries >= limits.reboot_tries_max:
        return None
    record = replace(record, reboot_tries=record.reboot_tries + 1, reboot_tried_at_seconds=seconds)
    bench.journal.save(record)
    try:
        bench.power.reboot()
    except StepError as error:
        soon = replace(record, reboot_tried_at_seconds=seconds - limits.reboot_grace_seconds + limits.retry_cap_seconds)
        soon = soon.step("reboot", bench.clock.now(), "failed", error.message)
        return Wait(soon, limits.retry_cap_seconds, error.symptom, error.message)
    return Wait(record, limits.reboot_grace_seconds, detail="The computer is rebooting.")


def give_back(record: Record, bench: Workbench) -> Record:
    """Return the record after work was given back to a computer that was drained; a refusal is written down."""
    if not record.drained:
        return record
    said = bench.commands.run(Moment.UNDRAIN, _manifest(record), bench.health_context("undrain"))
    result = "done" if said.agreed else "refused"
    return replace(record, drained=False).step("undrain", bench.clock.now(), result, said.refusal)


def count_boot(record: Record, bench: Workbench) -> Record:
    """Return the record with one boot more where the computer booted since the last look."""
    boot_id = bench.clock.boot_id()
    if record.boot_id in ("", boot_id):
        return record
    return replace(record, boots=record.boots + 1, boot_id=boot_id, reboot_tries=0, reboot_wanted=False)


def _drain(record: Record, bench: Workbench, policy: AgentPolicy) -> Done | Wait:
    """Take the work away, and then the last look: leave may have run out meanwhile."""
    if not record.drained:
        said = bench.commands.run(Moment.DRAIN, _manifest(record), bench.health_context("drain"))
        record = replace(record, drained=said.commands > 0)
        if said.commands:
            result = "done" if said.agreed else "overruled" if record.reboot_forced else "refused"
            record = record.step("drain", bench.clock.now(), result, said.refusal)
        if not said.agreed and not record.reboot_forced:
            return _put_off(give_back(record, bench), bench, policy, said.refusal)
        bench.journal.save(record)
    return _without_leave(record, bench) or Done(_with_account(record, bench), Event.REBOOT_STARTED)


def _with_account(record: Record, bench: Workbench) -> Record:
    """Return the record with what people were told of the reboot that begins now, and what they said."""
    account = bench.people.account(record.warrant.assignment_id, Disturbance.REBOOT)
    return record.step("reboot_notice", bench.clock.now(), "go", account) if account else record


def _put_off(record: Record, bench: Workbench, policy: AgentPolicy, why: str) -> Wait:
    until = bench.clock.fleet_now() + timedelta(seconds=policy.reboot_defer_seconds)
    count = record.reboot_deferrals + 1
    record = replace(record, reboot_deferrals=count, reboot_deferred_until=until, reboot_deferred_why=why)
    return _wait(record, bench, _put_off_text(record, policy, until), until=until)


def _put_off_text(record: Record, policy: AgentPolicy, until: datetime) -> str:
    count = f"{record.reboot_deferrals} of {policy.reboot_deferrals}"
    return f"The reboot is put off until {_say(until)} ({count} times): {record.reboot_deferred_why}."


def _spent(record: Record, policy: AgentPolicy, now: datetime) -> str:
    """Return in words that nobody has to be patient any more; empty while the SOP grants patience."""
    waits = timedelta(seconds=policy.reboot_deadline_seconds)
    if record.reboot_asked_time and now - record.reboot_asked_time >= waits:
        return f"It waited {format_duration(waits)} for its reboot"
    if record.reboot_deferrals > policy.reboot_deferrals:
        return f"Its drain commands refused {record.reboot_deferrals} times"
    return ""


def _wait(
    record: Record, bench: Workbench, detail: str, *, until: datetime | None = None, wanted: bool = False
) -> Wait:
    seconds = float(limits.not_ready_retry_seconds)
    if until:
        seconds = max(1.0, min(seconds, (until - bench.clock.fleet_now()).total_seconds()))
    return Wait(replace(record, reboot_wanted=wanted), seconds, Symptom.PENDING_REBOOT, detail)


def _booted(record: Record, bench: Workbench) -> Done | None:
    if bench.clock.boot_id() == record.boot_id:
        return None
    record, manifest = count_boot(record, bench), _manifest(record)
    if manifest is None:
        return Done(record, Event.CAME_BACK)
    version = bench.installed_version(manifest)
    if version == manifest.version:
        return Done(replace(record, booted_new=True), Event.CAME_BACK)
    detail = f"After the reboot {version or 'nothing'} is installed instead of {manifest.version}."
    return Done(record, Event.CAME_BACK_WITHOUT, Symptom.REBOOT_FAILED, detail)


def _manifest(record: Record) -> Manifest | None:
    """Return the release that wants the reboot; None where nothing but the reboot is wanted."""
    return read_manifest(record.manifest_json.encode()) if record.manifest_json else None


def _say(time: datetime) -> str:
    return format_time(time.replace(microsecond=0))
