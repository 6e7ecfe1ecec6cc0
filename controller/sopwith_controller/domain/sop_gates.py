"""Gates that ask the SOP about people: has the operator read it (clause III), can the IT manager be reached (V.E).

Decides by the effective revision and its policy alone and returns a Refusal, or None where the gate is open; the caller
records it. The other gates of the SOP stand where their inputs are: `gates` (sop_effective), `planning` (sop_scope),
`plan_bounds` (sop_bounds). Rules:

- what becomes of a refusal (the SOP only warns, a deviation is in force) is decided by `gate_decisions`;
- `evaluation` asks for no training, `regulated` gives no grace; `standard` gives what the SOP says;
- an acknowledgement of the revision counts, and signing counts as acknowledging.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from sopwith_controller.domain.deviation import GRANTED_BY
from sopwith_controller.domain.entities import SopRevision
from sopwith_controller.domain.errors import Refusal
from sopwith_controller.domain.gate_decisions import GateCheck
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.units import format_time


def people_checks(
    revision: SopRevision, policy: SopPolicy, *, person: str, roles: Collection[str], profile: str, now: datetime
) -> list[GateCheck]:
    """Return what these gates say to somebody who starts a rollout."""
    trained = operator_trained(revision, policy, person=person, roles=roles, profile=profile, now=now)
    contacts = contacts_set(policy, profile)
    return [
        GateCheck(
            "operator_trained",
            "III",
            {"person": person, "acknowledged": person in revision.acknowledged_by, "revision": revision.revision},
            (trained,) if trained else (),
        ),
        GateCheck("contacts_set", "V.E", {"contact": "it_manager"}, (contacts,) if contacts else ()),
    ]


def operator_trained(
    revision: SopRevision, policy: SopPolicy, *, person: str, roles: Collection[str], profile: str, now: datetime
) -> Refusal | None:
    """Return the refusal of somebody who has to know this revision and has not acknowledged it in time."""
    needs = sorted(set(roles) & set(policy.training.required_for))
    if not needs or profile == "evaluation":
        return None
    if person in revision.acknowledged_by or revision.effective_time is None:
        return None
    grace = timedelta(0) if profile == "regulated" else timedelta(seconds=policy.training.grace_seconds)
    until = revision.effective_time + grace
    if now <= until and grace:
        return None
    return Refusal(
        "operator_trained",
        "III",
        f"{person} ({', '.join(needs)}) has not acknowledged {revision.id} revision {revision.revision}, "
        f"due {format_time(until)}",
        remedy=f"sopwith sop acknowledge {revision.id}",
        deviation=GRANTED_BY,
    )


def contacts_set(policy: SopPolicy, profile: str) -> Refusal | None:
    """Return the refusal of a SOP by which the IT manager cannot be reached."""
    contact = policy.contact("it_manager")
    reachable = contact is not None and bool(contact.email)
    if reachable or profile == "evaluation":
        return None
    return Refusal(
        "contacts_set",
        "V.E",
        f"{policy.sop_id} names no address of the IT manager",
        remedy="add contacts.it_manager.email to the next revision of the SOP",
        deviation=GRANTED_BY,
    )
