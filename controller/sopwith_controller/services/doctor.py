"""The doctor: what of the controller's own set-up is missing or will soon hurt, and how to mend each.

This module looks and advises; it changes nothing. Levels are ok, warning, fault; faults come first.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sopwith_controller.domain.entities import Person, SopRevision, SopState
from sopwith_controller.services.ports import Clock, Database, SourceStore, SourceView, UnitOfWork
from sopwith_formats.join import Join, format_join
from sopwith_formats.sop_policy import read_sop_policy
from sopwith_formats.units import format_size

EXPIRY_FAULT = timedelta(days=7)
EXPIRY_WARNING = timedelta(days=30)
DISK_FREE_MIN_BYTES = 2**30
_ORDER = {"fault": 0, "warning": 1, "ok": 2}
_ONLINE_ROLES = ("timestamp", "snapshot")


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    level: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Premises:
    """What the doctor knows of the place: how to join, where the data lies, whether mail was configured."""

    web_host: str
    web_port: int
    ca_fingerprint: str
    data: Path
    smtp_configured: bool


class Doctor:
    """The use case: examine."""

    def __init__(self, database: Database, clock: Clock, source: SourceStore, premises: Premises) -> None:
        self._database = database
        self._clock = clock
        self._source = source
        self._premises = premises

    async def examine(self) -> tuple[list[Finding], str]:
        """Return the findings, and the join string without a token."""
        now, view = self._clock.now(), await self._source.view()
        async with self._database.read() as unit:
            settings = await unit.settings()
            newest = await unit.sops.newest(settings.sop_id)
            effective = await unit.sops.effective(settings.sop_id)
            people = await unit.people.all()
            findings = [
                *_sop(newest, effective),
                *_contacts(people, effective),
                *_people(people, now),
                *_source(view, now),
                *await self._mail(unit),
                self._disk(),
            ]
        findings.sort(key=lambda found: _ORDER[found.level])
        root = f"sha256:{view.root_sha256}" if view else ""
        premises = self._premises
        return findings, format_join(Join(premises.web_host, premises.web_port, premises.ca_fingerprint, root))

    async def _mail(self, unit: UnitOfWork) -> list[Finding]:
        if not self._premises.smtp_configured:
            return [
                Finding(
                    "mail",
                    "fault",
                    "no mail server is configured, so that incidents reach nobody",
                    "write [smtp] address into sopwith.toml and start the controller again",
                )
            ]
        undelivered = await unit.notifications.undelivered()
        if undelivered:
            return [
                Finding(
                    "mail",
                    "fault",
                    f"{len(undelivered)} message(s) wait: {undelivered[0].error}",
                    "check the mail server named in sopwith.toml",
                )
            ]
        return [Finding("mail", "ok", "a mail server is configured and nothing waits")]

    def _disk(self) -> Finding:
        free = shutil.disk_usage(self._premises.data).free
        message = f"{format_size(free)} are free where the data lies"
        if free < DISK_FREE_MIN_BYTES:
            return Finding("disk", "warning", message, "make room: update files and the log grow here")
        return Finding("disk", "ok", message)


def _sop(newest: SopRevision | None, effective: SopRevision | None) -> list[Finding]:
    if effective is not None:
        return [Finding("sop", "ok", f"{effective.id} revision {effective.revision} is effective")]
    if newest is None:
        return [Finding("sop", "fault", "there is no SOP", "sopwith sop new --out FILE")]
    verb = "submit" if newest.state is SopState.DRAFT else "sign"
    return [
        Finding(
            "sop",
            "warning",
            f"{newest.id} revision {newest.revision} is {newest.state}; rollouts wait for an effective SOP",
            f"sopwith sop {verb} {newest.id}",
        )
    ]


def _contacts(people: Sequence[Person], effective: SopRevision | None) -> list[Finding]:
    known = {role for person in people if person.email for role in person.roles}
    if effective is not None:
        known |= {contact.role for contact in read_sop_policy(effective.policy_json).contacts if contact.email}
    findings = []
    for role, level in (("it_manager", "fault"), ("owner", "warning"), ("authority", "warning")):
        if role not in known:
            findings.append(
                Finding(
                    "contacts",
                    level,
                    f"no mail address of the {role.replace('_', ' ')} is known",
                    f"sopwith person invite NAME --role {role} --email ADDRESS",
                )
            )
    return findings or [Finding("contacts", "ok", "owner, IT manager and authority have addresses")]


def _people(people: Sequence[Person], now: datetime) -> list[Finding]:
    findings = []
    for person in people:
        if person.state in ("ROSTERED", "INVITED"):
            findings.append(
                Finding("people", "warning", f"{person.name} has no key yet", f"sopwith person invite {person.name}")
            )
        ends = person.certificate_expires_time
        if person.state == "ACTIVE" and ends is not None and ends - now < EXPIRY_FAULT:
            findings.append(
                Finding(
                    "people",
                    "warning",
                    f"the certificate of {person.name} ends on {ends:%Y-%m-%d}",
                    "any command renews it",
                )
            )
    return findings or [Finding("people", "ok", "everybody on the roster has a key")]


def _source(view: SourceView | None, now: datetime) -> list[Finding]:
    if view is None:
        return [
            Finding(
                "source",
                "warning",
                "no source is designated; join strings carry no source root yet",
                "sopwith source init --keys DIR --backup-keys DIR",
            )
        ]
    findings = []
    for role in view.roles:
        left = role.expires_time - now
        if role.name in _ONLINE_ROLES:
            if left <= timedelta(0):
                findings.append(
                    Finding(
                        "source", "fault", f"the source's {role.name} has expired", "look into the controller's log"
                    )
                )
        elif left < EXPIRY_WARNING:
            level = "fault" if left < EXPIRY_FAULT else "warning"
            findings.append(
                Finding(
                    "source",
                    level,
                    f"the source's {role.name} ends on {role.expires_time:%Y-%m-%d}",
                    "sopwith source renew --keys DIR",
                )
            )
    return findings or [Finding("source", "ok", f"designated, {view.targets} files signed")]
