"""The chain of signed records on this computer: which there are, which is the newest, which the controller lacks.

Decides numbers and links; where the files lie and how they travel is the outbox's. Rules: a record of an assignment and
generation is made once, an outcome once at all and a started record once for each time that INSTALLING was entered, an
observation once for its mark; the newest record always stays, so that the next one can name it; a controller that knows
more records than this computer (whose disk was put back to an older state) is believed about the number and the digest
of its newest, because a second record with the same number would be a fork, and the gap is told to the agent's log.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import structlog

from sopwith_agent.domain.messages import OutboxMessage
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_replace
from sopwith_formats.errors import FormatError
from sopwith_formats.observation import Observation, read_signed
from sopwith_formats.receipt import Receipt, ReceiptKind
from sopwith_formats.units import format_time

_log = structlog.get_logger()


@dataclass(frozen=True)
class Link:
    """One signed record: its number, the digest of its payload, and what it is about."""

    number: int
    sha256: str
    about: str = ""
    """What it is the one record of; empty where only number and digest are known."""


NOTHING = Link(0, "")


class ReceiptChain:
    """The links that are known; not safe for several threads, the outbox has the lock."""

    def __init__(self, taken_over: Path) -> None:
        """`taken_over` is the file for a link that only the controller knows."""
        self._taken_over = taken_over
        self._links: dict[int, Link] = {}
        self._by_subject: dict[str, int] = {}
        try:
            document = canonical_json.decode(taken_over.read_bytes())
            self.add(Link(int(document["number"]), str(document["sha256"])))
        except FileNotFoundError:
            pass
        except (OSError, FormatError, KeyError, TypeError, ValueError) as error:
            _log.error("receipt_chain_broken", path=str(taken_over), error=str(error))

    @property
    def newest(self) -> Link:
        """Return the last link, `NOTHING` before the first."""
        return self._links[max(self._links)] if self._links else NOTHING

    def add(self, link: Link) -> None:
        """Know a link."""
        self._links[link.number] = link
        if link.about:
            self._by_subject[link.about] = link.number

    def forget(self, number: int) -> None:
        """Know a link no more."""
        link = self._links.pop(number, None)
        if link is not None and self._by_subject.get(link.about) == number:
            del self._by_subject[link.about]

    def number_of(self, about: str) -> int:
        """Return the number of what a record is the one record of; 0 when there is none."""
        return self._by_subject.get(about, 0)

    def lacking(self, number: int) -> list[int]:
        """Return the numbers of own records behind this one, in order."""
        return [found for found in sorted(self._links) if found > number and self._links[found].about]

    def agree(self, number: int, sha256: str) -> None:
        """Compare with what the controller has; take its newest over where this computer knows less."""
        newest, mine = self.newest, self._links.get(number)
        if number > newest.number:
            _log.error("receipts_behind_controller", newest=newest.number, controller=number)
            document = {"number": number, "sha256": sha256}
            durable_replace(self._taken_over, canonical_json.encode(document), 0o600)
            self.add(Link(number, sha256))
        elif mine is not None and sha256 and mine.sha256 != sha256:
            _log.error("receipts_contradict_controller", number=number, mine=mine.sha256, controller=sha256)


def subject(receipt: Receipt | Observation) -> str:
    """Return what a record is the one record of."""
    if isinstance(receipt, Observation):
        return f"{receipt.kind}/{receipt.mark}"
    entered = f"/{format_time(receipt.ended_time)}" if receipt.kind == ReceiptKind.STARTED else ""
    return f"{receipt.kind}/{receipt.assignment_id}/{receipt.generation}{entered}"


def outcome_of(assignment_id: str, generation: int) -> str:
    """Return what an assignment's outcome is the one record of."""
    return f"{ReceiptKind.ENDED.value}/{assignment_id}/{generation}"


def link_in(message: OutboxMessage) -> Link | None:
    """Return the link of a message that carries a signed record, None for any other."""
    if message.kind != "receipt":
        return None
    try:
        payload = str(message.body["payload"]).encode()
        receipt = read_signed(payload)
    except (FormatError, KeyError):
        return None
    return Link(receipt.number, hashlib.sha256(payload).hexdigest(), subject(receipt))
