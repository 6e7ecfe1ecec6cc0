"""`sopwith log` as people type it: against a real server over a real SQLite file, and offline on an export."""

import asyncio
import contextlib
import io
import json
import sqlite3
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sopwith.v1 import update_log_service_pb2_grpc
from sopwith_certs.authority import Authority
from sopwith_certs.credentials import server_credentials
from sopwith_certs.identity import Kind
from sopwith_certs.log_key import make_log_key, verify
from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.database.checkpoint_files import CheckpointFiles
from sopwith_controller.adapters.database.engine import open_database
from sopwith_controller.api.interceptors import Gatekeeper
from sopwith_controller.api.server import FleetServer
from sopwith_controller.api.update_log_api import UpdateLogApi
from sopwith_controller.cli.errors import run
from sopwith_controller.cli.nouns import build
from sopwith_controller.cli.program import NOUNS
from sopwith_controller.desk.context import Context, read_context, write_context
from sopwith_controller.services.access import Access
from sopwith_controller.services.refusals import Refusals
from sopwith_controller.services.update_log import UpdateLogs
from tests import builders as make
from tests.certs.fleet import TRUST_DOMAIN, lay_server, pair
from tests.controller.cli.test_sop_cli import SOPWITH, Typed

KEY = make_log_key("log.example.test")
LIST_KEYS = [
    *("index", "time", "date", "local_time", "kind", "computer", "release", "version_before", "version_after"),
    *("outcome", "symptom", "attempts", "operator", "rollout", "ticket", "sop_id", "sop_revision", "receipt_sha256"),
]


async def sopwith(*arguments: str, folder: Path, expect: int = 0) -> Typed:
    """Type one command line, in this process: exit code, output and messages are the program's."""
    out, err = io.StringIO(), io.StringIO()
    words = [str(folder / word) if (folder / word).is_file() else word for word in arguments]
    words = [str(folder / "log.zip") if word == "log.zip" else word for word in words]

    def command() -> int:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            return run(lambda: build(NOUNS).main(words, prog_name="sopwith", standalone_mode=False))

    code = await asyncio.to_thread(command)
    assert code == expect, (arguments, out.getvalue(), err.getvalue())
    return Typed(code, out.getvalue().encode(), err.getvalue().encode())


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Path]:
    """A folder with contexts of an auditor, an operator and a viewer, and a controller with a log of 30 entries."""
    data = tmp_path / "c"
    data.mkdir()
    database = await open_database(
        data / "sopwith.db", clock=SystemClock(), signer=KEY, checkpoints=data / "checkpoints"
    )
    logs = UpdateLogs(
        database,
        SystemClock(),
        growth=database,
        published=CheckpointFiles(data / "checkpoints"),
        key=KEY.verifier,
        verify=verify,
    )
    authority = Authority.create("Example", TRUST_DOMAIN, datetime.now(UTC))
    access = Access(database)
    pair_folder, bundle = lay_server(tmp_path, authority)
    api = UpdateLogApi(logs)
    server = FleetServer(
        "127.0.0.1:0",
        server_credentials(pair_folder, bundle),
        Gatekeeper(access, TRUST_DOMAIN, Refusals(database)),
        [lambda server: update_log_service_pb2_grpc.add_UpdateLogServiceServicer_to_server(api, server)],
    )
    async with database.write() as unit:
        for name in ("auditor", "operator", "viewer"):
            await unit.people.put(make.person(name, roles=(name,), state="ACTIVE"))
        for number in range(30):
            draft = make.log_draft(
                computer=f"pc{number % 3}", rollout="r-1", release="hello@2", outcome="SUCCEEDED", operator="operator"
            )
            await unit.update_log.append(
                replace(
                    draft, sop_id="SU-SOP-001", sop_revision=1, local_offset_seconds=3600, details={"gate": "window"}
                )
            )
        await unit.commit()
    for name in ("auditor", "operator", "viewer"):
        held = pair(authority, Kind.PERSON, f"p-{name}")
        (tmp_path / f"{name}.key.pem").write_bytes(held.key_pem)
        (tmp_path / f"{name}.pem").write_bytes(held.certificate_pem)
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
                log_key=KEY.verifier.text(),
            )
        )
    await access.load()
    await server.start()
    with capture_logs():  # the controller runs in this process, and its log would stand among the commands' results
        yield tmp_path
    await server.stop(0)
    await database.close()


def falsify(office: Path, statement: str) -> None:
    with sqlite3.connect(office / "c" / "sopwith.db") as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


async def log(office: Path, *words: str, person: str = "auditor", expect: int = 0):
    return await sopwith("--context", f"{person}.toml", "log", *words, folder=office, expect=expect)


async def exported(office: Path) -> Path:
    await log(office, "export", "--out", "log.zip")
    return office / "log.zip"


@pytest.mark.clause("V.E Record keeping", "columns")
async def test_list_has_the_keys_of_the_contract(office):
    rows = (await log(office, "list", "-o", "json")).document()

    assert len(rows) == 30
    assert all(key in row for row in rows for key in LIST_KEYS)
    assert [row["index"] for row in rows] == list(range(30))
    assert rows[0]["outcome"] == "SUCCEEDED"
    assert rows[0]["date"] == rows[0]["time"][:10] == datetime.now(UTC).date().isoformat()
    assert rows[0]["local_time"].endswith("+01:00")


async def test_each_reading_is_an_entry_and_a_viewer_is_refused(office):
    await log(office, "list", "-o", "json")
    await log(office, "list", person="viewer", expect=4)

    rows = (await log(office, "list", "--start", "30", "-o", "json")).document()

    assert [(row["kind"], row["operator"]) for row in rows] == [("LOG_READ", "auditor"), ("ACCESS_REFUSED", "viewer")]


async def test_list_is_cut_by_computer_start_and_limit(office):
    by_computer = await log(office, "list", "--computer", "pc1", "--limit", "3", "-o", "name")

    assert by_computer.out.split() == ["1", "4", "7"]


async def test_show_tells_one_entry_with_its_details(office):
    shown = await log(office, "show", "7")
    absent = await log(office, "show", "70000", expect=1)

    assert '{"gate": "window"}' in shown.out
    assert "no entry 70000" in absent.err


@pytest.mark.clause("V.E Record keeping", "verify")
async def test_live_verification_recomputes_here_and_there_and_proves_the_origin(office):
    done = await log(office, "verify")

    assert "consistent, origin proven by log key log.example.test" in done.out


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE update_log SET outcome = 'FAILED' WHERE entry_index = 7",
        "UPDATE update_log SET message = CAST(x'ff' AS TEXT) WHERE entry_index = 7",
        "UPDATE update_log SET attempts = 'many' WHERE entry_index = 7",
        "UPDATE update_log SET time = 'never' WHERE entry_index = 7",
        "UPDATE update_log SET canonical_json = replace(canonical_json, 'pc1', 'pc2') WHERE entry_index = 7",
        "UPDATE update_log_nodes SET digest = x'00' WHERE level = 0 AND node_index = 7",
        "DELETE FROM update_log WHERE entry_index = 7",
    ],
)
async def test_a_running_controller_finds_a_falsified_row_and_so_does_its_export(office, statement):
    falsify(office, statement)

    live = await log(office, "verify", expect=1)
    listed = await log(office, "list", "-o", "json")
    file = await exported(office)
    offline = await sopwith("log", "verify", str(file), folder=office, expect=1)

    assert "NOT WHOLE" in live.out
    assert "The controller: " in live.err
    assert "7" in offline.err
    assert len(listed.document()) >= 29


async def test_an_operator_who_may_not_export_gets_the_controller_s_own_answer(office):
    done = await log(office, "verify", person="operator")

    assert "consistent, origin not proven" in done.out
    assert "may not export" in done.err


async def test_a_context_with_another_log_key_sees_the_origin_fail(office):
    context = read_context(office / "auditor.toml")
    write_context(replace(context, log_key=make_log_key("log.example.test").verifier.text()))

    done = await log(office, "verify", expect=1)

    assert "not signed by the log key" in done.err


async def test_an_export_without_key_is_consistent_and_its_origin_not_proven(office):
    file = await exported(office)

    done = await sopwith("log", "verify", str(file), folder=office)

    assert done.out.startswith("consistent, origin not proven")


async def test_an_export_with_the_key_and_an_own_checkpoint_is_proven(office):
    await log(office, "checkpoint", "--out", str(office / "mine.txt"))
    (office / "key.txt").write_text(KEY.verifier.text())
    file = await exported(office)

    done = await sopwith(
        *("log", "verify", str(file), "--log-key", "key.txt", "--checkpoint", "mine.txt", "-o", "json"), folder=office
    )

    assert done.document()["origin_proven_by"] == "log.example.test"
    assert done.document()["faults"] == []


async def test_an_own_checkpoint_that_the_export_does_not_contain_is_a_fault(office):
    (office / "mine.txt").write_text(KEY.sign(31, bytes(32)))
    file = await exported(office)

    done = await sopwith("log", "verify", str(file), "--checkpoint", "mine.txt", folder=office, expect=1)

    assert "The checkpoint of 31 entries does not fit" in done.err


async def test_an_export_by_a_stranger_s_key_is_no_proof(office):
    file = await exported(office)

    stranger = make_log_key("log.example.test").verifier.text()
    done = await sopwith("log", "verify", str(file), "--log-key", stranger, folder=office, expect=1)

    assert "not signed by the log key" in done.err


def _cut(line: bytes) -> bytes:
    return b"\n".join(line.split(b"\n")[:-2]) + b"\n"


@pytest.mark.parametrize(
    ("member", "change"),
    [
        pytest.param("entries.jsonl", lambda data: data.replace(b"SUCCEEDED", b"FAILED", 1), id="outcome"),
        pytest.param("entries.jsonl", lambda data: data.replace(b"pc1 was", b"pc9 was", 1), id="message"),
        pytest.param("entries.jsonl", _cut, id="last entry"),
        pytest.param("entries.jsonl", lambda data: data[data.index(b"\n") + 1 :], id="first entry"),
        pytest.param("entries.jsonl", lambda data: data + data.split(b"\n")[-2] + b"\n", id="entry twice"),
        pytest.param("nodes.txt", lambda data: data.replace(b"0 3 ", b"0 3 00", 1), id="hash"),
        pytest.param("nodes.txt", _cut, id="last hash"),
        pytest.param("checkpoints.json", lambda data: data.replace(b"\\n31\\n", b"\\n30\\n", 1), id="checkpoint"),
    ],
)
async def test_a_changed_export_is_found(office, member: str, change: Callable[[bytes], bytes]):
    file = await exported(office)
    changed = office / "changed.zip"
    with zipfile.ZipFile(file) as before, zipfile.ZipFile(changed, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, change(data) if name == member else data)
            assert name != member or change(data) != data

    done = await sopwith(
        *("log", "verify", str(changed), "--log-key", KEY.verifier.text(), "-o", "json"), folder=office, expect=1
    )

    assert done.document()["faults"]


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 torn"])
async def test_what_is_no_export_is_named_with_its_mend(tmp_path, content):
    (tmp_path / "log.zip").write_bytes(content)

    done = await sopwith("log", "verify", "log.zip", folder=tmp_path, expect=1)

    assert "log.zip: is no export of an update log" in done.err
    assert "sopwith log export" in done.err


async def test_a_torn_export_is_named(office):
    file = await exported(office)
    data = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as opened:
        start = opened.getinfo("entries.jsonl").header_offset + 200
    data[start : start + 40] = bytes(40)
    file.write_bytes(bytes(data))

    done = await sopwith("log", "verify", str(file), folder=office, expect=1)

    assert "entries.jsonl" in done.err


async def test_followed_entries_come_as_they_are_written(office):
    process = await asyncio.create_subprocess_exec(
        *(SOPWITH, "--context", "auditor.toml", "log", "follow", "--start", "28", "-o", "json"),
        cwd=office,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        first = [json.loads(await asyncio.wait_for(process.stdout.readline(), 20)) for _ in range(3)]
        await log(office, "list", "-o", "name")
        then = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    finally:
        process.terminate()
        await process.wait()

    assert [row["index"] for row in first] == [28, 29, 30]
    assert (then["index"], then["kind"]) == (31, "LOG_READ")
