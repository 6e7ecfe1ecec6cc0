"""Requests of people that are sent twice: one effect, and the answer of the first time.

This module decides whether a request was carried out before. Rules: a request id belongs to the person who sent it and
to one act on one thing; it is remembered in the transaction of its effect, so that a controller that dies in between
has done both or neither; sent again it changes nothing and is answered with the thing as it stands; the same id for
something else is refused, because one of the two would be lost. A request without an id is new every time.
"""

from datetime import datetime

from sopwith_controller.domain.errors import ConflictError, InvalidInputError
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import UnitOfWork

REQUEST_ID_LENGTH_MAX = 64


async def done_before(unit: UnitOfWork, caller: Caller, act: str, thing: str = "") -> str | None:
    """Return what the caller's request was carried out on, None when it is new; `thing`: what it names now."""
    if not caller.request_id:
        return None
    if len(caller.request_id) > REQUEST_ID_LENGTH_MAX:
        raise InvalidInputError(f"a request id has at most {REQUEST_ID_LENGTH_MAX} characters", remedy="shorten it")
    result = await unit.requests.result_of(_key(caller))
    if result is None:
        return None
    known_act, _, known_thing = result.partition(" ")
    if known_act != act or thing not in ("", known_thing):
        raise ConflictError(
            f"the request id {caller.request_id} was used for something else", remedy="use a new request id"
        )
    return known_thing


async def remember(unit: UnitOfWork, caller: Caller, act: str, thing: str, now: datetime) -> None:
    """Keep in this transaction that the caller's request was carried out."""
    if caller.request_id:
        await unit.requests.remember(_key(caller), f"{act} {thing}", now)


def _key(caller: Caller) -> str:
    return f"{caller.id} {caller.request_id}"
