"""How an incident climbs: who is told at once, who is told again, who is told next, and when.

Decides steps and times from the SOP's escalation rules (`sop.md` section 5); writing the message is
`incident_message`'s, delivering it an adapter's. Rules:

- The first level is told at once. While nobody acknowledges it is told again after each `acknowledge_within`, `loops`
  times; each further level is told when its time since the detection has come.
- Steps that fell due while the controller was away are taken together, as one message to each person: never a burst.
- Computers that join an incident later are told in groups, every five minutes unless the SOP says otherwise, also to
  somebody who acknowledged: they are news. Nothing else is sent after an acknowledgement.
- A level that nobody can be reached on passes its message on to the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sopwith_controller.domain.incident_entities import Incident, IncidentState
from sopwith_formats.sop_policy import Contact, EscalationLevel, EscalationRule, SopPolicy

GROUP_EVERY = timedelta(minutes=5)

_AT_ONCE = EscalationLevel(0, ("it_manager",))
DEFAULT_RULES = {
    1: EscalationRule(
        severity=1,
        levels=(
            _AT_ONCE,
            EscalationLevel(30 * 60, ("owner",)),
            EscalationLevel(60 * 60, ("authority",), profiles=("regulated",)),
        ),
        dispatch_within_seconds=60,
        acknowledge_within_seconds=15 * 60,
        loops=3,
    ),
    2: EscalationRule(
        severity=2,
        levels=(_AT_ONCE, EscalationLevel(2 * 60 * 60, ("owner",))),
        dispatch_within_seconds=60,
        acknowledge_within_seconds=60 * 60,
        loops=1,
        group_every_seconds=300,
    ),
    3: EscalationRule(severity=3, levels=(), dispatch_within_seconds=86400, acknowledge_within_seconds=0, loops=0),
}
"""What holds where no SOP is effective yet, or where it has no rule for a severity."""


@dataclass(frozen=True)
class Recipient:
    """One person on one channel; `target` is the address for smtp, the person's name elsewhere."""

    role: str
    name: str
    channel: str
    target: str


@dataclass(frozen=True)
class EscalationStep:
    """The incident after a step, who is told, why, and about which computers."""

    incident: Incident
    tell: tuple[Recipient, ...]
    cause: str
    """raised, widened, repeated or climbed."""
    computers: tuple[str, ...]
    """Names that this message carries for the first time."""


def rule_of(policy: SopPolicy | None, severity: int) -> EscalationRule:
    """Return the ladder of a severity."""
    rules = {rule.severity: rule for rule in (policy.escalation if policy else ())}
    return rules.get(severity, DEFAULT_RULES[severity])


def levels_of(rule: EscalationRule, profile: str) -> tuple[EscalationLevel, ...]:
    """Return the levels that exist in a profile, in the order of their times."""
    levels = [level for level in rule.levels if not level.profiles or profile in level.profiles]
    return tuple(sorted(levels, key=lambda level: level.after_seconds))


def begin(
    incident: Incident,
    policy: SopPolicy | None,
    contacts: Sequence[Contact],
    profile: str,
    now: datetime,
    *,
    also: tuple[str, ...] = (),
) -> EscalationStep:
    """Return the first step of a new incident: its first level is told at once, and the roles `also`."""
    levels = levels_of(rule_of(policy, incident.severity), profile)
    tell = _recipients(levels[:1], levels[1:], contacts)
    if also:
        channels = levels[0].channels if levels else _AT_ONCE.channels
        besides = _recipients((EscalationLevel(0, also, channels),), (), contacts)
        tell = tuple(dict.fromkeys((*tell, *besides)))
    return EscalationStep(_told(incident, policy, profile, now), tell, "raised", incident.computers)


def due_step(
    incident: Incident, policy: SopPolicy | None, contacts: Sequence[Contact], profile: str, now: datetime
) -> EscalationStep | None:
    """Return what falls due now, None when nothing does."""
    rule = rule_of(policy, incident.severity)
    levels = levels_of(rule, profile)
    fresh = tuple(name for name in incident.computers if name not in incident.told_computers)
    reached = levels[: incident.level]
    climbing: tuple[EscalationLevel, ...] = ()
    repeats = incident.repeats
    if incident.state is IncidentState.OPEN:
        age = (now - incident.detected_time).total_seconds()
        climbing = tuple(level for level in levels[incident.level :] if level.after_seconds <= age)
        if rule.acknowledge_within_seconds:
            repeats = min(rule.loops, int(age // rule.acknowledge_within_seconds))
            repeats = max(repeats, incident.repeats)
    repeating = repeats > incident.repeats
    widening = bool(fresh) and _widen_time(incident, rule) <= now
    if incident.state is IncidentState.RESOLVED or not (climbing or repeating or widening):
        return None
    cause = "climbed" if climbing else "repeated" if repeating else "widened"
    at_first = reached[:1] if repeating or widening else ()
    tell = _recipients((*at_first, *climbing), levels[incident.level + len(climbing) :], contacts)
    after = replace(incident, level=incident.level + len(climbing), repeats=repeats)
    return EscalationStep(_told(after, policy, profile, now), tell, cause, fresh)


def due_time(incident: Incident, policy: SopPolicy | None, profile: str) -> datetime | None:
    """Return when the next step falls due; None when only people can change anything. Wake the scheduler then."""
    if incident.state is IncidentState.RESOLVED:
        return None
    times = []
    climbs = _climb_time(incident, policy, profile)
    if climbs:
        times.append(climbs)
    if any(name not in incident.told_computers for name in incident.computers):
        times.append(_widen_time(incident, rule_of(policy, incident.severity)))
    return min(times, default=None)


def _climb_time(incident: Incident, policy: SopPolicy | None, profile: str) -> datetime | None:
    """Return when somebody is told again or somebody else is told, unless somebody acts."""
    if incident.state is not IncidentState.OPEN:
        return None
    rule = rule_of(policy, incident.severity)
    seconds = [level.after_seconds for level in levels_of(rule, profile)[incident.level : incident.level + 1]]
    if rule.acknowledge_within_seconds and incident.repeats < rule.loops:
        seconds.append(rule.acknowledge_within_seconds * (incident.repeats + 1))
    return incident.detected_time + timedelta(seconds=min(seconds)) if seconds else None


def _widen_time(incident: Incident, rule: EscalationRule) -> datetime:
    every = timedelta(seconds=rule.group_every_seconds) if rule.group_every_seconds else GROUP_EVERY
    return (incident.last_told_time or incident.detected_time) + every


def _told(incident: Incident, policy: SopPolicy | None, profile: str, now: datetime) -> Incident:
    told = replace(incident, told_computers=incident.computers, last_told_time=now)
    return replace(told, due_time=_climb_time(told, policy, profile))


def _recipients(
    levels: Sequence[EscalationLevel], later: Sequence[EscalationLevel], contacts: Sequence[Contact]
) -> tuple[Recipient, ...]:
    found = _of_levels(levels, contacts)
    for level in later if levels else ():
        if found:
            break
        found = _of_levels((level,), contacts)
    return tuple(dict.fromkeys(found))


def _of_levels(levels: Sequence[EscalationLevel], contacts: Sequence[Contact]) -> list[Recipient]:
    by_role: dict[str, list[Contact]] = {}
    for contact in contacts:
        by_role.setdefault(contact.role, []).append(contact)
    return [
        Recipient(role, contact.name, channel, contact.email if channel == "smtp" else contact.name)
        for level in levels
        for role in level.targets
        for contact in by_role.get(role, ())
        for channel in level.channels
        if channel != "smtp" or contact.email
    ]
