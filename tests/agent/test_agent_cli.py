"""The agent's command line on bad input: one line with the mend, the documented exit code, nothing half-written."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sopwith_agent import cli
from sopwith_agent.adapters.state_folder import held
from sopwith_agent.config import read_settings
from sopwith_agent.domain.bandwidth import RateRule
from tests.agent.fake_controller import FakeController

CA = "sha256:" + "0" * 64
UNREACHABLE = f"sopwith://127.0.0.1:1/#ca={CA}&token=abcdefghijklmnopqrstuv"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return the state folder of an enrolled computer that was never run."""
    FakeController().enrol(tmp_path / "a1" / "identity")
    return tmp_path / "a1"


@pytest.mark.parametrize(
    ("join", "code", "word"),
    [
        ("garbage", 2, "sopwith://"),
        (f"sopwith://127.0.0.1:1/#ca={CA}&token=short", 2, "token"),
        (f"sopwith://127.0.0.1:1/#ca={CA}&root=x", 2, "root"),
        (UNREACHABLE, 6, "cannot reach"),
    ],
)
def test_bad_join_string_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], join: str, code: int, word: str
) -> None:
    assert cli.main(["enroll", join, "--state", str(tmp_path / "a1")]) == code

    error = capsys.readouterr().err
    assert word in error
    assert error.count("\n") == 1
    assert "abcdefghijklmnopqrstuv" not in error
    assert not (tmp_path / "a1").exists()


def test_join_string_comes_from_file_or_environment_or_not_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = ["--state", str(tmp_path / "a1")]
    file = tmp_path / "pc1.join"
    file.write_text(UNREACHABLE + "\n")

    assert cli.main(["enroll", "--join-file", str(file), *state]) == 6
    assert cli.main(["enroll", "--join-file", str(tmp_path / "none"), *state]) == 1
    assert cli.main(["enroll", "x", "--join-file", str(file), *state]) == 2
    assert cli.main(["enroll", *state]) == 2
    monkeypatch.setenv("SOPWITH_JOIN", UNREACHABLE)
    assert cli.main(["enroll", *state]) == 6
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "status", "check"])
def test_computer_that_is_not_enrolled_is_told_how_to_enrol(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert cli.main([command, "--state", str(tmp_path / "none")]) == 1

    assert "sopwith-agent enroll" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_enrolled_folder_is_not_enrolled_again(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["enroll", UNREACHABLE, "--state", str(state)]) == 1

    assert "already" in capsys.readouterr().err


def test_status_answers_without_controller_and_without_a_running_agent(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", "--state", str(state), "-o", "json"]) == 0

    status = json.loads(capsys.readouterr().out)
    assert (status["computer_id"], status["name"]) == ("c-1", "pc1")
    assert (status["connected"], status["connection"]["state"], status["running"]) == (False, "NOT_RUNNING", False)
    assert (status["sop"], status["installed"], status["assignment"], status["checkpoint"]) == (None, {}, None, "")
    assert cli.main(["status", "--state", str(state)]) == 0
    assert "pc1 (c-1)" in capsys.readouterr().out


def test_check_names_each_check_with_measured_required_and_remedy(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["check", "--state", str(state), "--root", str(tmp_path), "-o", "json"])

    document = json.loads(capsys.readouterr().out)
    by_name = {check["name"]: check for check in document["checks"]}
    assert (code, document["verdict"]) == (1, "NOT_READY")
    assert by_name["connected"]["code"] == "CONTROLLER_UNREACHABLE"
    assert by_name["source_designated"]["code"] == "SOURCE_NOT_DESIGNATED"
    assert by_name["disk_free"]["measured"]
    assert all(check["remedy"] for check in document["checks"] if check["result"] == "BLOCKED")


def test_second_agent_on_one_state_folder_is_refused(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(state):
        assert cli.main(["run", "--state", str(state)]) == 1

    assert "already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("log_level = ", ["agent.toml"]),
        ('colour = "red"\nlog_level = "loud"\n', ["colour", "log_level", "debug, info, warning, error"]),
        ("log_level = [1]\n", ["log_level"]),
        ('proxy = "http://user:canary@proxy.example:1"\nmirrors = ["ftp://m/"]\n', ["proxy", "mirrors", "ftp://m/"]),
        ('no_proxy = "example"\nproxy_credentials = "canary"\n', ["no_proxy", "proxy_credentials", "file:/PATH"]),
        ('[[download_rates]]\nrate = "1 KiB/s"\n', ["download_rates", "4096"]),
        ('[[download_rates]]\nrate = "1 MiB/s"\nfrom = "25:00"\n', ["download_rates", "25:00"]),
        ('[[download_rates]]\nrate = "1 MiB/s"\ndays = ["someday"]\n', ["download_rates", "mon, tue"]),
        ('[[download_rates]]\nrate = "1 MiB/s"\nuntil = "now"\n', ["download_rates", "until"]),
        ("download_rates = 1\n", ["download_rates", "500 KiB/s"]),
    ],
)
def test_wrong_settings_are_named_all_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str]
) -> None:
    (tmp_path / "agent.toml").write_text(text)

    assert cli.main(["check-config", "--state", str(tmp_path)]) == 1

    error = capsys.readouterr().err
    assert all(word in error for word in words)
    assert "canary" not in error


def test_settings_in_order_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agent.toml").write_text('reboot = "systemctl"\n')

    assert cli.main(["check-config", "--state", str(tmp_path)]) == 0

    assert 'reboot = "systemctl"' in capsys.readouterr().out


def test_settings_of_the_way_to_the_source_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agent.toml").write_text(
        'proxy = "http://proxy.example:3128"\nno_proxy = [".example"]\nproxy_credentials = "env:PROXY"\n'
        'mirrors = ["https://mirror.example/targets/"]\n'
        '[[download_rates]]\nrate = "500 KiB/s"\nfrom = "08:00"\nto = "18:00"\ndays = ["mon"]\n'
    )

    settings = read_settings(tmp_path)

    assert (settings.proxy, settings.no_proxy) == ("http://proxy.example:3128", (".example",))
    assert settings.mirrors == ("https://mirror.example/targets/",)
    assert settings.download_rates == (RateRule(500 * 2**10, 480, 1080, ("mon",)),)
    assert cli.main(["check-config", "--state", str(tmp_path)]) == 0
    assert '"begin_minute": 480' in capsys.readouterr().out


def test_unknown_command_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["fly"])

    assert caught.value.code == 2


@pytest.mark.timeout(60)
def test_running_agent_ends_with_zero_on_sigterm_though_nobody_answers(state: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sopwith_agent", "run", "--state", str(state), "--root", str(tmp_path / "r1")]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    deadline = time.monotonic() + 30
    while not (state / "status.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)  # the file is the sign that it runs

    process.terminate()

    assert process.wait(10) == 0
    assert (tmp_path / "r1").is_dir()
    assert "Traceback" not in (tmp_path / "log").read_text()
