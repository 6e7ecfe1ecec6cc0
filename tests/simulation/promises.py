"""The promises that every run is held to, each with its name and its sentence: the one list of them.

Decides nothing; `invariants`, `starts`, `truth` and `ending` call a promise broken, `docs/invariants.md` shows the list
(`make docs`), and a test demands of every promise a planted mistake that breaks it.
"""

import sys
from enum import StrEnum
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "invariants.md"


class Promise(StrEnum):
    """The name of a promise, as a broken one is reported."""

    ONE_OUTCOME = "one-outcome"
    STEPS = "steps"
    LEASE = "lease"
    START = "start"
    STOP = "stop"
    CONCURRENCY = "concurrency"
    BUDGET = "budget"
    ALONE = "alone"
    ONE_COMMIT = "one-commit"
    READY = "ready"
    THRESHOLDS = "thresholds"
    BAD_RELEASE = "bad-release"
    WAVES = "waves"
    SUCCESS = "success"
    RECEIPTS = "receipts"
    DEADLINE = "deadline"
    CALM = "calm"
    TERMINAL = "terminal"
    COUNTS = "counts"
    INSTALLED = "installed"
    LOG = "log"
    TOLD = "told"
    CLOCK = "clock"
    APPROVAL = "approval"
    DEVIATION = "deviation"
    CALENDAR = "calendar"
    STALLED = "stalled"


SENTENCES = {
    Promise.ONE_OUTCOME: (
        "every commit",
        (
            "An assignment of one generation ends once, in one outcome, in the same transaction as its one "
            "ASSIGNMENT_ENDED entry. After that only a first receipt changes the outcome, of an end that the "
            "controller had concluded without one."
        ),
    ),
    Promise.STEPS: (
        "every commit",
        "A rollout changes its state along its table only.",
    ),
    Promise.LEASE: (
        "every commit",
        (
            "A lease is granted only while the rollout runs, no freeze is in force, the computer's window is open "
            "and its wave is open; it lasts five minutes at most and ends before the deadline."
        ),
    ),
    Promise.START: (
        "every start",
        (
            "No install and no reboot starts without a lease that the controller granted and that has not run out "
            "(clocks of computers may be a second off), so none starts outside a window."
        ),
    ),
    Promise.STOP: (
        "every start",
        (
            "Pause, suspension, abort and freeze take hold: a computer whose stream stands starts nothing ten "
            "seconds after their commit, any other computer nothing after the five minutes of its lease."
        ),
    ),
    Promise.CONCURRENCY: (
        "every commit and start",
        (
            "Nobody gets leave to start while as many computers as `max_concurrency` may start or are being "
            "changed, nor does anybody start or reboot beyond it. Whoever only waits for its reboot, or was rebooted "
            "by a person, is not counted. A computer that began within its lease but unseen, and whose "
            "lease has run out, is counted from when it is heard of again."
        ),
    ),
    Promise.BUDGET: (
        "every start",
        (
            "Never more computers of one group than the disruption budget allows are being changed or reboot at once; "
            "one that people boot without leave counts from when it is heard of."
        ),
    ),
    Promise.ALONE: (
        "every commit and start",
        (
            "Never two installs on one computer at once; no computer gets a lease while another rollout is at "
            "work there."
        ),
    ),
    Promise.ONE_COMMIT: (
        "every commit point",
        "An assignment of one generation passes its commit point once.",
    ),
    Promise.READY: (
        "every commit",
        "An offer goes only to a computer that measured READY within fifteen minutes.",
    ),
    Promise.THRESHOLDS: (
        "every commit",
        ("No offer goes out while the tables say that an error threshold is crossed (percent of a wave, count)."),
    ),
    Promise.BAD_RELEASE: (
        "every start",
        (
            "A bad release touches at most the open waves plus what was in flight: nothing starts of a wave that "
            "was not opened, and once a threshold is crossed nothing starts that was not offered by then, until a "
            "person resumes."
        ),
    ),
    Promise.WAVES: (
        "every commit",
        (
            "Waves open in order, while the rollout runs, each after the one before it passed; a wave passes when "
            "its members have ended, its soak is over and its success threshold holds."
        ),
    ),
    Promise.SUCCESS: (
        "every commit",
        (
            "SUCCEEDED is recorded only with a receipt of a computer on which the version was read back, and its "
            "health checks passed, after the commit point."
        ),
    ),
    Promise.RECEIPTS: (
        "every acknowledgement, and the end",
        (
            "What a computer forgets because it was acknowledged stands in the tables; an acknowledged receipt is "
            "that of its assignment and stands in the log once, or the log had the same outcome before it came."
        ),
    ),
    Promise.DEADLINE: (
        "every minute",
        (
            "Half an hour after its deadline no rollout is unended, whoever is silent, but for installs of computers "
            "in contact: each goes on for as long as its state may last without a word, and no longer."
        ),
    ),
    Promise.CALM: (
        "always",
        "No service and no agent fails by an error that is not one of the injected faults.",
    ),
    Promise.TERMINAL: (
        "the end",
        "Every started rollout and every assignment has ended.",
    ),
    Promise.COUNTS: (
        "the end",
        "Outcomes and counts are those that the computers know to be true.",
    ),
    Promise.INSTALLED: (
        "the end",
        "The record of what is installed is what is on the computers' disks.",
    ),
    Promise.LOG: (
        "the end",
        "The log has no gap, its chain and its tree verify, and its last word is the outcome.",
    ),
    Promise.TOLD: (
        "the end",
        "Once nothing goes wrong any more, every computer finishes and tells everything within three hours.",
    ),
    Promise.CLOCK: (
        "every commit",
        (
            "While the controller's clock is off by more than five minutes and nobody has confirmed the new time, no "
            "lease is granted, no wave opens, and nothing ends but by a computer's receipt; the hold ends by itself "
            "only when the clock has returned."
        ),
    ),
    Promise.APPROVAL: (
        "every commit",
        "A change of class normal gets no lease before a second person has signed the digest of its present plan.",
    ),
    Promise.DEVIATION: (
        "every commit",
        (
            "A freeze or a closed window lets nobody start but by a deviation for this rollout and plan that a second "
            "person approved, until it is closed or expires."
        ),
    ),
    Promise.CALENDAR: (
        "every commit",
        "No lease reaches into a freeze that was on record, by a person or a calendar, when it was granted.",
    ),
    Promise.STALLED: (
        "every minute",
        (
            "A computer in contact that tells nothing for longer than its state may last is marked as stalled five "
            "minutes later at the latest, while a controller runs that believes its clock."
        ),
    ),
}

HEAD = """# What the simulation holds every run to

`make simulate` runs whole fleets by seeds: the house's own domain, services and agents' tables in one process, with a
virtual clock. Streams are delayed, cut, noticed late and repeat their reports, agents, computers and controllers die
at any pause and at any commit, disks fill up or refuse, clocks jump, agents hang, releases are bad, and people pause,
resume, abort, freeze, withdraw, retry, retire and quarantine as the dice fall. The seed is everything: the same seed
gives the same run, to the last message. What a broken promise prints is enough to see it again: `make simulate SEED=n
SEEDS=1 COMPUTERS=m`.

Each promise is checked where the table says. Each has a planted mistake in `tests/simulation/test_planted_mistakes.py`
that breaks it, so that a check that sees nothing does not pass for a promise that holds. This page is generated from
`tests/simulation/promises.py`; a test fails when it is stale.

| promise | checked at | what it says |
|---|---|---|
"""


def page() -> str:
    """Return the page of the documentation."""
    return HEAD + "".join(f"| `{name}` | {when} | {text} |\n" for name, (when, text) in SENTENCES.items())


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.stderr.write("docs/invariants.md is stale. Run `make docs` and commit the result.\n")
        sys.exit(1)
