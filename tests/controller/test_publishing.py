"""The source from end to end: keys made and releases signed by the command line, over real mTLS, into a real folder,
and read back by a computer's own client."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sopwith_agent.adapters.source_watch import TransferLimits
from sopwith_agent.adapters.tuf_source import TufSource
from sopwith_agent.domain.errors import StepError
from sopwith_certs.source_set import read_source_set
from sopwith_controller.desk.context import read_context
from sopwith_controller.desk.source_keys import KeysFolder
from sopwith_formats.manifest import read_manifest
from tests.certs.fleet import authority
from tests.controller.release_port import ReleasePort, release_port
from tests.controller.test_cli_people import Run, sopwith
from tests.faults.hostile_source import HostileServer, SourceRepository, serving

__all__ = ["sopwith"]

RELEASE = """release: lamp
version: {version}
artifacts:
  - {{file: lamp.tar.gz, installer: archive, options: {{into: /opt/lamp}}}}
summary: A lamp
"""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[ReleasePort]:
    with release_port(authority(datetime.now(UTC) - timedelta(days=1)), tmp_path / "c") as running:
        yield running


@pytest.fixture
def owner(port: ReleasePort, tmp_path: Path) -> Path:
    return port.context(tmp_path / "people", "owner")


@pytest.fixture
def operator(port: ReleasePort, tmp_path: Path) -> Path:
    return port.context(tmp_path / "people", "operator")


@pytest.fixture
def keys(sopwith: Run, owner: Path, tmp_path: Path) -> Path:
    """A designated source's keys."""
    arguments = ("--keys", tmp_path / "keys", "--backup-keys", tmp_path / "backup")
    code, _, err = sopwith("--context", owner, "source", "init", *arguments)
    assert code == 0, err
    return tmp_path / "keys"


def release_folder(path: Path, version: str = "1", content: bytes = b"light") -> Path:
    path.mkdir(exist_ok=True)
    (path / "release.yaml").write_text(RELEASE.format(version=version))
    (path / "lamp.tar.gz").write_bytes(content)
    return path


@pytest.fixture
def web() -> Iterator[HostileServer]:
    with serving(SourceRepository()) as running:
        yield running


@contextmanager
def enrolled(port: ReleasePort, web: HostileServer, keys: Path, folder: Path) -> Iterator[TufSource]:
    """A computer that trusts the source, over what the controller serves now."""
    web.repository.files.clear()
    for kind in ("metadata", "targets"):
        for path in (port.data / "source" / kind).rglob("*"):
            if path.is_file():
                web.repository.files[f"/{path.relative_to(port.data / 'source')}"] = path.read_bytes()
    root = (keys / "root.json").read_bytes()
    source = TufSource(folder, limits=TransferLimits(2, 1, 1024))
    source.designate(root, web.metadata_url, web.files_url)
    source.refresh()
    yield source
    source.close()


def test_init_makes_two_root_keys_in_two_places_and_designates(port, keys, owner, tmp_path):
    mode = {path.name: path.stat().st_mode & 0o777 for path in [*keys.iterdir(), *(tmp_path / "backup").iterdir()]}
    root = json.loads((keys / "root.json").read_text())["signed"]

    assert mode["root_key.pem"] == mode["targets_key.pem"] == 0o600
    assert sorted(path.name for path in (tmp_path / "backup").iterdir()) == ["root.json", "root_key.pem"]
    assert (keys / "root_key.pem").read_bytes() != (tmp_path / "backup" / "root_key.pem").read_bytes()
    assert (len(root["roles"]["root"]["keyids"]), root["roles"]["root"]["threshold"]) == (2, 1)
    assert read_context(owner).source_root_bytes() == (keys / "root.json").read_bytes()
    assert port.told.designations == 1
    assert port.log_kinds() == ["SOURCE_DESIGNATED"]


def test_init_warns_that_keys_without_passphrase_are_open(sopwith, owner, tmp_path):
    _, _, err = sopwith("--context", owner, "source", "init", "--keys", tmp_path / "k", "--backup-keys", tmp_path / "b")

    assert "without a passphrase" in err


@pytest.mark.parametrize("backup", ["keys", "keys/backup", "."])
def test_backup_that_is_not_elsewhere_is_refused(sopwith, owner, tmp_path, backup, port):
    code, _, err = sopwith(
        "--context", owner, "source", "init", "--keys", tmp_path / "keys", "--backup-keys", tmp_path / backup
    )

    assert code == 1
    assert "not elsewhere" in err
    assert not (tmp_path / "keys").exists()
    assert port.log_kinds() == []


def test_second_init_is_refused_and_leaves_no_keys(sopwith, owner, keys, tmp_path):
    code, _, err = sopwith(
        "--context", owner, "source", "init", "--keys", tmp_path / "k2", "--backup-keys", tmp_path / "b2"
    )

    assert code == 1
    assert "has a source already" in err
    assert not (tmp_path / "k2").exists()
    assert sopwith("--context", owner, "source", "init", "--keys", keys, "--backup-keys", tmp_path / "b3")[0] == 1


def test_only_the_owner_designates(sopwith, operator, tmp_path):
    code, _, err = sopwith(
        "--context", operator, "source", "init", "--keys", tmp_path / "k", "--backup-keys", tmp_path / "b"
    )

    assert code == 4
    assert "owner" in err
    assert not (tmp_path / "k" / "root_key.pem").exists()
    assert not (tmp_path / "b" / "root_key.pem").exists()


def test_published_release_reaches_a_computer(  # noqa: PLR0917  fixtures
    sopwith, operator, keys, port, web, tmp_path
):
    folder = release_folder(tmp_path / "lamp-1")

    code, out, err = sopwith("--context", operator, "release", "publish", folder, "--keys", keys, "-o", "json")

    assert code == 0, err
    published = json.loads(out)
    assert (published["name"], published["version"], published["state"]) == ("lamp", "1", "PUBLISHED")
    assert published["published_by"] == "operator"
    assert read_context(operator).source_root_bytes() == (keys / "root.json").read_bytes()
    with enrolled(port, web, keys, tmp_path / "agent") as source:
        manifest = read_manifest(source.manifest("lamp", "1"))
        staged = source.download(manifest.target("lamp.tar.gz"), tmp_path / "staging", lambda *_: None, lambda: False)
        with pytest.raises(StepError) as caught:
            source.manifest("lamp", "2")
    assert staged.path.read_bytes() == b"light"
    assert staged.sha256 == manifest.artifacts[0].sha256
    assert caught.value.symptom == "NOT_AUTHORISED_BY_SOURCE"


def test_publishing_twice_is_no_error_and_changed_content_is_one(sopwith, operator, keys, port, tmp_path):
    folder = release_folder(tmp_path / "lamp-1")
    command = ("--context", operator, "release", "publish", folder, "--keys", keys)
    sopwith(*command)

    again = sopwith(*command)
    release_folder(folder, content=b"other")
    changed = sopwith(*command)

    assert again[0] == 0, again[2]
    assert changed[0] == 1
    assert "new version" in changed[2]
    assert port.log_kinds().count("RELEASE_PUBLISHED") == 1


def test_faulty_release_is_named_line_by_line_and_sends_nothing(sopwith, operator, keys, port, tmp_path):
    folder = release_folder(tmp_path / "lamp-1")
    (folder / "release.yaml").write_text("release: lamp\nversion: 2.10\nartefacts: []\nsettle: 5\n")

    code, _, err = sopwith("--context", operator, "release", "publish", folder, "--keys", keys)

    assert code == 1
    assert "release.yaml:3: artefacts:" in err
    assert "release.yaml:4: settle:" in err
    assert port.log_kinds() == ["SOURCE_DESIGNATED"]


def test_person_without_the_role_does_not_publish(sopwith, port, keys, tmp_path):
    manager = port.context(tmp_path / "people", "manager")

    folder = release_folder(tmp_path / "lamp-1")
    code, _, err = sopwith("--context", manager, "release", "publish", folder, "--keys", keys)

    assert code == 4
    assert "release_manager" in err


def test_encrypted_keys_open_with_their_passphrase_only(sopwith, owner, operator, tmp_path):
    (tmp_path / "pass").write_text("a long passphrase\n")
    (tmp_path / "wrong").write_text("another one\n")
    keys = tmp_path / "keys"
    sopwith(
        *("--context", owner, "source", "init", "--keys", keys, "--backup-keys", tmp_path / "backup"),
        *("--passphrase-file", tmp_path / "pass"),
    )
    publish = ("--context", operator, "release", "publish", release_folder(tmp_path / "lamp-1"), "--keys", keys)

    without = sopwith(*publish)
    wrong = sopwith(*publish, "--passphrase-file", tmp_path / "wrong")
    right = sopwith(*publish, "--passphrase-file", tmp_path / "pass")

    assert b"ENCRYPTED" in (keys / "targets_key.pem").read_bytes()
    assert (without[0], wrong[0], right[0]) == (1, 1, 0)
    assert "--passphrase-file" in without[2]


def test_withdrawn_release_leaves_the_signed_targets(  # noqa: PLR0917  fixtures
    sopwith, operator, keys, port, web, tmp_path
):
    sopwith("--context", operator, "release", "publish", release_folder(tmp_path / "lamp-1"), "--keys", keys)
    withdraw = ("--context", operator, "release", "withdraw", "lamp@1", "--yes", "--reason", "stays dark")

    first = json.loads(sopwith(*withdraw, "-o", "json")[1])
    second = json.loads(sopwith(*withdraw, "--keys", keys, "-o", "json")[1])

    assert (first["state"], first["withdrawal_signed"]) == ("WITHDRAWN", False)
    assert (second["withdrawal_signed"], second["withdrawn_reason"]) == (True, "stays dark")
    with enrolled(port, web, keys, tmp_path / "agent") as source, pytest.raises(StepError) as caught:
        source.manifest("lamp", "1")
    assert caught.value.symptom == "NOT_AUTHORISED_BY_SOURCE"


def test_lost_release_key_is_replaced_with_the_backup(  # noqa: PLR0917  fixtures
    sopwith, owner, operator, keys, port, web, tmp_path
):
    sopwith("--context", operator, "release", "publish", release_folder(tmp_path / "lamp-1"), "--keys", keys)
    with enrolled(port, web, keys, tmp_path / "agent") as source:
        assert read_manifest(source.manifest("lamp", "1")).version == "1"
    stolen = tmp_path / "stolen"
    shutil.move(keys, stolen)

    recovered = sopwith(
        *("--context", owner, "source", "recover", "--backup-keys", tmp_path / "backup", "--keys", keys, "--yes")
    )
    by_thief = sopwith(
        *("--context", operator, "release", "publish", release_folder(tmp_path / "lamp-2", "2"), "--keys", stolen)
    )
    by_manager = sopwith(
        *("--context", operator, "release", "publish", release_folder(tmp_path / "lamp-2", "2"), "--keys", keys)
    )

    assert recovered[0] == 0, recovered[2]
    assert (by_thief[0], by_manager[0]) == (1, 0)
    with enrolled(port, web, keys, tmp_path / "agent") as source:
        assert read_manifest(source.manifest("lamp", "2")).version == "2"
        assert read_manifest(source.manifest("lamp", "1")).version == "1"


def test_release_manager_gets_a_key_of_their_own(sopwith, owner, operator, keys, tmp_path):
    out = tmp_path / "manager-keys"

    made = sopwith("--context", owner, "source", "keys", "--keys", keys, "--out", out, "--yes")
    old = sopwith("--context", operator, "release", "publish", release_folder(tmp_path / "l"), "--keys", keys)
    new = sopwith("--context", operator, "release", "publish", release_folder(tmp_path / "l"), "--keys", out)

    assert made[0] == 0, made[2]
    assert sorted(path.name for path in out.iterdir()) == ["root.json", "seen_versions", "targets_key.pem"]
    assert (old[0], new[0]) == (1, 0)


def test_source_is_signed_for_another_year(sopwith, operator, keys):
    code, _, err = sopwith("--context", operator, "source", "sign", "--keys", keys)

    assert code == 0, err
    status = json.loads(sopwith("--context", operator, "source", "status", "-o", "json")[1])
    assert {role["name"]: role["version"] for role in status["roles"]} == {
        "root": 1,
        "targets": 2,
        "bins": 2,
        "snapshot": 2,
        "timestamp": 2,
    }


def test_nothing_is_signed_upon_what_a_stolen_controller_added(  # noqa: PLR0917  fixtures
    sopwith, operator, keys, port, tmp_path, monkeypatch
):
    honest = port.ask(port.source.view())
    document = json.loads(honest.metadata["1.bins-00.json"])
    document["signed"]["targets"]["evil/1/release.json"] = {"length": 1, "hashes": {"sha256": "00" * 32}}

    async def smuggling():
        return replace(honest, metadata={**honest.metadata, "1.bins-00.json": json.dumps(document).encode()})

    monkeypatch.setattr(port.source, "view", smuggling)

    code, _, err = sopwith(
        "--context", operator, "release", "publish", release_folder(tmp_path / "lamp-1"), "--keys", keys
    )

    assert code == 1
    assert "not what these keys signed" in err
    assert KeysFolder(keys).seen_versions() == {}


def test_nothing_is_signed_upon_an_older_state(sopwith, operator, keys, tmp_path):
    folder = KeysFolder(keys)
    sopwith("--context", operator, "release", "publish", release_folder(tmp_path / "lamp-1"), "--keys", keys)
    folder.note_versions({role: version + 1 for role, version in folder.seen_versions().items()})

    code, _, err = sopwith(
        "--context", operator, "release", "publish", release_folder(tmp_path / "lamp-2", "2"), "--keys", keys
    )

    assert code == 1
    assert "was signed before" in err


def test_what_is_served_holds_from_the_pinned_root(keys, port):
    files = {path.name: path.read_bytes() for path in (port.data / "source" / "metadata").iterdir()}

    held = read_source_set(files, (keys / "root.json").read_bytes(), datetime.now(UTC))

    assert len(held.bins) == 64
    assert held.root.expires - datetime.now(UTC) > timedelta(days=3 * 365 - 1)
    assert held.targets.expires - datetime.now(UTC) > timedelta(days=364)
