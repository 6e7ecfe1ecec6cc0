"""What leaves a computer about its people, and the bundle for whoever helps from afar."""

import json
import zipfile
from pathlib import Path

import pytest

from sopwith_agent import cli
from sopwith_agent.adapters.sensors.computer import ComputerSensors
from sopwith_agent.adapters.sensors.user_sessions import user_sessions
from sopwith_agent.config import read_settings
from sopwith_agent.domain.readiness import assess
from sopwith_agent.steps.sensor_port import Question
from sopwith_formats.agent_policy import read_agent_policy
from tests.agent.fake_controller import FakeController
from tests.agent.logins import log_in
from tests.agent.workshop import Workshop

PERSON = "anna-katharina"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the root of a computer at which somebody works."""
    log_in(tmp_path / "root", "1", 1000, user=PERSON)
    return tmp_path / "root"


def test_facts_and_readiness_count_people_and_name_nobody(root: Path, tmp_path: Path) -> None:
    sensors = ComputerSensors(root, ("archive",))
    readiness = assess(
        sensors.measure(Question(root, tmp_path)), read_agent_policy({"enforce": {"user_session": "block"}})
    )

    assert user_sessions(root) == 1
    assert "USER_BUSY" in [reason.code for reason in readiness.reasons]
    assert PERSON not in repr(readiness)
    assert PERSON not in json.dumps(sensors.facts())
    assert "users" not in sensors.facts()


def test_names_are_told_only_where_the_computer_itself_switched_them_on(root: Path, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('user_names = "facts"\n')

    settings = read_settings(tmp_path)
    facts = ComputerSensors(root, (), user_names=settings.user_names == "facts").facts()

    assert facts["users"] == [PERSON]
    assert read_settings(tmp_path / "elsewhere").user_names == "none"


def test_bundle_holds_what_a_helper_needs_and_no_secret_and_no_name(root: Path, tmp_path: Path, capsys) -> None:
    state = tmp_path / "a1"
    FakeController().enrol(state / "identity")
    (tmp_path / "shop").mkdir()
    shop = Workshop(tmp_path / "shop")
    shop.install("1")
    shop.offer(shop.warrant(shop.publish("2")))
    shop.worker.run_until_idle()
    (state / "journal").symlink_to(shop.folder / "journal")
    (shop.folder / "journal/assignments/broken.json").write_text("{")
    (state / "agent.toml").write_text('proxy_credentials = "env:PROXY"\n')
    log = tmp_path / "agent.log"
    log.write_text(f"password=hunter2 https://me:hunter2@proxy.example/ said by {PERSON} in /home/{PERSON}\n")

    code = cli.main(
        ["diagnose", "--state", str(state), "--root", str(root), "--log", str(log), "--out", str(tmp_path / "pc1.zip")]
    )

    assert code == 0
    assert "pc1.zip: README.txt, status.json, check.json" in capsys.readouterr().out
    assert (tmp_path / "pc1.zip").stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(tmp_path / "pc1.zip") as bundle:
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    whole = "".join(texts.values())
    assert PERSON not in whole
    assert "[person] in /home/[person]" in texts["log.txt"]
    assert "hunter2" not in whole
    assert "PRIVATE KEY" not in whole
    broken, done = sorted(json.loads(texts["journal.json"]), key=lambda one: "unreadable" not in one)
    assert (done["release"], done["outcome"]) == ("hello@2", "SUCCEEDED")
    assert broken["file"] == "broken.json"
    assert json.loads(texts["check.json"])["verdict"] in {"READY", "NOT_READY"}
    assert json.loads(texts["versions.json"])["libraries"]["jeepney"]


def test_part_that_cannot_be_read_is_named_and_the_rest_is_there(root: Path, tmp_path: Path) -> None:
    state = tmp_path / "a1"
    FakeController().enrol(state / "identity")

    where = ["--state", str(state), "--root", str(root), "--out", str(tmp_path / "pc1.zip")]
    code = cli.main(["diagnose", *where, "--log", str(tmp_path / "no.log"), "-o", "json"])

    assert code == 0
    with zipfile.ZipFile(tmp_path / "pc1.zip") as bundle:
        assert bundle.read("log.txt").decode().startswith("this could not be read: ")
        assert json.loads(bundle.read("journal.json")) == []
