"""Attacks on the source, on a real fleet (fault cases 1, 10 and 16): nothing is installed, and the manager hears of it.

The computers prove every file and every metadata file themselves, so a controller that was broken into can only make
them refuse. One fleet serves all attacks; each ends with the source as it was.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sopwith_controller.desk.demo_release import write_release
from tests.system.fleet import MANAGER, OPERATOR, Fleet, link_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]

COMPUTERS = ("pc1", "pc2")
ROLLOUT = """rollout: {name}
release: {release}
sop: SU-SOP-001
audience: ""
waves: [{{name: all, size: 100%}}]
max_concurrency: 2
attempts_max: 1
error_threshold: {{percent: 100, count: 99, lost: 99}}
"""


def attacked(fleet: Fleet, release: str, name: str) -> None:
    """Order a release under attack, and check that both computers refuse it with this symptom's mail and incident."""
    symptom = name.replace("-", "_").upper()
    rollout = fleet.start(ROLLOUT.format(name=name, release=release))
    shown = fleet.finish(rollout, expect=(5,), timeout=40)

    assert shown["counts"]["failed"] == len(COMPUTERS)
    assert fleet.outcomes(rollout) == dict.fromkeys(COMPUTERS, "FAILED")
    assert {share["symptom"] for share in fleet.assignments(rollout)} == {symptom}
    assert [link_version(fleet, computer) for computer in COMPUTERS] == ["", ""]
    incidents = [one for one in fleet.json("incident", "list") if one["rollout"] == rollout]
    assert [(one["symptom"], sorted(one["computers"])) for one in incidents] == [(symptom, list(COMPUTERS))]
    number = incidents[0]["id"]
    fleet.until("the mail", lambda: any(number in mail for mail in fleet.mails()), seconds=30)
    mail = next(mail for mail in fleet.mails() if number in mail)
    assert release in mail
    assert symptom in mail
    assert any(computer in mail for computer in COMPUTERS)  # it goes out at the first; the incident lists all
    assert f"sopwith incident acknowledge {number}" in mail
    fleet.sopwith("incident", "acknowledge", number, who=MANAGER)


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    honest = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(honest)


@pytest.mark.clause("I Consistency", "content")
def test_nothing_is_installed_from_a_source_under_attack(governed_fleet: Fleet):
    fleet = governed_fleet
    served = fleet.folder / "c" / "source"
    timestamp = served / "metadata" / "timestamp.json"
    for version in ("1", "2"):
        write_release(fleet.folder / f"lamp-{version}", version, shines=True, summary="A lamp")
    fleet.computers(*COMPUTERS)
    fleet.publish(fleet.folder / "lamp-1")
    older = timestamp.read_bytes()
    fleet.publish(fleet.folder / "lamp-2")

    file = next((served / "targets").rglob("*lamp-2.tar.gz"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    with replaced(file, bytes(content)):
        attacked(fleet, "lamp@2", "download-digest-mismatch")

    # The computers have seen the newer timestamp now; the older one is signed as well as it ever was.
    with replaced(timestamp, older):
        attacked(fleet, "lamp@1", "metadata-rollback")

    # A stolen controller goes on ordering what the release manager signed out of the source.
    fleet.sopwith(
        "release", "withdraw", "lamp@2", "--yes", "--reason", "recalled", "--keys", "keys", who=OPERATOR
    )  # fmt: skip
    with sqlite3.connect(fleet.folder / "c" / "sopwith.db", timeout=10) as database:
        changed = database.execute("UPDATE releases SET state = 'PUBLISHED' WHERE version = '2'").rowcount
    database.close()
    assert changed == 1
    attacked(fleet, "lamp@2", "not-authorised-by-source")

    # The honest source still serves: what was refused was the attack, not the computers.
    rollout = fleet.start(ROLLOUT.format(name="honest", release="lamp@1"))
    fleet.finish(rollout)
    assert [link_version(fleet, computer) for computer in COMPUTERS] == ["1", "1"]
    fleet.sopwith("log", "verify")
