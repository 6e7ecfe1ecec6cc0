"""The bench: a computer on which update after update failed is left out, so that it does not block the others.

Decides from how many updates ended badly in a row, over all rollouts and retries, whether a computer is benched.
Rules: FAILED, ROLLED_BACK and UNREACHABLE count; SUCCEEDED begins anew; every other outcome says nothing about the
computer, and so does a refusal of what the source or the controller sent: who refuses a tampered file works well. A
benched computer is left out of new plans, and a running rollout offers it nothing, until a person accepts it again
(`sopwith computer accept`).
"""

from sopwith_controller.domain.assignment import ERRORS
from sopwith_controller.domain.entities import Computer
from sopwith_formats.vocabulary import Outcome, Symptom

BENCHED_AFTER = 3
"""So many updates in a row that ended badly."""
REFUSALS = frozenset(
    {
        Symptom.SIGNATURE_INVALID,
        Symptom.METADATA_EXPIRED,
        Symptom.METADATA_ROLLBACK,
        Symptom.NOT_AUTHORISED_BY_SOURCE,
        Symptom.DOWNLOAD_DIGEST_MISMATCH,
        Symptom.CONTENT_REFUSED,
        Symptom.WARRANT_REFUSED,
        Symptom.VERSION_POLICY,
    }
)
"""Symptoms by which a computer says that what it was sent is wrong."""


def is_benched(computer: Computer) -> bool:
    """Tell whether a computer sits on the bench."""
    return computer.failures_in_a_row >= BENCHED_AFTER


def why_benched(failures: int) -> str:
    """Return why in words that follow the computer's name."""
    return f"is benched: its last {failures} updates failed"


def bench_remedy(name: str) -> str:
    """Return how a computer leaves the bench."""
    return f"find out why (sopwith computer show {name}), then sopwith computer accept {name}"


def failures_after(failures: int, outcome: str, before: str = "", *, symptom: str = "") -> int:
    """Return the failures in a row after an outcome; `before`: what was recorded and turned out to be wrong."""
    if outcome == Outcome.SUCCEEDED:
        return 0
    counted, counts = before in ERRORS, outcome in ERRORS and symptom not in REFUSALS
    return max(0, failures + counts - counted)
