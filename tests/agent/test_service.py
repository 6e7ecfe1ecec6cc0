"""`install-service` writes one unit, says the same each time, and systemd finds nothing wrong with it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sopwith_agent import cli
from sopwith_agent.adapters import service_unit
from sopwith_agent.adapters.service_manager import notify, watchdog_seconds
from sopwith_agent.adapters.trial_file import HOME_VARIABLE
from sopwith_agent.config import default_state
from sopwith_agent.domain.errors import SettingsError

DEPLOY = Path(__file__).parents[2] / "deploy"


def packaged(monkeypatch) -> str:
    """Return the unit as the agent's package writes it."""
    monkeypatch.setenv(HOME_VARIABLE, "/opt/sopwith-agent/0.1.0")
    return service_unit.unit(default_state(), default_state())


def test_unit_starts_what_the_link_names(monkeypatch):
    text = packaged(monkeypatch)

    assert "ExecStart=/opt/sopwith-agent/current/bin/sopwith-agent run\n" in text
    assert "Type=notify" in text
    assert "KillMode=process" in text


def test_unit_in_deploy_is_the_one_that_is_written(monkeypatch):
    assert (DEPLOY / "sopwith-agent.service").read_text(encoding="utf-8") == packaged(monkeypatch)


@pytest.mark.needs_tool("systemctl")
def test_service_is_installed_below_a_root_and_again_changes_nothing(tmp_path: Path, capsys):
    command = ["install-service", "--root", str(tmp_path), "--state", "/srv/agent"]

    assert cli.main(command) == 0
    unit = tmp_path / "etc/systemd/system/sopwith-agent.service"
    first = unit.stat().st_mtime_ns
    assert cli.main(command) == 0

    assert "run --state /srv/agent\n" in unit.read_text()
    assert unit.stat().st_mtime_ns == first
    assert (tmp_path / "etc/systemd/system/multi-user.target.wants/sopwith-agent.service").is_symlink()
    assert "as it should be" in capsys.readouterr().out


def test_print_changes_nothing(tmp_path: Path, capsys):
    assert cli.main(["install-service", "--print", "--root", str(tmp_path)]) == 0

    assert "[Service]" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_computer_without_systemd_gets_the_unit_and_is_told(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: None)

    done = service_unit.install("[Unit]\n", tmp_path)

    assert "nothing is enabled" in done[-1]


@pytest.mark.parametrize("state", ["/srv/a b", "/srv/%h", '/srv/"'])
def test_path_that_systemd_would_read_otherwise_is_refused(state: str):
    with pytest.raises(SettingsError, match="cannot stand in a unit"):
        service_unit.unit(Path(state), default_state())


@pytest.mark.needs_tool("systemd-analyze")
@pytest.mark.parametrize("name", ["sopwith-agent.service", "sopwith-controller.service"])
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, name: str):
    lines = (DEPLOY / name).read_text(encoding="utf-8").splitlines()
    program = sys.executable  # the real one is not installed here
    text = "\n".join(f"ExecStart={program} run" if line.startswith("ExecStart=") else line for line in lines)
    (tmp_path / name).write_text(text + "\n")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / name], capture_output=True, text=True, check=False
    )

    assert (done.returncode, [line for line in done.stderr.splitlines() if name in line]) == (0, [])


def test_watchdog_is_told_only_where_this_process_is_asked(monkeypatch):
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "120000000")
    assert watchdog_seconds() == 60

    for usec, pid in (("", "1"), ("0", ""), ("x", ""), ("120000000", "1")):
        monkeypatch.setenv("WATCHDOG_USEC", usec)
        if pid:
            monkeypatch.setenv("WATCHDOG_PID", pid)
        assert watchdog_seconds() is None


def test_notification_is_one_datagram(tmp_path: Path, monkeypatch):
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("WATCHDOG=1")
        assert manager.recv(100) == b"WATCHDOG=1"
