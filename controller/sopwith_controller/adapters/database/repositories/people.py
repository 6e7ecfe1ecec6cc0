"""The roster, and permissions to enrol."""

from collections.abc import Sequence

from sqlalchemy import select

from sopwith_controller.adapters.database.tables import people, tokens
from sopwith_controller.adapters.database.transaction import Transaction, columns_for
from sopwith_controller.domain.entities import Person, Token

_PEOPLE = select(*columns_for(Person, people))
_TOKENS = select(*columns_for(Token, tokens))


class SqlPeople:
    """Implements the `People` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, person_id: str) -> Person | None:
        """Return the person with this id."""
        return await self._transaction.entity(_PEOPLE.where(people.c.id == person_id), Person)

    async def find(self, name_or_id: str) -> Person | None:
        """Return the person with this name or id."""
        named = _PEOPLE.where(people.c.name == name_or_id).order_by(people.c.id)
        return await self.get(name_or_id) or await self._transaction.entity(named, Person)

    async def all(self) -> Sequence[Person]:
        """Return all people by name."""
        return await self._transaction.entities(_PEOPLE.order_by(people.c.name, people.c.id), Person)

    async def put(self, person: Person) -> None:
        """Insert or replace."""
        await self._transaction.put(people, [vars(person)])


class SqlTokens:
    """Implements the `Tokens` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, token_id: str) -> Token | None:
        """Return the token with this id."""
        return await self._transaction.entity(_TOKENS.where(tokens.c.id == token_id), Token)

    async def by_secret(self, secret_sha256: str) -> Token | None:
        """Return the token whose secret has this digest."""
        return await self._transaction.entity(_TOKENS.where(tokens.c.secret_sha256 == secret_sha256), Token)

    async def all(self) -> Sequence[Token]:
        """Return all tokens, newest first."""
        newest = _TOKENS.order_by(tokens.c.created_time.desc(), tokens.c.id.desc())
        return await self._transaction.entities(newest, Token)

    async def put(self, token: Token) -> None:
        """Insert or replace."""
        await self._transaction.put(tokens, [vars(token)])
