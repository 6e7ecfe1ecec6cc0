"""Permissions to enrol: tokens for computers and invitations for people.

This module decides how many enrolments a token is good for and how long; that a token is good at the moment of an
enrolment is `enrolment`'s. Rules: the secret leaves the controller once, in the answer, and only its digest is kept;
labels of computers come from here and never from the computer; an earlier invitation of the same person ends with the
next one.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sopwith_controller.domain.entities import LogDraft, Person, Token
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import Clock, Database, Ids, UnitOfWork

LIFE_DEFAULT = timedelta(hours=24)
LIFE_MAX = timedelta(days=30)
USES_MAX = 10_000
LABELS_MAX = 64

_LABEL_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


@dataclass(frozen=True)
class IssuedToken:
    """A token and its secret, which nobody will see again."""

    token: Token
    secret: str

    def __repr__(self) -> str:
        return f"IssuedToken({self.token.id})"


class Tokens:
    """Use cases of enrolment tokens."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def create(
        self, caller: Caller, *, uses: int = 1, life: timedelta | None = None, labels: dict[str, str] | None = None
    ) -> IssuedToken:
        """Make a token for computers."""
        if not 1 <= uses <= USES_MAX:
            raise InvalidInputError(f"a token is good for 1 to {USES_MAX} enrolments, not {uses}")
        checked = check_labels(labels or {})
        now = self._clock.now()
        async with self._database.write() as unit:
            issued = new_token(self._ids, caller.name, now, life=life, uses=uses, labels=checked)
            await unit.tokens.put(issued.token)
            await unit.update_log.append(
                LogDraft(
                    kind=LogKind.TOKEN_CREATED,
                    message=f"{caller.name} made a token for {uses} enrolments",
                    operator=caller.name,
                    details={"token": issued.token.id, "uses": uses, "labels": checked},
                )
            )
            await unit.commit()
        return issued

    async def all(self) -> list[Token]:
        """Return all tokens of computers, newest first."""
        async with self._database.read() as unit:
            return [token for token in await unit.tokens.all() if token.kind == "computer"]

    async def revoke(self, caller: Caller, token_id: str) -> Token:
        """End a token; twice is no error."""
        async with self._database.write() as unit:
            token = await unit.tokens.get(token_id)
            if token is None:
                raise NotFoundError(f"there is no token {token_id}", remedy="sopwith token list")
            if token.revoked:
                return token
            token = replace(token, revoked=True)
            await unit.tokens.put(token)
            await unit.update_log.append(
                LogDraft(
                    kind=LogKind.TOKEN_REVOKED,
                    message=f"{caller.name} revoked token {token.id}",
                    operator=caller.name,
                    details={"token": token.id},
                )
            )
            await unit.commit()
        return token


def new_token(
    ids: Ids,
    created_by: str,
    now: datetime,
    *,
    life: timedelta | None = None,
    uses: int = 1,
    labels: dict[str, str] | None = None,
    person: Person | None = None,
) -> IssuedToken:
    """Return a new token for computers, or for one person; raise InvalidInputError for a life out of bounds."""
    life = LIFE_DEFAULT if life is None else life
    if not timedelta(0) < life <= LIFE_MAX:
        raise InvalidInputError("a token lives more than 0 s and at most 30 d", remedy="name a shorter time")
    secret = ids.secret()
    token = Token(
        id=ids.new("t"),
        secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
        kind="person" if person else "computer",
        person_id=person.id if person else "",
        labels=labels or {},
        uses_left=uses,
        expires_time=now + life,
        created_by=created_by,
        created_time=now,
    )
    return IssuedToken(token, secret)


async def end_invitations(unit: UnitOfWork, person: Person) -> None:
    """Revoke a person's open invitations."""
    for token in await unit.tokens.all():
        if token.person_id == person.id and not token.revoked:
            await unit.tokens.put(replace(token, revoked=True))


def check_labels(labels: dict[str, str]) -> dict[str, str]:
    """Return the labels; raise InvalidInputError for keys or values that no selector could name."""
    if len(labels) > LABELS_MAX:
        raise InvalidInputError(f"at most {LABELS_MAX} labels are kept")
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise InvalidInputError(
                f"{key}={value} is no label",
                remedy="use at most 63 letters, digits, dots, dashes and underlines on each side",
            )
    return dict(labels)
