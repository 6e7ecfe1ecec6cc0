"""Who may be missing: the end of a person's time, a person who leaves, a person who is away.

Decides what becomes of the roster; storing, certificates and live calls come after. Rules:

- a reviewer who has no other role is a guest: the identity ends by itself, after 90 days unless another day is given, a
  year at most;
- nobody leaves or goes away so that owner, IT manager or authority, or a level of the escalation ladder, is empty: a
  successor or a deputy has to be named, is on the roster, there, and can be reached;
- a successor takes over the roles that would be empty; a deputy acts in all of them until the day, and signs nothing: a
  document is signed by those whom it names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sopwith_controller.domain.entities import Person
from sopwith_controller.domain.errors import InvalidInputError, Refusal, RefusedError

MANDATORY = ("owner", "it_manager", "authority")
"""Clause III: never empty."""
GUEST_LIFE_DEFAULT = timedelta(days=90)
LIFE_MAX = timedelta(days=366)
AWAY_MAX = timedelta(days=366)
_REVIEWER, _AUDITOR = "reviewer", "auditor"


def end_of(roles: Sequence[str], wanted: datetime | None, known: datetime | None, now: datetime) -> datetime | None:
    """Return when the identity of an invited person ends; None: never by itself."""
    if wanted is not None:
        if not now < wanted <= now + LIFE_MAX:
            raise InvalidInputError(
                f"an identity ends within {LIFE_MAX.days} days from now, not on {wanted:%Y-%m-%d}",
                remedy="give another --until",
            )
        if not set(roles).isdisjoint(MANDATORY):
            raise InvalidInputError(
                "owner, IT manager and authority do not end by themselves", remedy="leave --until out, or the role"
            )
        return wanted
    if set(roles) == {_REVIEWER}:
        return known if known is not None and known > now else now + GUEST_LIFE_DEFAULT
    return known


def has_ended(person: Person, now: datetime) -> bool:
    """Tell whether the person's time on the roster is over."""
    return person.expires_time is not None and person.expires_time <= now


def is_away(person: Person, now: datetime) -> bool:
    """Tell whether a deputy acts for the person."""
    return person.away_until_time is not None and person.away_until_time > now


def is_there(person: Person, now: datetime) -> bool:
    """Tell whether the person can act: joined or known by an SSH key, not ended, not away."""
    joined = person.state == "ACTIVE" or (bool(person.ssh_key) and person.state != "REVOKED")
    return joined and not has_ended(person, now) and not is_away(person, now)


def acting_roles(person: Person, people: Iterable[Person], now: datetime) -> frozenset[str]:
    """Return the roles in which a person acts: their own, and those of whom they stand in for."""
    roles = set(person.roles)
    for other in people:
        if other.deputy_id == person.id and is_away(other, now):
            roles.update(other.roles)
    return frozenset(roles)


def leave(
    person: Person, successor: Person | None, people: Iterable[Person], ladder: Iterable[str], now: datetime
) -> tuple[Person, Person | None]:
    """Return the person gone, and the successor with the roles that would be empty; raise where nobody takes them."""
    everybody = tuple(people)
    _check_not_relied_on(person, everybody, now)
    emptied = _emptied(person, everybody, ladder, now)
    if successor is None:
        if emptied:
            raise _empty(person, emptied, f"sopwith person leave {person.name} --successor NAME")
        return _gone(person, None), None
    _check_stand_in(person, successor, now, "successor")
    roles = tuple(dict.fromkeys((*successor.roles, *emptied)))
    return _gone(person, successor), replace(successor, roles=roles)


def go_away(
    person: Person,
    until: datetime,
    deputy: Person | None,
    *,
    people: Iterable[Person],
    ladder: Iterable[str],
    now: datetime,
) -> Person:
    """Return the person away until a day with a deputy; raise where a role or level would be empty without one."""
    if not now < until <= now + AWAY_MAX:
        raise InvalidInputError(
            f"nobody is away until {until:%Y-%m-%d %H:%M} UTC",
            remedy=f"name a time within {AWAY_MAX.days} days from now, or sopwith person leave {person.name}",
        )
    everybody = tuple(people)
    _check_not_relied_on(person, everybody, now)
    if deputy is None:
        emptied = _emptied(person, everybody, ladder, now)
        if emptied:
            raise _empty(person, emptied, f"sopwith person away {person.name} --until DAY --deputy NAME")
        return replace(person, away_until_time=until, deputy_id="")
    _check_stand_in(person, deputy, now, "deputy")
    return replace(person, away_until_time=until, deputy_id=deputy.id)


def come_back(person: Person) -> Person:
    """Return the person present again."""
    return replace(person, away_until_time=None, deputy_id="")


def reached_instead(name: str, people: Sequence[Person], now: datetime) -> Person | None:
    """Return who is told in place of somebody whom the SOP names: the deputy or the successor; None: nobody else."""
    by_id = {one.id: one for one in people}
    person = next((one for one in people if one.name == name), None)
    found = person
    for _ in range(len(by_id)):
        if found is None:
            break
        following = found.successor_id if found.state == "REVOKED" else found.deputy_id if is_away(found, now) else ""
        if not following:
            break
        found = by_id.get(following)
    return found if found is not person and found is not None and found.state != "REVOKED" else None


def _gone(person: Person, successor: Person | None) -> Person:
    return replace(
        person,
        roles=(),
        state="REVOKED",
        away_until_time=None,
        deputy_id="",
        successor_id=successor.id if successor else "",
    )


def _emptied(person: Person, people: Iterable[Person], ladder: Iterable[str], now: datetime) -> tuple[str, ...]:
    """Return the roles that nobody else who is there holds, in their order."""
    others = [one for one in people if one.id != person.id and is_there(one, now)]
    needed = dict.fromkeys((*MANDATORY, *ladder))
    return tuple(role for role in needed if role in person.roles and not any(role in other.roles for other in others))


def _check_not_relied_on(person: Person, people: Sequence[Person], now: datetime) -> None:
    relying = [one.name for one in people if one.deputy_id == person.id and is_away(one, now)]
    if relying:
        raise InvalidInputError(
            f"{person.name} stands in for {', '.join(relying)}",
            remedy=f"name another deputy first: sopwith person away {relying[0]} --until DAY --deputy NAME",
        )


def _check_stand_in(person: Person, other: Person, now: datetime, what: str) -> None:
    remedy = f"name a {what} who is on the roster and there: sopwith person list"
    if other.id == person.id:
        raise InvalidInputError(f"{person.name} cannot be their own {what}", remedy=remedy)
    if not is_there(other, now):
        raise InvalidInputError(f"{other.name} cannot be {what}: not here now ({other.state})", remedy=remedy)
    if other.expires_time is not None:
        raise InvalidInputError(f"{other.name} cannot be {what}: a guest until {other.expires_time:%F}", remedy=remedy)
    if _AUDITOR in other.roles:
        raise InvalidInputError(f"{other.name} cannot be {what}: an auditor changes nothing", remedy=remedy)
    if person.email and not other.email:
        raise InvalidInputError(
            f"{other.name} cannot be {what}: no mail address is known, and incidents would reach nobody",
            remedy=f"sopwith person invite {other.name} --email ADDR",
        )


def _empty(person: Person, roles: tuple[str, ...], remedy: str) -> RefusedError:
    reason = f"nobody would be {' or '.join(roles)} without {person.name}"
    return RefusedError(Refusal("operator_role", "III", reason, remedy))
