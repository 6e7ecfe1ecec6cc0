"""Who is not let in, against a real controller: refused, told in one line, recorded, and nothing half-done."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from sopwith_certs.authority import Authority, Subject, certificate_pem
from sopwith_certs.identity import Kind
from sopwith_certs.signing import new_key, private_key_pem
from sopwith_controller.api.roles import ROLES
from sopwith_controller.desk.context import read_context
from sopwith_controller.desk.demo_stage import program_path
from tests.controller.test_roles import calls_of_the_wire
from tests.system.fleet import OWNER, Fleet, read_json_lines

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

PEOPLES_CALLS = sorted(call for call in calls_of_the_wire() if "AgentService" not in call)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Return a fleet with an owner, a viewer and one enrolled computer; its tests only knock."""
    fleet = Fleet(tmp_path_factory.mktemp("guarded"))
    try:
        fleet.init()
        fleet.serve()
        invite(fleet, "vera", "viewer")
        fleet.enroll("pc1")
        yield fleet
    finally:
        fleet.stop()


def now() -> datetime:
    return datetime.now(UTC)


def invite(fleet: Fleet, name: str, role: str) -> None:
    join = fleet.json("person", "invite", name, "--role", role)["join"]
    fleet.stage.run("sopwith", "person", "accept", join, "--context", f"{name}.toml")


def refusals(fleet: Fleet) -> list[dict[str, Any]]:
    return [entry for entry in fleet.json("log", "list") if entry["kind"] == "ACCESS_REFUSED"]


def join_string(fleet: Fleet, *options: str) -> str:
    return str(fleet.json("token", "create", *options)["join"])


def knock(fleet: Fleet, call: str, key: bytes | None, certificate: bytes | None) -> grpc.StatusCode:
    """Make one call with these credentials; return how it ended."""
    context = read_context(fleet.folder / OWNER)
    credentials = grpc.ssl_channel_credentials(context.read(context.trust_bundle), key, certificate)
    with grpc.secure_channel(context.fleet_address, credentials) as channel:
        try:
            # Every call of people begins with one message, so one kind of call knocks at all of them.
            list(channel.unary_stream(call, lambda nothing: nothing)(b"", timeout=5))
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def handshakes_refused(fleet: Fleet) -> list[str]:
    lines = read_json_lines(fleet.folder / "controller.log")
    return [line["reason"] for line in lines if line["event"] == "handshake_refused"]


def test_no_certificate_and_a_strangers_are_stopped_at_the_handshake(guarded: Fleet):
    context = read_context(guarded.folder / OWNER)
    stranger, key = Authority.create("Example", context.trust_domain, now()), new_key()
    forged = certificate_pem(stranger.issue(key.public_key(), Subject(Kind.PERSON, "p-owner"), now()))
    call = "/sopwith.v1.FleetService/GetOverview"

    assert knock(guarded, call, None, None) is grpc.StatusCode.UNAVAILABLE
    guarded.until("the log line", lambda: "PEER_DID_NOT_RETURN_A_CERTIFICATE" in handshakes_refused(guarded))
    answers = set()

    def logged() -> bool:
        # Refused handshakes are logged once a second, so the stranger knocks until its turn has come.
        answers.add(knock(guarded, call, private_key_pem(key), forged))
        return any("CERTIFICATE_VERIFY_FAILED" in why for why in handshakes_refused(guarded))

    guarded.until("the log line", logged)
    assert answers == {grpc.StatusCode.UNAVAILABLE}


def test_a_computer_reaches_no_call_of_people_and_each_try_is_logged(guarded: Fleet):
    identity = guarded.folder / "pc1" / "identity"
    key, certificate = (identity / "key.pem").read_bytes(), (identity / "certificate.pem").read_bytes()

    answers = {call: knock(guarded, call, key, certificate) for call in PEOPLES_CALLS}

    assert len(PEOPLES_CALLS) > 45
    assert {call for call, answer in answers.items() if answer is not grpc.StatusCode.PERMISSION_DENIED} == set()
    logged = [
        json.loads(entry["canonical_json"])["details"]["call"] for entry in refusals(guarded) if entry["computer"]
    ]
    assert sorted(logged) == PEOPLES_CALLS


def test_a_person_never_speaks_as_a_computer(guarded: Fleet):
    context = read_context(guarded.folder / OWNER)

    answer = knock(
        guarded, "/sopwith.v1.AgentService/Connect", context.read(context.key), context.read(context.certificate)
    )

    assert answer is grpc.StatusCode.PERMISSION_DENIED


def test_a_viewer_reads_and_starts_nothing(guarded: Fleet):
    context = read_context(guarded.folder / "vera.toml")
    key, certificate = context.read(context.key), context.read(context.certificate)
    forbidden = sorted(call for call in PEOPLES_CALLS if "viewer" not in ROLES[call])

    answers = {call: knock(guarded, call, key, certificate) for call in forbidden}
    typed = guarded.sopwith("freeze", "start", "--reason", "because", who="vera.toml", expect=(4,))

    assert set(answers.values()) == {grpc.StatusCode.PERMISSION_DENIED}
    assert "operator_role (SOP clause III)" in typed.err
    assert "to mend it" in typed.err
    guarded.sopwith("status", who="vera.toml")
    logged = {json.loads(entry["canonical_json"])["details"]["call"] for entry in refusals(guarded)}
    assert set(forbidden) <= logged
    assert "/sopwith.v1.RolloutService/StartRollout" in forbidden


def test_a_revoked_person_is_refused_at_once_and_logged(guarded: Fleet):
    invite(guarded, "rita", "operator")
    guarded.sopwith("computer", "list", who="rita.toml")

    guarded.sopwith("person", "revoke", "rita", "--yes", "--reason", "left the company")

    done = guarded.sopwith("computer", "list", who="rita.toml", expect=(4,))
    assert "Traceback" not in done.err
    assert any("ListComputers" in entry["canonical_json"] and not entry["computer"] for entry in refusals(guarded))


def test_a_token_is_good_once_and_not_for_ever(guarded: Fleet):
    once, short = join_string(guarded), join_string(guarded, "--expires", "1s")
    guarded.stage.run("sopwith-agent", "enroll", once, "--state", "first", "--name", "first")

    used = guarded.stage.run("sopwith-agent", "enroll", once, "--state", "second", "--name", "second", expect=(4,))
    ended = guarded.stage.run("sopwith-agent", "enroll", short, "--state", "late", "--name", "late", expect=(4,))

    assert "used already" in used.err
    assert "ended on" in ended.err
    assert not (guarded.folder / "second").exists()
    assert not (guarded.folder / "late").exists()
    assert {computer["name"] for computer in guarded.json("computer", "list")}.isdisjoint({"second", "late"})


def test_a_computer_cut_off_while_it_enrolled_comes_back_without_a_second_token(guarded: Fleet):
    join, state = join_string(guarded), guarded.folder / "cut"
    guarded.stage.run("sopwith-agent", "enroll", join, "--state", "cut", "--name", "cut")
    key = (state / "identity" / "key.pem").read_bytes()
    shutil.rmtree(state)
    (state / "identity").mkdir(parents=True)
    (state / "identity" / "key.pem").write_bytes(key)  # all that lay there when the answer was on its way

    guarded.stage.run("sopwith-agent", "enroll", join, "--state", "cut", "--name", "cut")

    known = [computer["state"] for computer in guarded.json("computer", "list") if computer["name"] == "cut"]
    assert known == ["ACCEPTED"]
    assert (state / "identity" / "trust.json").exists()


@pytest.mark.parametrize(("part", "words"), [("ca", "somebody stands in between"), ("root", "serves no source root")])
def test_a_join_string_that_pins_something_else_writes_and_spends_nothing(guarded: Fleet, part: str, words: str):
    join, name = join_string(guarded), f"careful-{part}"
    fingerprint = "sha256:" + "0" * 64
    if part == "ca":
        start = join.index("ca=sha256:") + len("ca=")
        wrong = join[:start] + fingerprint + join[start + len(fingerprint) :]
    else:
        wrong = join.replace("&token=", f"&root={fingerprint}&token=")

    done = guarded.stage.run("sopwith-agent", "enroll", wrong, "--state", name, "--name", name, expect=(4,))
    person = guarded.stage.run("sopwith", "person", "accept", wrong, "--context", f"{name}.toml", expect=(4,))

    assert words in done.err
    assert words in person.err
    assert not (guarded.folder / name).exists()
    assert not list(guarded.folder.glob(f"{name}*"))
    guarded.stage.run("sopwith-agent", "enroll", join, "--state", name, "--name", name)


def test_an_unreachable_controller_is_told_within_moments(guarded: Fleet):
    owner = (guarded.folder / OWNER).read_text()
    address = read_context(guarded.folder / OWNER).fleet_address
    (guarded.folder / "c" / "owner" / "away.toml").write_text(owner.replace(address, "127.0.0.1:1"))
    join = join_string(guarded)
    away = join.replace(join.split("/")[2], "127.0.0.1:1")

    began = time.monotonic()
    typed = guarded.sopwith("status", who="c/owner/away.toml", expect=(6,))
    between = time.monotonic()
    enrolled = guarded.stage.run("sopwith-agent", "enroll", away, "--state", "away", expect=(6,))

    # The promise is 2 s after the refused connection; starting the program on a busy test machine comes on top.
    assert between - began < 6
    assert time.monotonic() - between < 6
    assert "cannot be reached" in typed.err
    assert "cannot reach" in enrolled.err
    assert not (guarded.folder / "away").exists()


@pytest.mark.needs_tool("unshare")
def test_a_full_disk_stops_an_enrolment_before_the_token_is_spent(guarded: Fleet):
    if os.geteuid() != 0:
        pytest.skip("mounting a tiny disk needs root")
    join = join_string(guarded)
    disk = guarded.folder / "tiny"
    disk.mkdir()
    script = (
        'mount -t tmpfs -o size=8k none "$1" && head -c 8192 /dev/zero > "$1/full"; '
        'exec "$2" enroll --join-file - --state "$1/pc9" --name pc9'
    )

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(disk), program_path("sopwith-agent")],
        input=join,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    guarded.stage.run("sopwith-agent", "enroll", join, "--state", "pc9", "--name", "pc9")
