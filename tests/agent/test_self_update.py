"""The agent's own installer and the watcher of a trial, killed at every file operation (fault case 50)."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sopwith_agent.adapters import supervisor, trial_file
from sopwith_agent.adapters.installers.agent import AgentInstaller
from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import SettingsError, StepError
from sopwith_agent.domain.trial import Trial, Verdict
from sopwith_agent.steps.installer_port import InstallWork, OnDisk
from sopwith_formats.manifest import Artifact, Manifest
from tests.agent.archives import archive_work, file_member, tar_bytes
from tests.contracts.test_installer_crashes import killed_at

SAYS = '#!/bin/sh\n[ "$1" = --version ] && echo "sopwith-agent {version}"\n{then}\n'
CRASH = "echo fine; echo 'password=canary-4711 no engine' >&2; exit 3"


def script(version: str, then: str = "") -> bytes:
    return SAYS.format(version=version, then=then).encode()


@pytest.fixture
def into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of versions, in which 1.0 runs as this process."""
    folder = tmp_path / "root" / "opt/sopwith-agent"
    lay(folder, "1.0")
    (folder / "current").symlink_to("1.0")
    monkeypatch.setenv(trial_file.HOME_VARIABLE, str(folder / "1.0"))
    monkeypatch.setattr(limits, "trial_look_seconds", 0.01)
    monkeypatch.setattr(limits, "trial_pause_seconds", 0.01)
    return folder


def lay(folder: Path, version: str, then: str = "") -> None:
    program = folder / version / "bin/sopwith-agent"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_bytes(script(version, then))
    program.chmod(0o755)


def work(tmp_path: Path, program: bytes = script("2.0"), name: str = "bin/sopwith-agent") -> InstallWork:
    made = archive_work(tmp_path, tar_bytes([file_member(name, program, mode=0o755)]), version="2.0", before="1.0")
    artifact = replace(made.artifacts[0], installer="agent", options={})
    manifest = Manifest("sopwith-agent", "2.0", (artifact,))
    return replace(made, manifest=manifest, artifacts=(artifact,))


def install(order: InstallWork) -> int:
    commits = 0

    def on_commit() -> None:
        nonlocal commits
        commits += 1

    AgentInstaller().prepare(order)
    AgentInstaller().apply(order, on_commit)
    return commits


def test_new_version_is_laid_and_tried_and_the_link_stays(into: Path, tmp_path: Path):
    order = work(tmp_path)

    assert install(order) == 1

    assert (into / "current").readlink() == Path("1.0")
    assert trial_file.read(order.kept) == Trial(str(into), "1.0", "2.0", limits.trial_within_seconds)
    assert AgentInstaller().recover(order) is OnDisk.NEW
    assert AgentInstaller().installed_version(order.manifest, order.artifacts, order.root) == "1.0"


@pytest.mark.usefixtures("into")
def test_agent_without_versions_beside_it_is_not_applicable(tmp_path: Path, monkeypatch):
    order = work(tmp_path)
    monkeypatch.delenv(trial_file.HOME_VARIABLE)
    refusal = AgentInstaller().applicable(order.manifest, order.artifacts, order.root)
    assert refusal
    assert refusal.symptom == "NOT_APPLICABLE"

    monkeypatch.setenv(trial_file.HOME_VARIABLE, str(tmp_path / "elsewhere" / "1.0"))
    assert AgentInstaller().applicable(order.manifest, order.artifacts, order.root)


@pytest.mark.usefixtures("into")
@pytest.mark.parametrize("program", [script("2.1"), b"#!/bin/sh\nexit 1\n", b"#!/no/such/interpreter\n"])
def test_version_that_cannot_say_its_name_changes_nothing(tmp_path: Path, program: bytes):
    order = work(tmp_path, program)

    with pytest.raises(StepError) as caught:
        install(order)

    assert not caught.value.changed
    assert trial_file.read(order.kept) is None


@pytest.mark.usefixtures("into")
def test_archive_without_the_program_is_refused(tmp_path: Path):
    with pytest.raises(StepError, match="holds no bin/sopwith-agent"):
        install(work(tmp_path, name="bin/other"))


@pytest.mark.usefixtures("into")
@pytest.mark.parametrize("options", [{"confirm_within": 2}, {"confirm_within": "9s"}, {"into": "/x"}])
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: dict):
    order = work(tmp_path)
    artifacts: tuple[Artifact, ...] = (replace(order.artifacts[0], options=options),)

    refusal = AgentInstaller().applicable(order.manifest, artifacts, order.root)

    assert refusal
    assert refusal.symptom == "CONTENT_REFUSED"


def test_install_killed_at_any_point_is_old_or_tried_and_goes_on(into: Path, tmp_path: Path):
    order = work(tmp_path)
    point = 1
    while killed_at(point, lambda: install(order)):
        tried = trial_file.read(order.kept)
        assert AgentInstaller().recover(order) is (OnDisk.NEW if tried else OnDisk.OLD)
        assert (into / "current").readlink() == Path("1.0")
        if tried is None:
            assert install(order) == 1
        assert AgentInstaller().recover(order) is OnDisk.NEW
        AgentInstaller().roll_back(order)
        assert AgentInstaller().recover(order) is OnDisk.OLD
        assert not (into / "2.0").exists()
        point += 1
    assert point > 15


def test_rollback_killed_at_any_point_ends_at_old(into: Path, tmp_path: Path):
    order = work(tmp_path)
    point = 1
    install(order)
    while killed_at(point, lambda: AgentInstaller().roll_back(order)):
        AgentInstaller().roll_back(order)
        assert (trial_file.read(order.kept), (into / "2.0").exists()) == (None, False)
        assert (into / "current").readlink() == Path("1.0")
        install(order)
        point += 1
    assert point > 3


def watch(kept: Path) -> Path:
    return supervisor.Supervisor(kept, ["run"]).watch()


def confirming(kept: Path) -> str:
    """Return what a new version does that confirms itself: a whole file takes the trial's place."""
    path = trial_file.trial_path(kept)
    return f'[ "$1" = run ] && sed s/PENDING/CONFIRMED/ {path} > {path}.new && mv {path}.new {path} && exec sleep 600'


def begin(kept: Path, into: Path, **changes) -> None:
    (into / "current").unlink()
    (into / "current").symlink_to("1.0")
    trial_file.write(kept, replace(Trial(str(into), "1.0", "2.0", 30), **changes))


def test_watcher_killed_at_any_point_takes_a_confirmed_version_over(into: Path, tmp_path: Path):
    kept = tmp_path / "kept"
    lay(into, "2.0", confirming(kept))
    seen = set()
    for point in range(1, 200):
        begin(kept, into)
        killed = killed_at(point, lambda: watch(kept))
        trial, link = trial_file.read(kept), str((into / "current").readlink())
        seen.add((link, trial.verdict if trial else None))
        assert link == "1.0" or trial is None or trial.verdict is Verdict.CONFIRMED
        if trial:
            assert watch(kept) == into / "2.0/bin/sopwith-agent"
        assert ((into / "current").readlink(), trial_file.read(kept)) == (Path("2.0"), None)
        if not killed:
            break
    assert {("1.0", Verdict.PENDING), ("1.0", Verdict.CONFIRMED), ("2.0", None)} <= seen


def test_watcher_killed_at_any_point_takes_a_crashing_version_back(into: Path, tmp_path: Path):
    kept = tmp_path / "kept"
    lay(into, "2.0", CRASH)
    for point in range(1, 400):
        begin(kept, into)
        killed = killed_at(point, lambda: watch(kept))
        assert watch(kept) == into / "1.0/bin/sopwith-agent"
        trial = trial_file.read(kept)
        assert (trial.verdict, trial.starts) == (Verdict.FELL_BACK, limits.trial_starts_max)
        assert (into / "current").readlink() == Path("1.0")
        if not killed:
            break
    assert "exit code 3" in trial.why
    assert "no engine" in trial.why
    assert "canary-4711" not in trial.why


def test_version_that_stays_unconfirmed_is_ended(into: Path, tmp_path: Path):
    kept = tmp_path / "kept"
    lay(into, "2.0", f'trap "" TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1; done')
    begin(kept, into, within_seconds=1)
    limits_before, limits.trial_end_seconds = limits.trial_end_seconds, 1
    try:
        assert watch(kept) == into / "1.0/bin/sopwith-agent"
    finally:
        limits.trial_end_seconds = limits_before

    assert "not connected and confirmed within 1 s" in trial_file.read(kept).why
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_watcher_that_is_asked_to_stop_costs_no_start_and_takes_the_new_version_with_it(into: Path, tmp_path: Path):
    kept = tmp_path / "kept"
    lay(into, "2.0", f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 600")
    begin(kept, into)
    stop_when(tmp_path / "pid", lambda: os.kill(os.getpid(), signal.SIGTERM))

    with pytest.raises(supervisor.StoppedError):
        watch(kept)

    assert trial_file.read(kept).starts == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def stop_when(path: Path, act: Callable[[], None]) -> None:
    def wait() -> None:
        for _ in range(1000):
            if path.exists():
                break
            threading.Event().wait(0.02)
        act()

    threading.Thread(target=wait, daemon=True).start()


def test_one_watcher_at_a_time(into: Path, tmp_path: Path):
    kept = tmp_path / "kept"
    begin(kept, into)
    with supervisor.Supervisor(kept, [])._alone(), pytest.raises(SettingsError, match="watches the trial already"):
        watch(kept)


@pytest.mark.parametrize(
    "case",
    [
        ("1.0", Verdict.PENDING, True, Verdict.PENDING),
        ("1.0", Verdict.CONFIRMED, True, Verdict.CONFIRMED),
        ("1.0", Verdict.FELL_BACK, False, Verdict.FELL_BACK),
        ("2.0", Verdict.PENDING, False, Verdict.PENDING),
        ("2.0", Verdict.CONFIRMED, False, None),
        ("3.0", Verdict.PENDING, False, Verdict.FELL_BACK),
    ],
    ids=str,
)
def test_who_watches(into: Path, tmp_path: Path, monkeypatch, case: tuple):
    home, verdict, watches, left = case
    kept = tmp_path / "kept"
    begin(kept, into, verdict=verdict)
    monkeypatch.setenv(trial_file.HOME_VARIABLE, str(into / home))

    assert bool(trial_file.watched(kept, tmp_path / "root")) is watches

    trial = trial_file.read(kept)
    assert (trial.verdict if trial else None) == left


def test_version_that_is_tried_does_not_watch_itself(into: Path, tmp_path: Path, monkeypatch):
    begin(tmp_path / "kept", into)
    monkeypatch.setenv(trial_file.TRIED_VARIABLE, "2.0")

    assert trial_file.watched(tmp_path / "kept", tmp_path / "root") is None
