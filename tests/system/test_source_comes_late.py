"""A computer that was enrolled before the source was designated waits for it, accepts it once, and says so."""

import pytest

from tests.system.fleet import Fleet

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


def test_a_computer_enrolled_before_the_source_accepts_its_designation(fleet: Fleet):
    fleet.init()
    fleet.serve()
    fleet.enroll("early")
    fleet.run_agent("early")

    def reasons() -> set[str]:
        readiness = fleet.json("computer", "show", "early")["readiness"] or {"reasons": []}
        return {reason["code"] for reason in readiness["reasons"]}

    fleet.until("the missing source", lambda: "SOURCE_NOT_DESIGNATED" in reasons())
    before = fleet.json("computer", "show", "early")
    fleet.designate_source()
    fleet.until("readiness", lambda: fleet.all_ready(1))

    after = fleet.json("computer", "show", "early")
    assert (before["source_root_sha256"], before["readiness"]["verdict"]) == ("", "NOT_READY")
    assert after["source_root_sha256"] == fleet.json("source", "status")["root_sha256"]
    kinds = [entry["kind"] for entry in fleet.json("log", "list") if entry["computer"] == "early"]
    assert any("SOURCE" in kind for kind in kinds)
