"""`sopwith sop` as people type it: against a real server with real certificates, and offline."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sopwith.v1 import practice_service_pb2_grpc, sop_life_service_pb2_grpc, sop_service_pb2_grpc
from sopwith_certs.authority import Authority
from sopwith_certs.credentials import server_credentials
from sopwith_certs.identity import Kind
from sopwith_certs.signing import fingerprint, public_key_pem, read_private_key
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.api.interceptors import Gatekeeper
from sopwith_controller.api.people_api import JoinAddress
from sopwith_controller.api.practice_api import PracticeApi
from sopwith_controller.api.server import FleetServer
from sopwith_controller.api.sop_api import SopApi
from sopwith_controller.api.sop_life_api import SopLifeApi, SopTools
from sopwith_controller.desk.context import Context, write_context
from sopwith_controller.services.access import Access
from sopwith_controller.services.profiles import Profiles
from sopwith_controller.services.refusals import Refusals
from sopwith_controller.services.signing_links import SigningLinks
from sopwith_controller.services.sop_announcing import SopAnnouncing
from sopwith_controller.services.sop_distribution import SopDistribution
from sopwith_controller.services.sop_feedback import SopFeedback
from sopwith_controller.services.sop_reviews import SopReviews
from sopwith_controller.services.training import Trainings
from sopwith_formats.sop_template import sop_template
from tests.certs.fleet import TRUST_DOMAIN, lay_server, pair
from tests.controller.sop_fleet import DOCUMENT, ID, SopFleet, revised

ACCESS: dict[Path, Access] = {}
FLEETS: dict[Path, SopFleet] = {}
"""What serves each office that is open."""
SOPWITH = str(Path(sys.executable).parent / "sopwith")


class Typed:
    """What a command printed and how it ended."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out.decode(), err.decode()

    def document(self):
        return json.loads(self.out)


async def sopwith(*arguments: str, folder: Path, expect: int = 0, columns: int = 100) -> Typed:
    process = await asyncio.create_subprocess_exec(
        SOPWITH,
        *arguments,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "COLUMNS": str(columns)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    done = Typed(process.returncode or 0, out, err)
    assert done.code == expect, (arguments, done.out, done.err)
    assert "Traceback" not in done.err
    return done


class TrainingOnly(PracticeApi):
    """The part of the practice that acknowledging asks; the rest is shown on a whole controller."""

    def __init__(self, trainings: Trainings) -> None:
        self._trainings = trainings


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Path]:
    """A folder with one context per person, and a server that answers them."""
    fleet = await SopFleet(datetime.now(UTC)).begin()
    authority = Authority.create("Example", TRUST_DOMAIN, datetime.now(UTC))
    access = Access(fleet.database)
    pair_folder, bundle = lay_server(tmp_path, authority)
    api = SopApi(fleet.sops)
    ids = RandomIds()
    tools = SopTools(
        sops=fleet.sops,
        reviews=SopReviews(fleet.database, fleet.clock, ids, fleet.sops),
        links=SigningLinks(fleet.database, fleet.clock, ids, fleet.sops, mail=True, wake=lambda: None),
        announcing=SopAnnouncing(fleet.database, fleet.clock, ids, mail=True, wake=lambda: None),
        distribution=SopDistribution(fleet.database, fleet.clock, lambda: None),
        profiles=Profiles(fleet.database, fleet.clock, access, lambda: None),
    )
    clock_of_reviews: Any = None  # `sop review` has tests of its own, on a whole controller
    practice = PracticeApi(
        Trainings(fleet.database, fleet.clock, ids), clock_of_reviews, SopFeedback(fleet.database, fleet.clock, ids)
    )
    life = SopLifeApi(tools, JoinAddress("127.0.0.1:7445", authority.fingerprint, authority.trust_bundle_pem))
    training = TrainingOnly(Trainings(fleet.database, fleet.clock, ids))
    server = FleetServer(
        "127.0.0.1:0",
        server_credentials(pair_folder, bundle),
        Gatekeeper(access, TRUST_DOMAIN, Refusals(fleet.database)),
        [
            lambda server: sop_service_pb2_grpc.add_SopServiceServicer_to_server(api, server),
            lambda server: practice_service_pb2_grpc.add_PracticeServiceServicer_to_server(training, server),
            lambda server: sop_life_service_pb2_grpc.add_SopLifeServiceServicer_to_server(life, server),
            lambda server: practice_service_pb2_grpc.add_PracticeServiceServicer_to_server(practice, server),
        ],
    )
    for name, person in fleet.people.items():
        held = pair(authority, Kind.PERSON, person.id)
        (tmp_path / f"{name}.key.pem").write_bytes(held.key_pem)
        (tmp_path / f"{name}.pem").write_bytes(held.certificate_pem)
        key = read_private_key(held.key_pem).public_key()
        bound = replace(person, key_fingerprint=fingerprint(key), public_key_pem=public_key_pem(key).decode())
        async with fleet.database.write() as unit:
            await unit.people.put(bound)
            await unit.commit()
        write_context(
            Context(
                path=tmp_path / f"{name}.toml",
                organization="Example",
                trust_domain=TRUST_DOMAIN,
                person=name,
                fleet_address=f"127.0.0.1:{server.port}",
                web_address="127.0.0.1:1",
                ca_fingerprint="sha256:00",
                trust_bundle="file:bundle.pem",
                certificate=f"file:{name}.pem",
                key=f"file:{name}.key.pem",
            )
        )
    await access.load()
    await server.start()
    FLEETS[tmp_path], ACCESS[tmp_path] = fleet, access
    yield tmp_path
    del FLEETS[tmp_path]
    await server.stop(0)


async def test_sop_becomes_effective_by_the_commands_of_the_contract(office):
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
    await sopwith("--context", "owner.toml", "sop", "sign", ID, "--yes", folder=office)
    await sopwith("--context", "manager.toml", "sop", "sign", ID, "--yes", folder=office)
    between = await sopwith("sop", "show", ID, "--context", "owner.toml", "-o", "json", folder=office)
    await sopwith("sop", "sign", ID, "--yes", "--context", "authority.toml", folder=office)
    await sopwith("--context", "operator.toml", "sop", "acknowledge", ID, "--yes", folder=office)
    await sopwith("--context", "operator.toml", "sop", "acknowledge", ID, "--yes", folder=office)

    shown = await sopwith("--context", "operator.toml", "sop", "show", ID, "-o", "json", folder=office)
    history = await sopwith("--context", "operator.toml", "sop", "history", ID, "-o", "json", folder=office)
    listed = await sopwith("--context", "operator.toml", "sop", "list", "-o", "name", folder=office)

    assert (between.document()["state"], between.document()["signatures_missing"]) == ("IN_REVIEW", ["authority"])
    assert shown.document()["state"] == "EFFECTIVE"
    assert shown.document()["acknowledged_by"] == ["owner", "manager", "authority", "operator"]
    (row,) = history.document()
    assert list(row) == ["revision", "description", "date", "revised_by"]
    assert (row["revision"], row["description"], row["revised_by"]) == (1, "Initial issue", "owner")
    assert row["date"] == datetime.now(UTC).date().isoformat()
    assert listed.out == f"{ID}\n"


@pytest.mark.clause("VII Approval", "offline")
async def test_signatures_are_proved_offline_and_one_changed_byte_leaves_none(office):
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
    for name in ("owner", "manager", "authority"):
        await sopwith("--context", f"{name}.toml", "sop", "sign", ID, "--yes", folder=office)
    await sopwith("--context", "owner.toml", "sop", "show", ID, "--export", "sop.json", folder=office)
    bundle = json.loads((office / "sop.json").read_text())

    proof = await sopwith("sop", "verify", "sop.json", "-o", "json", folder=office)
    (office / "changed.json").write_text(json.dumps({**bundle, "document": "LS0t" + bundle["document"][4:-8] + "AAAA"}))
    changed = await sopwith("sop", "verify", "changed.json", "-o", "json", folder=office, expect=1)
    believed = await sopwith("sop", "verify", "sop.json", "--key", "sha256:00", folder=office, expect=1)

    assert proof.document()["valid"] == 3
    assert [item["meaning"] for item in proof.document()["signatures"]] == ["authored", "reviewed", "approved"]
    assert proof.document()["signatures_missing"] == []
    assert changed.document()["valid"] == 0
    assert "0 of 3" in believed.err


async def test_paper_carries_signatures_history_and_digests(office):
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
    await sopwith("--context", "owner.toml", "sop", "sign", ID, "--yes", folder=office)

    text = await sopwith("--context", "owner.toml", "sop", "render", ID, folder=office)
    await sopwith(
        "--context", "owner.toml", "sop", "render", ID, "--format", "html", "--out", "sop.html", folder=office
    )

    page = (office / "sop.html").read_text()
    digest = hashlib.sha256(DOCUMENT).hexdigest()
    assert digest in page
    assert digest in text.out.replace("\n", "").replace(" ", "") or digest in text.out
    assert "IN_REVIEW" in page
    assert "authored" in page
    assert "not signed" in page
    assert "Initial issue" in page


async def test_second_signature_of_one_person_is_refused_with_exit_code_4(office):
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
    await sopwith("--context", "owner.toml", "sop", "sign", ID, "--yes", folder=office)

    again = await sopwith("--context", "owner.toml", "sop", "sign", ID, "--yes", folder=office, expect=4)
    stranger = await sopwith("--context", "operator.toml", "sop", "sign", ID, "--yes", folder=office, expect=4)
    forbidden = await sopwith("--context", "manager.toml", "sop", "submit", ID, folder=office, expect=4)

    assert "sop_effective (SOP clause VII): owner has signed as owner already" in again.err
    assert "operator may not call SignSop" in stranger.err  # the controller said so, and recorded it
    assert "operator_role" in forbidden.err


async def test_signature_without_a_word_and_without_a_terminal_is_not_made(office):
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)

    done = await sopwith("--context", "owner.toml", "sop", "sign", ID, folder=office, expect=1)

    assert "add --yes" in done.err


async def test_revision_that_is_not_in_review_is_not_signed(office):
    done = await sopwith("--context", "owner.toml", "sop", "sign", ID, "--yes", folder=office, expect=1)

    assert "is DRAFT; only a revision in review is signed" in done.err
    assert f"sopwith sop submit {ID}" in done.err


async def test_rejection_sends_it_back_as_a_draft(office):
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
    await sopwith("--context", "owner.toml", "sop", "sign", ID, "--yes", folder=office)

    reject = ("sop", "sign", ID, "--yes", "--reject", "-o", "json")
    await sopwith("--context", "manager.toml", *reject, folder=office, expect=2)
    done = await sopwith("--context", "manager.toml", *reject, "--comment", "too fast", folder=office)

    assert (done.document()["state"], done.document()["signatures"]) == ("DRAFT", [])


async def test_new_revision_comes_from_a_file(office):
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
    for name in ("owner", "manager", "authority"):
        await sopwith("--context", f"{name}.toml", "sop", "sign", ID, "--yes", folder=office)
    await sopwith("--context", "owner.toml", "sop", "new", "--from", ID, "--out", "next.md", folder=office)
    assert (office / "next.md").read_bytes() == revised(2)
    (office / "bad.md").write_bytes(revised(2, ("retention: 6y", "retention: 6")))

    bad = await sopwith("--context", "owner.toml", "sop", "submit", "bad.md", folder=office, expect=1)
    done = await sopwith("--context", "owner.toml", "sop", "submit", "next.md", "-o", "json", folder=office)
    unknown = await sopwith("--context", "owner.toml", "sop", "show", "X", folder=office, expect=1)

    (office / "form.md").write_bytes(sop_template())
    form = await sopwith("--context", "owner.toml", "sop", "submit", "form.md", folder=office, expect=1)
    signed = await sopwith("--context", "owner.toml", "sop", "sign", ID, "--yes", folder=office)

    assert form.err.count("still holds the placeholder") == len(form.err.splitlines()) == 7
    assert "revision 2" in signed.out
    assert "bad.md:" in bad.err
    assert "records.retention" in bad.err
    assert (done.document()["revision"], done.document()["state"]) == (2, "IN_REVIEW")
    assert "there is no SOP X" in unknown.err


@pytest.mark.clause("I Purpose", "fresh")
async def test_clause_i_fresh_form_is_linted_with_one_line_per_placeholder(tmp_path):
    await sopwith("sop", "new", "--out", "sop.md", folder=tmp_path)
    (tmp_path / "done.md").write_bytes(DOCUMENT)

    fresh = await sopwith("sop", "lint", "sop.md", folder=tmp_path, expect=1)
    as_json = await sopwith("sop", "lint", "sop.md", "-o", "json", folder=tmp_path, expect=1)
    filled = await sopwith("sop", "lint", "done.md", folder=tmp_path)

    assert (tmp_path / "sop.md").read_bytes() == sop_template()
    assert len(fresh.out.splitlines()) == len(as_json.document()) == 7
    assert all("[" in line and line.startswith("sop.md:") for line in fresh.out.splitlines())
    assert filled.out == ""


async def test_files_that_cannot_be_read_end_with_one_clear_line(tmp_path):
    (tmp_path / "sop.md").write_text("kept")
    (tmp_path / "odd.json").write_text("{}")

    exists = await sopwith("sop", "new", "--out", "sop.md", folder=tmp_path, expect=1)
    missing = await sopwith("sop", "lint", "nothing.md", folder=tmp_path, expect=1)
    odd = await sopwith("sop", "verify", "odd.json", folder=tmp_path, expect=1)

    assert (tmp_path / "sop.md").read_text() == "kept"
    assert "sop.md exists" in exists.err
    assert "nothing.md" in missing.err
    assert "odd.json is no exported SOP" in odd.err
