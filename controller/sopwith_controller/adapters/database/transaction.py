"""One transaction on one connection: what repositories read and write through.

This module decides how statements run and which error a caller sees: a database that does not answer is an
UnavailableError, a broken reference or a repeated key a ConflictError. Which rows are meant is the repositories'.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Select, Table, exc, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Executable

from sopwith_controller.adapters.database.to_the_end import to_the_end
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, UnavailableError

T = TypeVar("T")
IN_AT_ONCE = 1000
"""How many values one IN list holds: far below what either database takes in a statement."""


class Transaction:
    """A connection between BEGIN and its end, with the guard that nothing goes through it outside."""

    def __init__(self, connection: AsyncConnection, *, writable: bool) -> None:
        self.connection = connection
        self.dialect = connection.dialect.name
        self._writable = writable
        self._open = True
        self.wrote = False
        """Something was written that may yet be undone."""

    async def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Return all rows of a query."""
        self.check_open()
        with translated_errors():
            return (await to_the_end(self.connection.execute(statement, parameters))).all()

    async def entities(self, statement: Select[Any], make: type[T]) -> list[T]:
        """Return entities from a query whose columns are in the order of the entity's fields."""
        return [make(*row) for row in await self.rows(statement)]

    async def entity(self, statement: Select[Any], make: type[T]) -> T | None:
        """Return the first entity, None without one."""
        return next(iter(await self.entities(statement.limit(1), make)), None)

    async def write(self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Run a statement, once or once per row; no rows, nothing happens."""
        self.check_writable()
        if rows is None or rows:
            self.wrote = True
            with translated_errors():
                await to_the_end(self.connection.execute(statement, rows))

    async def put(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert or replace rows by their primary key."""
        await self.write(upsert(table, self.dialect), rows)

    async def last_change(self, table: Table) -> int:
        """Return the number of a table's last change, 0 before the first."""
        found = await self.rows(select(func.max(table.c.change_number)))
        return found[0][0] or 0

    async def put_changed(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Insert or replace rows of a table whose changes are numbered; writers come one at a time."""
        if rows:
            number = await self.last_change(table) + 1
            await self.put(table, [{**row, "change_number": number} for row in rows])

    def check_open(self) -> None:
        """Refuse what comes after the end."""
        if not self._open:
            raise RuntimeError("this unit of work has ended")

    def check_writable(self) -> None:
        """Refuse writing where it is not allowed."""
        self.check_open()
        if not self._writable:
            raise RuntimeError("this unit of work only reads")

    def end(self) -> None:
        """Let nothing more through."""
        self._open = False


@cache
def upsert(table: Table, dialect: str) -> Any:
    """Return the statement that inserts a row or replaces the one with its primary key."""
    statement = insert(table, dialect)
    changed = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changed)


def insert(table: Table, dialect: str) -> Any:
    """Return the database's own INSERT, which knows ON CONFLICT."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def columns_for(entity: type[Any], table: Table) -> list[Any]:
    """Return the table's columns in the order of the entity's fields."""
    return [table.c[item.name] for item in fields(entity)]


def pieces(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values, each once, into lists that an IN takes."""
    once = list(dict.fromkeys(values))
    for start in range(0, len(once), IN_AT_ONCE):
        yield once[start : start + IN_AT_ONCE]


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the database's errors into the controller's."""
    try:
        yield
    except exc.IntegrityError as error:
        raise ConflictError(f"the database refused a row: {_reason(error)}") from error
    except exc.DataError as error:
        raise InvalidInputError(f"the database refused a value: {_reason(error)}") from error
    except (exc.DBAPIError, exc.TimeoutError, OSError) as error:
        raise UnavailableError(
            f"the database does not answer: {_reason(error)}",
            remedy="see that its disk has room and its file or server is reachable; the controller tries again",
        ) from error


def _reason(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error)
    return text.splitlines()[0] if text else type(error).__name__
