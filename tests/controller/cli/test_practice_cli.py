"""The SOP's practice as people type it, before a running controller: training, reviews, feedback, figures, lists."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sopwith_certs.identity import Kind
from sopwith_controller.adapters.sop_reader import StrictSopReader
from sopwith_controller.desk.context import Context, write_context
from sopwith_controller.domain.entities import SopState
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.practice_entities import ReviewTrigger, SopReview
from sopwith_controller.services.sops import draft_revision
from sopwith_formats.sop_policy import WaveRule
from tests.controller.cli.test_sop_cli import Typed, sopwith
from tests.controller.house import House

ID = "SU-SOP-001"
ALL_AT_ONCE = (WaveRule("all", "100%", 0),)
WIDTH = 80


class Office:
    """People at their own desks before one controller."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house, self.folder = house, folder
        (folder / "bundle.pem").write_bytes(house.authority.trust_bundle_pem)

    def sit_down(self, name: str) -> None:
        """Give somebody on the roster a context of their own."""
        held = self.house.pair(Kind.PERSON, f"p-{name}")
        (self.folder / f"{name}.key.pem").write_bytes(held.key_pem)
        (self.folder / f"{name}.pem").write_bytes(held.certificate_pem)
        write_context(
            Context(
                path=self.folder / f"{name}.toml",
                organization="Example",
                trust_domain=self.house.authority.trust_domain,
                person=name,
                fleet_address=self.house.config.fleet_address,
                web_address="127.0.0.1:1",
                ca_fingerprint="sha256:00",
                trust_bundle="file:bundle.pem",
                certificate=f"file:{name}.pem",
                key=f"file:{name}.key.pem",
            )
        )

    async def types(self, name: str, *words: str, expect: int = 0) -> Typed:
        """Type one command."""
        return await sopwith("--context", f"{name}.toml", *words, folder=self.folder, expect=expect, columns=WIDTH)


@pytest.fixture
async def office(house: House, tmp_path: Path) -> Office:
    office = Office(house, tmp_path)
    for name, role in (("operator", "operator"), ("boss", "it_manager")):
        await house.person(name, role)
        office.sit_down(name)
    return office


def fits(shown: Typed) -> str:
    """Return a table's text; it is readable on the narrowest terminal."""
    assert max(len(line) for line in shown.out.splitlines()) <= WIDTH, shown.out
    return " ".join(shown.out.split())


async def _overdue(house: House, *, hard: bool) -> None:
    """Let the effective SOP say what it does at its review's end, and let that end be yesterday."""
    now = house.parts.clock.now()
    async with house.parts.database.write() as unit:
        known = await unit.sops.effective(ID)
        assert known is not None
        if hard:
            text = known.document.replace(b"hard_expiry: false", b"hard_expiry: true")
            assert text != known.document
            made = draft_revision(StrictSopReader().read(text), text, now)
            await unit.sops.put(
                replace(
                    made,
                    state=SopState.EFFECTIVE,
                    effective_time=known.effective_time,
                    acknowledged_by=known.acknowledged_by,
                )
            )
        day = timedelta(days=1)
        review = SopReview("v-late", ID, 1, ReviewTrigger.CLOCK, "its year is over", now - 30 * day, now - day)
        await unit.practice.reviews.put_all([review])
        await unit.commit()


async def _approved(office: Office) -> str:
    """Return the id of a rollout that could start, typed by the operator; and let a plan be shown."""
    agent = await office.house.computer("pc1")
    await agent.connect()
    text = f"rollout: hello-1\nrelease: hello@1\nsop: {ID}\nwaves: [{{name: all, size: 100%, soak: 0s}}]\n"
    (office.folder / "hello.yaml").write_text(text)
    made = await office.types("operator", "rollout", "create", "-f", "hello.yaml", "-o", "name")
    return made.out.strip()


async def test_training_names_who_knows_the_revision_and_who_does_not(office: Office):
    shown = await office.types("operator", "sop", "training", ID)
    listed = (await office.types("boss", "sop", "training", ID, "-o", "json")).document()
    unknown = await office.types("boss", "sop", "training", "SU-SOP-999", expect=1)

    assert f"{ID} revision 1" in shown.err
    assert "operator" in shown.out
    assert {one["person"] for one in listed} >= {"operator", "boss"}
    assert {"person", "state", "how", "due_time", "since_revision", "drill_time"} <= set(listed[0])
    assert "SU-SOP-999" in unknown.err


async def test_review_shows_what_asks_and_no_change_starts_the_clock_anew(office: Office):
    await _overdue(office.house, hard=False)

    asked = await office.types("operator", "sop", "review", ID)
    both = await office.types("boss", "sop", "review", ID, "--no-change", "--revise", expect=2)
    silent = await office.types("boss", "sop", "review", ID, "--no-change", expect=1)
    refused = await office.types("operator", "sop", "review", ID, "--no-change", "--note", "fits", expect=4)
    done = (await office.types("boss", "sop", "review", ID, "--no-change", "--note", "fits", "-o", "json")).document()

    assert "v-late clock" in fits(asked)
    assert "its year is over open" in fits(asked)
    assert "Next review" in asked.out
    assert "exclude each other" in both.err
    assert "--note" in silent.err
    assert "it_manager" in refused.err
    (review,) = done["reviews"]
    assert (review["id"], review["outcome"], review["closed_by"], review["note"]) == (
        "v-late",
        "NO_CHANGE",
        "boss",
        "fits",
    )
    assert done["next_due_time"] > done["last_reviewed_time"] > review["due_time"]


async def test_feedback_is_given_listed_and_disposed_of(office: Office):
    words = ("the soak is too short for what our branch offices do in the night", "--clause", "V.C")
    given = (await office.types("operator", "sop", "feedback", ID, *words, "-o", "json")).document()
    nowhere = await office.types("operator", "sop", "feedback", ID, "x", "--clause", "XI", expect=1)
    listed = await office.types("boss", "sop", "feedback", ID)
    refused = await office.types(
        "operator", "sop", "feedback", given["id"], "--dispose", "done", "--reason", "x", expect=4
    )
    disposal = ("--dispose", "accepted", "--reason", "an hour in the next revision")
    taken = (await office.types("boss", "sop", "feedback", given["id"], *disposal, "-o", "json")).document()

    assert (given["clause"], given["given_by"], given["disposition"]) == ("V.C", "operator", "OPEN")
    assert "XI" in nowhere.err
    assert "soak" in fits(listed)
    assert "it_manager" in refused.err
    assert (taken["disposition"], taken["disposition_reason"]) == ("ACCEPTED", "an hour in the next revision")


async def test_trace_and_figures_of_a_real_rollout_are_read_at_eighty_columns(office: Office):
    desk = await office.house.person("otto", "operator")
    agent = await office.house.computer("pc1")
    await agent.connect()
    identifier = await desk.started("1", waves=ALL_AT_ONCE)
    await desk.until(identifier, "COMPLETED")

    traced = await office.types("operator", "rollout", "trace", identifier)
    lines = (await office.types("operator", "rollout", "trace", identifier, "-o", "json")).document()
    missing = await office.types("operator", "rollout", "trace", "r-nowhere", expect=1)
    figures = await office.types("operator", "report", "kpi", "coverage", "rollback_rate")
    counted = (await office.types("operator", "report", "kpi", "rollback_rate", "-o", "json")).document()
    objectives = await office.types("operator", "report", "kpi", "--against-objectives")
    typo = await office.types("operator", "report", "kpi", "rolback_rate", expect=2)

    assert "V PASS every value within the SOP" in fits(traced)
    assert {line["clause"]: line["result"] for line in lines}["V.B.1"] == "PASS"
    assert "r-nowhere" in missing.err
    assert "rollback_rate" in fits(figures)
    assert [one["id"] for one in counted["kpis"]] == ["rollback_rate"]
    assert counted["kpis"][0]["denominator"] == 1
    assert "met" in fits(objectives)
    assert "there is no KPI rolback_rate; one of " in typo.err


async def test_a_list_of_computers_is_imported_excused_and_compared(office: Office):
    await office.house.computer("pc1")
    (office.folder / "list.csv").write_text("name,note\npc1,\npc2,by the door\npc3,\n")
    (office.folder / "empty.csv").write_text("# nobody\n")

    before = await office.types("operator", "computer", "coverage")
    empty = await office.types("operator", "computer", "import", "empty.csv", expect=1)
    dry = await office.types("operator", "computer", "import", "list.csv", "--dry-run")
    done = (await office.types("operator", "computer", "import", "list.csv", "-o", "json")).document()
    excuse = ("computer", "excuse", "pc2", "--reason", "in repair", "--until")
    never = await office.types("operator", *excuse, "soon", expect=2)
    await office.types("operator", *excuse, "30d")
    shown = await office.types("operator", "computer", "coverage")
    everyone = (await office.types("operator", "computer", "coverage", "-o", "json")).document()

    assert "no list was imported yet" in before.err
    assert "names no computer" in empty.err
    assert "3 would be new" in dry.err
    assert (done["added"], done["removed"]) == (3, 0)
    assert "--until" in never.err
    assert "2 of 3 known computers are enrolled or excused" in shown.err
    assert "pc3" in fits(shown)
    assert {one["name"]: one["standing"] for one in everyone} == {"pc1": "ENROLLED", "pc2": "EXCUSED", "pc3": "MISSING"}


@pytest.mark.clause("7 Continuous improvement", "clock")
async def test_a_sop_that_ends_with_its_review_starts_nothing_until_somebody_reviewed_it(office: Office):
    await _overdue(office.house, hard=True)
    identifier = await _approved(office)

    submitted = await office.types("operator", "rollout", "submit", identifier)
    start = ("rollout", "start", identifier, "--yes", "--reason", "monthly")
    blocked = await office.types("operator", *start, expect=4)
    await office.types("boss", "sop", "review", ID, "--no-change", "--note", "fits")
    await office.types("operator", *start)

    assert "ends with it (hard_expiry)" in submitted.out + submitted.err
    assert "sop_effective" in blocked.err
    assert "clause VII" in blocked.err
    assert "the SOP ends with it (hard_expiry)" in blocked.err
    assert f"sopwith sop review {ID} --no-change --note TEXT" in blocked.err
    assert [row.rollout for row in await office.house.log(LogKind.ROLLOUT_STARTED)] == [identifier]


async def test_an_overdue_review_only_warns_where_the_sop_does_not_end_with_it(office: Office):
    await _overdue(office.house, hard=False)
    identifier = await _approved(office)

    submitted = await office.types("operator", "rollout", "submit", identifier)
    begun = await office.types("operator", "rollout", "start", identifier, "--yes", "--reason", "monthly")
    again = await office.types("operator", "rollout", "show", identifier)

    assert f"the review of {ID} was due" in submitted.out + submitted.err
    assert begun.err.count(f"note: the review of {ID} was due") == 1
    assert "was due" not in begun.out + again.err
    (started,) = await office.house.log(LogKind.ROLLOUT_STARTED)
    assert '"gate":"sop_effective"' in started.details.replace(" ", "")
    assert '"result":"WARNED"' in started.details.replace(" ", "")
