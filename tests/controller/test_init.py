"""`sopwith-controller init`: everything or nothing, and what other programs read of it."""

import json
import stat
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from sopwith_controller.config import ConfigError, read_config
from sopwith_controller.operate import data_folder
from sopwith_controller.operate.program import program
from tests.faults.tiny_disk import on_tiny_disk

PEOPLE = (
    *("--organization", "Example", "--owner", "owner", "--it-manager", "manager"),
    *("--it-manager-email", "manager@localhost", "--authority", "authority"),
)
PLACE = ("--listen", "127.0.0.1", "--fleet-port", "0", "--web-port", "0")


def _run(*arguments: str):
    return CliRunner().invoke(program, arguments)


def test_init_prints_the_shape_of_the_contract_and_lays_the_folder(tmp_path: Path):
    data = tmp_path / "c"

    result = _run("init", "--data", str(data), *PEOPLE, *PLACE, "-o", "json")

    printed = json.loads(result.stdout)
    endpoints = json.loads((data / "endpoints.json").read_text())
    context = tomllib.loads((data / "owner" / "context.toml").read_text())
    assert set(printed) == {
        *("data", "organization", "trust_domain", "profile", "ca_fingerprint"),
        *("fleet_address", "web_address", "context"),
    }
    assert printed["profile"] == "standard"
    assert printed["context"] == str(data / "owner" / "context.toml")
    assert endpoints["fleet_address"] == printed["fleet_address"] == context["fleet_address"]
    assert 20000 <= endpoints["fleet_port"] < 32768
    assert endpoints["fleet_port"] != endpoints["web_port"]
    assert context["person"] == "owner"


def test_private_keys_are_for_this_user_only(tmp_path: Path):
    data = tmp_path / "c"
    _run("init", "--data", str(data), *PEOPLE, *PLACE)

    private = [data / "pki" / name for name in ("ca_key.pem", "warrant_key.pem", "log_key")]
    private.append(data / "owner" / "key.pem")

    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert {stat.S_IMODE((data / name).stat().st_mode) for name in ("", "pki", "owner")} == {0o700}


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--it-manager-email", "manager", "no mail address"),
        ("--window", "FREQ=SOMETIMES/6h", "does not say FREQ"),
        ("--smtp", "mail.example.org", "no mail server"),
        ("--smtp", "smtp://mail.example.org:x", "no port number"),
        ("--listen", "not a host", "neither an address nor a name"),
        ("--organization", "[Your Company Name]", "bracket"),
        ("--database", "mysql://somewhere/db", "mysql"),
        ("--owner", "", "no name for a person"),
    ],
)
def test_wrong_input_is_named_and_leaves_nothing(tmp_path: Path, option: str, value: str, says: str):
    result = _run("init", "--data", str(tmp_path / "c"), *PEOPLE, *PLACE, option, value)

    assert result.exit_code == 1
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "precious").write_text("mine")

    result = _run("init", "--data", str(tmp_path), *PEOPLE, *PLACE)

    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_disk_mounted_at_the_very_place_is_named_with_what_to_write_instead(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()

    def act() -> None:
        result = _run("init", "--data", str(disk), *PEOPLE, *PLACE)

        assert result.exit_code == 1
        assert f"a disk is mounted at {disk} itself" in result.stderr
        assert f"--data {disk}/sopwith" in result.stderr

    on_tiny_disk(disk, "size=1m,mode=700", act)


def test_a_failure_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device", "sopwith.db")

    monkeypatch.setattr(data_folder, "_write_context", fail)

    result = _run("init", "--data", str(tmp_path / "c"), *PEOPLE, *PLACE)

    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_option_is_a_usage_error(tmp_path: Path):
    assert _run("init", "--data", str(tmp_path / "c")).exit_code == 2


def test_every_wrong_setting_is_named_with_its_key(tmp_path: Path):
    (tmp_path / "sopwith.toml").write_text(
        'fleet_port = "x"\nweb_port = 99999\nlog_levle = "info"\n[smtp]\naddress = "mail"\npassword = "hunter2"\n'
    )

    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path)

    keys = {fault.partition(":")[0] for fault in caught.value.faults}
    assert keys == {"fleet_port", "web_port", "log_levle", "smtp.address", "smtp.password"}
    assert "hunter2" not in str(caught.value)


def test_serve_without_a_data_folder_says_how_to_make_one(tmp_path: Path):
    result = _run("serve", "--data", str(tmp_path / "nowhere"))

    assert result.exit_code == 1
    assert "sopwith-controller init" in result.stderr
