"""The run of the contract's section 10, typed as it stands; a first update of archives on five real computers."""

import shlex

import pytest

from sopwith_controller.desk.demo_release import write_release
from tests.system.fleet import Fleet, link_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(280)]

ROLLOUT = """rollout: lamp-1
release: lamp@1
sop: SU-SOP-001
audience: "site=berlin"
waves: [{name: canary, size: 1, soak: 0s}, {name: rest, size: 100%}]
max_concurrency: 5
"""


@pytest.mark.clause("V.B.2 Monitor", "watch")
def test_the_whole_run_of_the_contract(fleet: Fleet):
    write_release(fleet.folder / "lamp-1", "1", shines=True, summary="The first lamp")
    write_release(fleet.folder / "lamp-2", "2", shines=False, summary="A bad lamp")
    (fleet.folder / "rollout.yaml").write_text(ROLLOUT)
    (fleet.folder / "rollout2.yaml").write_text(ROLLOUT.replace("lamp-1", "lamp-2").replace("lamp@1", "lamp@2"))

    def typed(line: str, expect: tuple[int, ...] = (0,)):
        program, *arguments = shlex.split(line)
        return fleet.stage.run(program, *arguments, context="c/owner/context.toml", expect=expect, timeout=150)

    made = fleet.init()
    assert set(made) >= {
        "data", "organization", "trust_domain", "profile", "ca_fingerprint", "fleet_address", "web_address", "context",
    }  # fmt: skip
    fleet.serve()
    join = typed("sopwith person invite manager --role it_manager -o json").document()["join"]
    typed(f"sopwith person accept {shlex.quote(join)} --context manager.toml")
    join = typed("sopwith person invite authority --role authority -o json").document()["join"]
    typed(f"sopwith person accept {shlex.quote(join)} --context authority.toml")
    join = typed("sopwith person invite operator --role operator --role release_manager -o json").document()["join"]
    typed(f"sopwith person accept {shlex.quote(join)} --context operator.toml")
    typed("sopwith sop submit SU-SOP-001")
    typed("sopwith sop sign SU-SOP-001 --yes")
    typed("sopwith --context manager.toml sop sign SU-SOP-001 --yes")
    typed("sopwith --context authority.toml sop sign SU-SOP-001 --yes")
    assert typed("sopwith sop show SU-SOP-001 -o json").document()["state"] == "EFFECTIVE"
    typed("sopwith --context operator.toml sop acknowledge SU-SOP-001 --yes")
    typed("sopwith source init --keys keys --backup-keys backup")
    typed("sopwith --context operator.toml release publish lamp-1 --keys keys -o json")
    token = typed("sopwith token create --uses 5 --label site=berlin -o json").document()
    assert set(token) >= {"join", "token", "ca_fingerprint", "source_root_sha256", "expires_at"}
    for number in range(1, 6):
        typed(f"sopwith-agent enroll {shlex.quote(token['join'])} --state a{number} --name pc{number}")
        fleet.stage.start(
            "sopwith-agent", "run", "--state", f"a{number}", "--root", f"pc{number}-root", log=f"a{number}.log"
        )
    fleet.until("five ready computers", lambda: fleet.all_ready(5), seconds=60)
    created = typed("sopwith --context operator.toml rollout create -f rollout.yaml -o json").document()
    assert created["plan_sha256"]
    rollout = created["id"]
    submitted = typed(f"sopwith --context operator.toml rollout submit {rollout} -o json").document()
    assert submitted["state"] == "APPROVED"
    typed(f"sopwith --context operator.toml rollout start {rollout} --yes --reason 'monthly update'")
    typed(f"sopwith --context operator.toml rollout status {rollout} --wait --timeout 120s")
    assert [link_version(fleet, f"pc{n}") for n in range(1, 6)] == ["1"] * 5
    entries = typed("sopwith log list -o json").document()
    outcomes = [entry for entry in entries if entry["outcome"]]
    assert [entry["outcome"] for entry in outcomes] == ["SUCCEEDED"] * 5
    assert all(
        entry["date"] and entry["time"] and entry["local_time"] and entry["receipt_sha256"] for entry in outcomes
    )
    assert {entry["operator"] for entry in outcomes} == {"operator"}
    typed("sopwith log verify")
    typed("sopwith log export --out log.zip")
    typed("sopwith log verify log.zip")

    typed("sopwith --context operator.toml release publish lamp-2 --keys keys -o json")
    rollout = typed("sopwith --context operator.toml rollout create -f rollout2.yaml -o json").document()["id"]
    typed(f"sopwith --context operator.toml rollout submit {rollout}")
    typed(f"sopwith --context operator.toml rollout start {rollout} --yes --reason 'monthly update'")
    typed(f"sopwith --context operator.toml rollout status {rollout} --wait --timeout 120s", expect=(5,))
    shown = typed(f"sopwith rollout show {rollout} -o json").document()
    assert shown["state"] == "SUSPENDED"
    assert shown["counts"]["rolled_back"] == 1
    incidents = typed("sopwith incident list -o json").document()
    mine = [incident for incident in incidents if incident["rollout"] == rollout]
    assert "HEALTH_CHECK_FAILED" in {incident["symptom"] for incident in mine}
    fleet.until("the mail", lambda: any("lamp@2" in mail for mail in fleet.mails()), seconds=60)
    assert any("sopwith incident acknowledge" in mail for mail in fleet.mails())
    for incident in mine:
        typed(f"sopwith --context manager.toml incident acknowledge {incident['id']}")
        typed(f"sopwith --context manager.toml incident acknowledge {incident['id']}")
    typed(f"sopwith --context operator.toml rollout resume {rollout} --yes --reason 'seen, go on'")
    typed("sopwith --context operator.toml release withdraw lamp@2 --yes --reason 'stays dark' --keys keys")
    typed(f"sopwith --context operator.toml rollout abort {rollout} --yes --reason 'withdrawn'", expect=(0, 1))
    fleet.until(
        "the end of the rollout",
        lambda: typed(f"sopwith rollout show {rollout} -o json").document()["state"] in ("COMPLETED", "ABORTED"),
    )
    typed("sopwith log verify")
    status = typed("sopwith-agent status --state a1 -o json").document()
    assert status["sop"]["revision"] == 1
    assert status["installed"] == {"lamp": "1"}
