"""Computers, their last contacts, and the certificates of every subject."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from sopwith_controller.adapters.database.tables import certificates, computer_presence, computers
from sopwith_controller.adapters.database.transaction import Transaction, columns_for, insert, pieces
from sopwith_controller.domain.entities import Certificate, Computer, ComputerState
from sopwith_controller.services.ports import Clock

_COLUMNS = [
    computer_presence.c.last_seen_time if item.name == "last_seen_time" else computers.c[item.name]
    for item in fields(Computer)
]


def _computers() -> Select[Any]:
    return select(*_COLUMNS).select_from(computers.outerjoin(computer_presence))


class SqlComputers:
    """Implements the `Computers` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, computer_id: str) -> Computer | None:
        """Return the computer with this id."""
        return await self._transaction.entity(_computers().where(computers.c.id == computer_id), Computer)

    async def find(self, name_or_id: str) -> Computer | None:
        """Return the computer with this id or name."""
        order = (
            (computers.c.state == ComputerState.ACCEPTED).desc(),
            computers.c.enrolled_time.desc(),
            computers.c.id.desc(),
        )
        named = _computers().where(computers.c.name == name_or_id).order_by(*order)
        return await self.get(name_or_id) or await self._transaction.entity(named, Computer)

    async def named(self, name: str) -> Sequence[Computer]:
        """Return every computer that has or had this name, by id."""
        found = _computers().where(computers.c.name == name)
        return await self._transaction.entities(found.order_by(computers.c.id), Computer)

    async def by_key(self, key_fingerprint: str) -> Computer | None:
        """Return the newest computer enrolled with this key."""
        found = _computers().where(computers.c.key_fingerprint == key_fingerprint)
        newest = found.order_by(computers.c.enrolled_time.desc(), computers.c.id.desc())
        return await self._transaction.entity(newest, Computer)

    async def all(self) -> Sequence[Computer]:
        """Return all computers by name."""
        return await self._transaction.entities(_computers().order_by(computers.c.name, computers.c.id), Computer)

    async def many(self, computer_ids: Sequence[str]) -> Sequence[Computer]:
        """Return the computers with these ids."""
        found: list[Computer] = []
        for some in pieces(computer_ids):
            found += await self._transaction.entities(_computers().where(computers.c.id.in_(some)), Computer)
        return found

    async def last_change(self) -> int | None:
        """Return the number of the last change of any computer; None once this unit of work has written."""
        return None if self._transaction.wrote else await self._transaction.last_change(computers)

    async def changed_since(self, change: int) -> Sequence[Computer]:
        """Return the computers that changed after this number, in no order."""
        return await self._transaction.entities(_computers().where(computers.c.change_number > change), Computer)

    async def last_seen(self, computer_ids: Sequence[str]) -> dict[str, datetime]:
        """Return the last contacts of those of these computers that were ever heard of."""
        seen: dict[str, datetime] = {}
        columns = select(computer_presence.c.computer_id, computer_presence.c.last_seen_time)
        for some in pieces(computer_ids):
            rows = await self._transaction.rows(columns.where(computer_presence.c.computer_id.in_(some)))
            seen.update((computer_id, time) for computer_id, time in rows)
        return seen

    async def put(self, computer: Computer) -> None:
        """Insert or replace."""
        await self.put_all([computer])

    async def put_all(self, many: Sequence[Computer]) -> None:
        """Insert or replace many, in two statements however many they are."""
        rows = [{key: value for key, value in vars(one).items() if key != "last_seen_time"} for one in many]
        await self._transaction.put_changed(computers, rows)
        await self._see({one.id: one.last_seen_time for one in many if one.last_seen_time is not None})

    async def touch(self, seen: dict[str, datetime]) -> None:
        """Write last contacts of many computers at once."""
        known: set[str] = set()
        for some in pieces(list(seen)):
            known.update(
                row.id for row in await self._transaction.rows(select(computers.c.id).where(computers.c.id.in_(some)))
            )
        await self._see({computer_id: time for computer_id, time in seen.items() if computer_id in known})

    async def _see(self, seen: dict[str, datetime]) -> None:
        statement = insert(computer_presence, self._transaction.dialect)
        later = statement.excluded.last_seen_time
        statement = statement.on_conflict_do_update(
            index_elements=[computer_presence.c.computer_id],
            set_={"last_seen_time": later},
            where=computer_presence.c.last_seen_time < later,
        )
        rows = [{"computer_id": computer_id, "last_seen_time": time} for computer_id, time in seen.items()]
        await self._transaction.write(statement, rows)


class SqlCertificates:
    """Implements the `Certificates` port."""

    def __init__(self, transaction: Transaction, clock: Clock) -> None:
        self._transaction = transaction
        self._clock = clock

    async def get(self, serial: str) -> Certificate | None:
        """Return the certificate with this serial."""
        statement = select(*columns_for(Certificate, certificates)).where(certificates.c.serial == serial)
        return await self._transaction.entity(statement, Certificate)

    async def of_subject(self, subject_id: str) -> Sequence[Certificate]:
        """Return a subject's certificates, newest first."""
        statement = select(*columns_for(Certificate, certificates)).where(certificates.c.subject_id == subject_id)
        newest = statement.order_by(certificates.c.issued_time.desc(), certificates.c.serial.desc())
        return await self._transaction.entities(newest, Certificate)

    async def revoked_serials(self) -> Sequence[str]:
        """Return serials that are revoked and not yet expired."""
        statement = select(certificates.c.serial).where(
            certificates.c.revoked_time.is_not(None), certificates.c.expires_time > self._clock.now()
        )
        return [row.serial for row in await self._transaction.rows(statement.order_by(certificates.c.serial))]

    async def put(self, certificate: Certificate) -> None:
        """Insert or replace."""
        await self._transaction.put(certificates, [vars(certificate)])
