"""Where a signed record stands in its computer's chain: what follows, repeats, is missing, or contradicts.

A computer numbers its signed records from 1 without gaps, and each carries the digest of the one before it. This module
compares one record, or the place that a computer names when it comes, with what is recorded; it decides nothing about
the assignment that the record speaks of. Rules: what is signed is never thrown away because something before it is
missing, and nothing that does not fit is taken without saying so; two records with one number are never both true.
"""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Place:
    """A record's number and digest; `sha256` is empty where only the number is known."""

    number: int
    sha256: str


class Standing(StrEnum):
    """How a record stands to those that are recorded."""

    NEXT = "NEXT"
    """It follows the newest one."""
    REPEATED = "REPEATED"
    """It is recorded already, the same."""
    FILLED = "FILLED"
    """It came after later ones, and was missing until now."""
    GAP = "GAP"
    """Records between the newest one and this one never came."""
    FORKED = "FORKED"
    """It has the next number and follows another record than the one that is recorded."""
    CONTRADICTED = "CONTRADICTED"
    """Its number is recorded with other content."""


BROKEN = frozenset({Standing.GAP, Standing.FORKED, Standing.CONTRADICTED})
"""What is an alarm: something is missing, or somebody else signs with this computer's key."""


def standing(newest: Place, record: Place, *, follows_sha256: str, recorded_sha256: str) -> Standing:
    """Return how a record stands; `recorded_sha256` is what is recorded under its number, empty for nothing."""
    if record.number <= newest.number:
        if not recorded_sha256:
            return Standing.FILLED
        return Standing.REPEATED if recorded_sha256 == record.sha256 else Standing.CONTRADICTED
    if record.number > newest.number + 1:
        return Standing.GAP
    known = newest.sha256 or not newest.number
    return Standing.FORKED if known and follows_sha256 != newest.sha256 else Standing.NEXT


def arrival_fault(newest: Place, told: Place, *, recorded_sha256: str) -> str:
    """Return what is wrong with the newest record that a computer names when it comes; empty when nothing is.

    `recorded_sha256` is what is recorded under the number that it names. More than is recorded is no fault: it is sent.
    """
    if told.number and recorded_sha256 and told.sha256 != recorded_sha256:
        return f"its record {told.number} is not the one that it sent before: two computers sign with one key"
    if told.number < newest.number:
        return f"it knows {told.number} of its {newest.number} signed records: its disk was put back to an older state"
    return ""
