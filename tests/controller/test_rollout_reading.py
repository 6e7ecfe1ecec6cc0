"""What people read of rollouts fits a screen for 5 computers and for 5,000, and JSON has everything.

A real controller plans and explains for fake computers in its tables; the guide's excerpts are held against its words.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sopwith.v1 import rollout_pb2, rollout_service_pb2
from sopwith_controller.cli.explain_view import print_explanations
from sopwith_controller.cli.output import to_document
from sopwith_controller.cli.plan_view import print_plan
from sopwith_controller.cli.rollout_views import print_rollout
from sopwith_controller.domain.entities import Computer, ComputerState, Readiness, Reason
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import WaveRule
from tests.controller.house import running

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "rollouts.md"
MANY = 5000
LINES_MAX = 45
WAVES = (WaveRule("canary", 1, 0), WaveRule("early", "10%", 4 * 3600), WaveRule("rest", "100%"))


def fake_computer(number: int) -> Computer:
    """Return one of a mixed fleet: quarantined, not accepted, not ready, or well."""
    name, now = f"pc{number:04}", datetime.now(UTC)
    state = ComputerState.ACCEPTED
    if number % 100 == 7:
        state = ComputerState.QUARANTINED
    elif number % 500 == 13:
        state = ComputerState.PENDING
    no_room = Reason("DISK_FULL", "1 GiB is free, 2 GiB are needed", "make room")
    readiness = Readiness("NOT_READY", (no_room,), (), now) if number % 50 == 3 else Readiness("READY", (), (), now)
    return Computer(
        f"c-{name}",
        name,
        state,
        f"sha256:{name}",
        now,
        labels={"site": "berlin"},
        readiness=readiness,
        state_reason="two agents use its identity" if state is ComputerState.QUARANTINED else "",
    )


@dataclass
class Replies:
    """What one controller answered about a fleet."""

    plan: rollout_service_pb2.RolloutPlan
    explanations: rollout_service_pb2.ExplainRolloutResponse
    rollout: rollout_pb2.Rollout


async def replies_about(founded: Path, folder: Path, size: int) -> Replies:
    """Plan and start a rollout for fake computers, one of which is connected and does nothing."""
    async with running(founded, folder) as house:
        await house.make_sop_effective()
        await house.designate_source()
        await house.publish("hello", "2")
        async with house.parts.database.write() as unit:
            await unit.computers.put_all([fake_computer(number) for number in range(size)])
            await unit.commit()
        agent = await house.computer("pc9999", labels={"site": "berlin"})
        agent.works = False
        await agent.connect()
        desk = await house.person("operator", "operator", "owner")
        document = RolloutSpec(
            rollout="hello-2", release="hello@2", sop="SU-SOP-001", audience="site=berlin", waves=WAVES
        ).to_json()
        request = rollout_service_pb2.PlanRolloutRequest(rollout_json=document.decode())
        plan = (await desk.rollouts.PlanRollout(request)).plan
        identifier = await desk.started("2", waves=WAVES, audience="site=berlin")
        reply = await desk.rollouts.ExplainRollout(rollout_service_pb2.ExplainRolloutRequest(id=identifier))
        return Replies(plan, reply, await desk.rollout(identifier))


@pytest.fixture(scope="module")
def many(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Replies:
    return asyncio.run(replies_about(founded, tmp_path_factory.mktemp("many"), MANY))


@pytest.fixture(scope="module")
def few(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Replies:
    return asyncio.run(replies_about(founded, tmp_path_factory.mktemp("few"), 5))


def shape(lines: list[str]) -> list[str]:
    """Return what stays the same from fleet to fleet: labels, titles and words, without numbers and names."""
    return [
        re.split(r"  +", line)[0] for line in lines if re.match(r"[A-Z][A-Za-z ]+  |note  |everybody|The rollout", line)
    ]


def excerpt(name: str) -> list[str]:
    """Return the lines of an excerpt in the guide."""
    found = re.search(rf"<!-- shape: {name} -->\n```\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1].splitlines()


def stands_in(few: list[str], many: list[str]) -> bool:
    """Tell whether every one of the few comes in the many, in the same order."""
    rest = iter(many)
    return all(one in rest for one in few)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return what was printed since the last call, in lines, on a terminal of 100 columns."""
    monkeypatch.setenv("COLUMNS", "100")

    def lines() -> list[str]:
        return [line for line in capsys.readouterr().out.splitlines() if " [info " not in line]

    return lines


def test_plan_for_thousands_fits_a_screen_and_counts_who_is_left_out_by_reason(many, printed):
    print_plan(many.plan)

    lines = printed()
    assert len(lines) <= LINES_MAX
    assert [line for line in lines if len(line) > 100] == []
    text = "\n".join(lines)
    assert "4,941; 60 left out" in text
    assert re.search(r"^50 +pc0007, pc0107, pc0207 and 47 more +is quarantined", text, re.MULTILINE)
    assert "sopwith computer accept COMPUTER" in text
    assert stands_in(shape(excerpt("plan")), shape(lines))


def test_every_computer_is_shown_where_everything_is_asked_for(many, printed):
    print_plan(many.plan, everything=True)

    text = "\n".join(printed())
    assert len(re.findall(r"^pc\d{4} +(canary|early|rest)$", text, re.MULTILINE)) == 4941
    assert len(re.findall(r"^pc\d{4} +is (quarantined|not accepted)", text, re.MULTILINE)) == 60


def test_plan_s_document_has_every_member_exclusion_byte_and_missing_approval(many):
    document = to_document(many.plan)["forecast"]

    assert len(document["members"]) == document["computers"] == 4941
    assert [member["wave"] for member in document["members"][:2]] == ["canary", "early"]
    assert len(document["exclusions"]) == 60
    assert {exclusion["reason"] for exclusion in document["exclusions"]} == {
        "is not accepted yet",
        "is quarantined: two agents use its identity",
    }
    assert document["bytes_total"] == 4941 * document["bytes_per_computer"] > 0
    assert document["risk"]["level"] == "moderate"
    assert document["approvals_missing"] == document["refusals"] == []
    assert document["projected_finish_time"]
    assert [wave["size"] for wave in document["waves"]] == [1, 495, 4445]
    assert all(material["present"] for material in document["materials"])


def test_thousands_that_wait_stand_by_reason_and_their_document_has_each(many, printed):
    reply = many.explanations

    print_explanations(reply)
    lines = printed()
    print_explanations(reply, everything=True)
    everybody = printed()
    print_rollout(many.rollout)
    shown = printed()

    assert len(lines) <= LINES_MAX
    assert [line for line in lines if len(line) > 100] == []
    assert stands_in(shape(excerpt("explain many")), shape(lines))
    assert len([line for line in everybody if line.startswith("pc")]) == len(reply.explanations) == 4941
    assert len({one["computer"] for one in to_document(reply)["explanations"]}) == 4941
    assert stands_in(shape(excerpt("show")), shape(shown))


def test_five_computers_are_shown_one_by_one(few, printed):
    print_plan(few.plan)
    lines = printed()
    print_explanations(few.explanations)
    explained = printed()

    assert len(lines) <= LINES_MAX
    assert any(re.match(r"1 +pc0003", line) for line in lines) == any("left out" in line for line in lines)
    assert {line.split()[0] for line in explained if line.startswith("pc")} == {f"pc{n:04}" for n in range(5)} | {
        "pc9999"
    }
    assert stands_in(shape(excerpt("explain few")), shape(explained))


@pytest.mark.parametrize("fleet", ["few", "many"])
def test_tables_fit_a_terminal_of_eighty_columns(fleet, request, printed, monkeypatch):
    replies = request.getfixturevalue(fleet)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    print_plan(replies.plan)
    print_explanations(replies.explanations)
    print_rollout(replies.rollout)

    lines = [re.sub(r"\x1b\[\d+m", "", line) for line in printed()]
    assert lines
    assert [line for line in lines if len(line) > 80] == []
    assert len(lines) < 3 * LINES_MAX


def test_reasons_that_differ_in_name_and_time_only_stand_together(printed):
    reply = rollout_service_pb2.ExplainRolloutResponse()
    for number in range(30):
        seen = f"2026-11-22T10:{number:02}:00Z"
        reply.explanations.add(
            computer=f"pc{number}",
            waits_for="connection",
            message=f"pc{number} was not heard of since {seen}",
            remedy=f"switch pc{number} on",
        )

    print_explanations(reply)

    text = "\n".join(printed())
    assert re.search(
        r"^30 +connection +pc0, pc1, pc2 and 27 more +it was not heard of for some time$", text, re.MULTILINE
    )
    assert "switch COMPUTER on" in text
