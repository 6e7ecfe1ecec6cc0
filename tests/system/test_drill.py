"""A drill under the effective SOP: its own fleet, real commands, injected faults, a training record, no trace here."""

import pytest

from tests.system.fleet import OPERATOR, Fleet

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
SCRIPT = """# what an operator types
sopwith sop acknowledge SU-SOP-001 --yes
sopwith computer readiness pc3
DISK_FULL
hint
PENDING_REBOOT
sopwith --context ../elsewhere.toml status
show
show
HEALTH_CHECK_FAILED
show
sopwith release withdraw lamp@2 --yes --reason "stays dark"
show
pc2
show
sopwith log verify
whole
"""


@pytest.mark.clause("4 Communicate and train", "drill")
def test_a_drill_ends_in_a_training_record_and_touches_no_computer_of_the_fleet(governed_fleet: Fleet):
    fleet = governed_fleet
    (fleet.folder / "script.txt").write_text(SCRIPT, encoding="utf-8")
    before = fleet.json("log", "list")
    done = fleet.sopwith(
        "sop", "drill", "SU-SOP-001", "--script", "script.txt", "-o", "json", who=OPERATOR, timeout=560
    )

    record = done.document()
    after = fleet.json("log", "list")
    training = {one["person"]: one for one in fleet.json("sop", "training", "SU-SOP-001")}
    assert record["tasks"] == {
        "say that you know the procedure": "done",
        "find why a computer is not ready": "done after a hint",
        "prepare the rollout": "shown",
        "start it and watch": "shown",
        "name the symptom": "done",
        "take the incidents": "shown",
        "withdraw the bad release": "done",
        "start the mended release": "shown",
        "find who is missing": "done",
        "see it through": "shown",
        "prove the record": "done",
    }
    assert "a drill stays on its own fleet" in done.err
    new = [entry["kind"] for entry in after[len(before) :] if entry["kind"] != "LOG_READ"]
    assert new == ["DRILL_DONE"]
    assert training["operator"]["drill_time"]
    assert fleet.json("computer", "list") == []
    left = fleet.sopwith("sop", "drill", "SU-SOP-001", who=OPERATOR, expect=(1,))
    assert "--script FILE or --auto" in left.err
