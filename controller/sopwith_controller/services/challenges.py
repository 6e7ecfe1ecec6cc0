"""Using up the one-time link or code that a signature was made with, in the transaction of that signature.

Which challenge is good, and where one is needed, is decided by `domain.signing_link`. A code's challenge is the secret
that was sent; a page's is the link's id, which only the controller writes into a statement.
"""

import hashlib
from dataclasses import replace
from datetime import datetime

from sopwith_controller.domain import signing_link as rules
from sopwith_controller.domain.entities import SopRevision
from sopwith_controller.services.ports import UnitOfWork
from sopwith_formats.dsse_statement import SopStatement


async def use_challenge(
    unit: UnitOfWork, statement: SopStatement, revision: SopRevision, profile: str, now: datetime
) -> None:
    """Use up what the statement was made with; raise RefusedError where it is missing, used, ended or another's."""
    challenge = statement.challenge
    link = await unit.signing_links.get(challenge) if challenge else None
    if link is not None and (link.kind != rules.PAGE or statement.payload().decode() not in link.payloads.values()):
        link = None
    if link is None and challenge:
        found = await unit.signing_links.by_secret(hashlib.sha256(challenge.encode()).hexdigest())
        link = found if found is not None and found.kind == rules.CODE else None
    rules.check_signed_anew(challenge, link, person_id=statement.person_id, revision=revision, profile=profile, now=now)
    if link is not None:
        await unit.signing_links.put(replace(link, used_time=now))
