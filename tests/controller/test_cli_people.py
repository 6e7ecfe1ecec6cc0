"""Invitations, tokens and contexts from the command line, against real HTTPS and real mTLS."""

import asyncio
import hashlib
import io
import json
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sopwith.v1 import people_pb2, rollout_service_pb2
from sopwith_certs.authority import Authority, Subject, certificate_pem, read_certificate
from sopwith_certs.identity import Kind
from sopwith_certs.signing import load_private_key, new_key, save_private_key
from sopwith_controller.cli.errors import run
from sopwith_controller.cli.nouns import build
from sopwith_controller.cli.program import NOUNS
from sopwith_controller.desk.context import Context, read_context, write_context
from sopwith_formats.join import format_join, parse_join
from tests.certs.fleet import TRUST_DOMAIN, authority
from tests.console.web import Web, web_port
from tests.controller.fleet_port import Memory, fleet_port

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sopwith(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command line; give exit code, output and messages."""
    for name in ("SOPWITH_CONTEXT", "SOPWITH_JOIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def command(*words: str | Path) -> tuple[int, str, str]:
        arguments = [str(word) for word in words]
        code = run(lambda: build(NOUNS).main(arguments, prog_name="sopwith", standalone_mode=False))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return command


@pytest.fixture
def issuer() -> Authority:
    return authority(datetime.now(UTC) - timedelta(days=100))


@pytest.fixture
def fleet(issuer: Authority) -> Iterator[tuple[str, Memory]]:
    with fleet_port(issuer) as running:
        yield running


def owner_context(folder: Path, issuer: Authority, fleet_address: str, at: datetime | None = None) -> Path:
    """Lay the owner's context as `init` does."""
    folder.mkdir(exist_ok=True)
    key = new_key()
    certificate = issuer.issue(key.public_key(), Subject(Kind.PERSON, "p-owner"), at or datetime.now(UTC))
    save_private_key(folder / "key.pem", key)
    (folder / "certificate.pem").write_bytes(certificate_pem(certificate))
    (folder / "ca.pem").write_bytes(issuer.trust_bundle_pem)
    context = Context(
        path=folder / "context.toml",
        organization="Example",
        trust_domain=TRUST_DOMAIN,
        person="owner",
        fleet_address=fleet_address,
        web_address="127.0.0.1:7445",
        ca_fingerprint=issuer.fingerprint,
        trust_bundle="file:ca.pem",
        certificate="file:certificate.pem",
        key="file:key.pem",
    )
    write_context(context)
    return context.path


@pytest.fixture
def owner(tmp_path: Path, issuer: Authority, fleet: tuple[str, Memory]) -> Path:
    return owner_context(tmp_path / "owner", issuer, fleet[0])


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[tuple[Web, str, Memory]]:
    """A whole controller: web port and fleet port of one authority, an invitation for manager outstanding."""
    with ExitStack() as stack:
        async with web_port(tmp_path / "web") as port:
            address, memory = stack.enter_context(fleet_port(port.issuer))
            port.trust.fleet_address = address
            await port.invitation("manager", "it_manager")
            memory.people["p-manager"] = people_pb2.Person(id="p-manager", name="manager", roles=["it_manager"])
            yield port, address, memory


async def in_thread(command: Run, *words: str | Path) -> tuple[int, str, str]:
    return await asyncio.to_thread(command, *words)


async def test_accepted_invitation_writes_a_context_that_works(
    sopwith: Run, web: tuple[Web, str, Memory], tmp_path: Path
) -> None:
    file = tmp_path / "manager.toml"

    code, out, err = await in_thread(
        sopwith, "person", "accept", format_join(web[0].join()), "--context", file, "-o", "json"
    )
    again, people, _ = await in_thread(sopwith, "--context", file, "person", "list", "-o", "name")

    assert (code, again) == (0, 0), err
    document = json.loads(out)
    assert (document["person"], document["roles"], document["context"]) == ("manager", ["it_manager"], str(file))
    assert people == "owner\nmanager\n"
    context = read_context(file)
    assert (context.person, context.fleet_address, context.organization) == ("manager", web[1], "Example")
    assert stat.S_IMODE((tmp_path / "manager.key.pem").stat().st_mode) == 0o600
    assert "PRIVATE" not in file.read_text()


async def test_join_string_is_read_from_a_file_from_standard_input_and_from_the_environment(
    sopwith: Run, web: tuple[Web, str, Memory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await web[0].token("second-secret-of-a-token", kind="person", person_id="p-manager")
    await web[0].token("third-secret-of-a-token", kind="person", person_id="p-manager")
    texts = [
        format_join(web[0].join(token=token))
        for token in ("a-secret-of-a-token", "second-secret-of-a-token", "third-secret-of-a-token")
    ]
    (tmp_path / "join.txt").write_text(texts[0] + "\n")

    from_file = await in_thread(
        sopwith, "person", "accept", "--join-file", tmp_path / "join.txt", "--context", tmp_path / "a.toml"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(texts[1] + "\n"))
    from_input = await in_thread(sopwith, "person", "accept", "--join-file", "-", "--context", tmp_path / "b.toml")
    monkeypatch.setenv("SOPWITH_JOIN", texts[2])
    from_environment = await in_thread(sopwith, "person", "accept", "--context", tmp_path / "c.toml")

    assert (from_file[0], from_input[0], from_environment[0]) == (0, 0, 0)


async def test_used_invitation_is_refused_and_writes_no_context(
    sopwith: Run, web: tuple[Web, str, Memory], tmp_path: Path
) -> None:
    join = format_join(web[0].join())
    await in_thread(sopwith, "person", "accept", join, "--context", tmp_path / "manager.toml")

    code, _, err = await in_thread(sopwith, "person", "accept", join, "--context", tmp_path / "thief.toml")

    assert code == 4
    assert "used already" in err
    assert "to mend it" in err
    assert "a-secret-of-a-token" not in err
    assert not (tmp_path / "thief.toml").exists()


async def test_lost_answer_is_asked_for_again_with_the_same_key(
    sopwith: Run, web: tuple[Web, str, Memory], tmp_path: Path
) -> None:
    file = tmp_path / "manager.toml"
    join = format_join(web[0].join())
    await in_thread(sopwith, "person", "accept", join, "--context", file)
    file.unlink()

    code, _, _ = await in_thread(sopwith, "person", "accept", join, "--context", file)

    assert code == 0
    assert read_context(file).person == "manager"


async def test_context_that_works_is_not_overwritten(
    sopwith: Run, web: tuple[Web, str, Memory], tmp_path: Path
) -> None:
    file = tmp_path / "manager.toml"
    join = format_join(web[0].join())
    await in_thread(sopwith, "person", "accept", join, "--context", file)
    before = file.read_bytes()

    code, _, err = await in_thread(sopwith, "person", "accept", join, "--context", file)

    assert code == 1
    assert "still works" in err
    assert file.read_bytes() == before


async def test_controller_of_another_authority_is_refused(
    sopwith: Run, web: tuple[Web, str, Memory], tmp_path: Path
) -> None:
    join = format_join(web[0].join(ca_fingerprint=authority().fingerprint))

    code, _, err = await in_thread(sopwith, "person", "accept", join, "--context", tmp_path / "manager.toml")

    assert code == 4
    assert "the join string pins" in err
    assert not (tmp_path / "manager.toml").exists()


async def test_sources_root_is_pinned_from_the_join_string(
    sopwith: Run, web: tuple[Web, str, Memory], tmp_path: Path
) -> None:
    root = b'{"signed": {"version": 1}}'
    (tmp_path / "web" / "source" / "metadata" / "1.root.json").write_bytes(root)
    digest = "sha256:" + hashlib.sha256(root).hexdigest()
    file = tmp_path / "manager.toml"

    code, _, err = await in_thread(
        sopwith, "person", "accept", format_join(web[0].join(root_fingerprint=digest)), "--context", file
    )

    assert code == 0, err
    assert read_context(file).source_root_bytes() == root


async def test_source_root_that_the_controller_swapped_is_refused(
    sopwith: Run, web: tuple[Web, str, Memory], tmp_path: Path
) -> None:
    (tmp_path / "web" / "source" / "metadata" / "1.root.json").write_bytes(b'{"evil": true}')
    join = format_join(web[0].join(root_fingerprint="sha256:" + "0" * 64))

    code, _, err = await in_thread(sopwith, "person", "accept", join, "--context", tmp_path / "manager.toml")

    assert code == 4
    assert "serves no source root" in err
    assert not (tmp_path / "manager.toml").exists()


def test_nobody_there_is_said_with_exit_code_6(sopwith: Run, tmp_path: Path) -> None:
    join = f"sopwith://127.0.0.1:1/#ca=sha256:{'0' * 64}&token=a-secret-of-a-token"

    code, _, err = sopwith("person", "accept", join, "--context", tmp_path / "manager.toml")

    assert code == 6
    assert "cannot reach 127.0.0.1:1" in err


@pytest.mark.parametrize("join", ["hello", "sopwith://", "sopwith://127.0.0.1:1/#token=x", "sopwith://x:y/#ca=z"])
def test_broken_join_string_is_named_as_such(sopwith: Run, tmp_path: Path, join: str) -> None:
    code, _, err = sopwith("person", "accept", join, "--context", tmp_path / "manager.toml")

    assert code == 1
    assert "join string" in err
    assert list(tmp_path.iterdir()) == []


def test_join_string_is_asked_for_once(sopwith: Run, tmp_path: Path) -> None:
    none = sopwith("person", "accept", "--context", tmp_path / "manager.toml")
    both = sopwith("person", "accept", "x", "--join-file", "y", "--context", tmp_path / "manager.toml")
    absent = sopwith("person", "accept", "--join-file", tmp_path / "absent", "--context", tmp_path / "manager.toml")

    assert (none[0], both[0], absent[0]) == (2, 2, 1)
    assert str(tmp_path / "absent") in absent[2]


def test_token_has_the_contracts_shape_and_pins_our_own_root(
    sopwith: Run, owner: Path, issuer: Authority, fleet: tuple[str, Memory]
) -> None:
    root = b'{"signed": {"version": 1}}'
    read_context(owner).pin_source_root(root)

    code, out, _ = sopwith(
        "--context", owner, "token", "create", "--uses", "5", "--label", "site=berlin", "--expires", "2h", "-o", "json"
    )

    document = json.loads(out)
    join = parse_join(document["join"])
    digest = hashlib.sha256(root).hexdigest()
    request = fleet[1].requests[-1]
    assert code == 0
    assert list(document) == ["join", "token", "ca_fingerprint", "source_root_sha256", "expires_at"]
    assert (join.token, join.ca_fingerprint) == (document["token"], issuer.fingerprint)
    assert (join.root_fingerprint, document["source_root_sha256"]) == (f"sha256:{digest}", digest)
    assert (join.host, join.port, document["expires_at"]) == ("127.0.0.1", 7445, "2026-11-23T02:14:35Z")
    assert (request.uses, dict(request.labels), request.expires.seconds) == (5, {"site": "berlin"}, 7200)


def test_join_string_before_the_source_names_no_root_and_says_so(sopwith: Run, owner: Path) -> None:
    code, out, err = sopwith("--context", owner, "token", "create")

    assert code == 0
    assert "root=" not in out
    assert len(out.splitlines()) == 1
    assert "source init" in err


def test_controller_that_shows_another_authority_makes_no_join_string(
    sopwith: Run, owner: Path, fleet: tuple[str, Memory]
) -> None:
    fleet[1].ca_fingerprint = authority().fingerprint

    code, out, err = sopwith("--context", owner, "token", "create")

    assert (code, out) == (4, "")
    assert "authority" in err


def test_invitation_has_the_contracts_shape(sopwith: Run, owner: Path, fleet: tuple[str, Memory]) -> None:
    code, out, _ = sopwith(
        "--context",
        owner,
        "person",
        "invite",
        "operator",
        "--role",
        "operator",
        "--role",
        "release_manager",
        "-o",
        "json",
    )

    document = json.loads(out)
    assert code == 0
    assert list(document) == ["join", "token", "ca_fingerprint", "source_root_sha256", "expires_at"]
    assert list(fleet[1].requests[-1].roles) == ["operator", "release_manager"]


def test_refusal_by_role_teaches_and_ends_with_4(sopwith: Run, owner: Path, fleet: tuple[str, Memory]) -> None:
    fleet[1].refusal = rollout_service_pb2.Refusal(
        gate="operator_role", clause="III", reason="owner may not", remedy="sopwith person grant owner --role x"
    )

    code, _, err = sopwith("--context", owner, "person", "invite", "manager", "--role", "it_manager")

    assert code == 4
    assert "operator_role (SOP clause III)" in err
    assert "sopwith person grant owner --role x" in err


def test_people_are_listed_shown_granted_and_revoked(sopwith: Run, owner: Path, fleet: tuple[str, Memory]) -> None:
    listed = sopwith("--context", owner, "person", "list", "-o", "json")
    shown = sopwith("--context", owner, "person", "show", "owner")
    nobody = sopwith("--context", owner, "person", "show", "nobody")
    granted = sopwith("--context", owner, "person", "grant", "operator", "--role", "release_manager", "-o", "json")
    revoked = sopwith("--context", owner, "person", "revoke", "operator", "--yes", "--reason", "left", "-o", "json")

    assert json.loads(listed[1])[0]["name"] == "owner"
    assert "ACTIVE" in shown[1]
    assert nobody[0] == 1
    assert json.loads(granted[1])["roles"] == ["release_manager"]
    assert (json.loads(revoked[1])["state"], fleet[1].requests[-1].reason) == ("REVOKED", "left")


def test_tokens_are_listed_without_their_secret_and_revoked(sopwith: Run, owner: Path) -> None:
    listed = sopwith("--context", owner, "token", "list")
    revoked = sopwith("--context", owner, "token", "revoke", "t-1", "-o", "json")

    assert "site=berlin" in listed[1]
    assert "secret" not in listed[1]
    assert json.loads(revoked[1])["revoked"] is True


@pytest.mark.parametrize(
    "words",
    [
        ("token", "create", "--uses", "0"),
        ("token", "create", "--label", "site"),
        ("token", "create", "--expires", "soon"),
        ("person", "grant", "operator"),
        ("token", "revoke"),
    ],
)
def test_wrong_use_ends_with_2_before_anything_is_sent(
    sopwith: Run, owner: Path, fleet: tuple[str, Memory], words: tuple[str, ...]
) -> None:
    code, _, _ = sopwith("--context", owner, *words)

    assert code == 2
    assert fleet[1].requests == []


def test_certificate_is_renewed_after_two_thirds_of_its_life(
    sopwith: Run, tmp_path: Path, issuer: Authority, fleet: tuple[str, Memory]
) -> None:
    file = owner_context(tmp_path / "owner", issuer, fleet[0], datetime.now(UTC) - timedelta(days=21))
    before = read_certificate((tmp_path / "owner" / "certificate.pem").read_bytes())

    code, _, err = sopwith("--context", file, "person", "list")

    after = read_certificate((tmp_path / "owner" / "certificate.pem").read_bytes())
    assert (code, err) == (0, "")
    assert after.not_valid_after_utc > before.not_valid_after_utc
    assert after.public_key() == load_private_key(tmp_path / "owner" / "key.pem").public_key()


def test_young_certificate_is_left_alone(sopwith: Run, owner: Path, fleet: tuple[str, Memory]) -> None:
    sopwith("--context", owner, "person", "list")

    assert len(fleet[1].requests) == 1


async def test_person_comes_back_with_the_enrolled_key_after_the_certificate_ran_out(
    sopwith: Run, web: tuple[Web, str, Memory], tmp_path: Path
) -> None:
    file = tmp_path / "manager.toml"
    await in_thread(sopwith, "person", "accept", format_join(web[0].join()), "--context", file)
    key = load_private_key(tmp_path / "manager.key.pem")
    old = web[0].issuer.issue(
        key.public_key(), Subject(Kind.PERSON, "p-manager"), datetime.now(UTC) - timedelta(days=60)
    )
    (tmp_path / "manager.certificate.pem").write_bytes(certificate_pem(old))
    context = read_context(file)
    write_context(replace(context, web_address=f"127.0.0.1:{web[0].port}"))

    code, out, err = await in_thread(sopwith, "--context", file, "person", "list", "-o", "name")

    assert (code, err) == (0, "")
    assert "manager" in out
