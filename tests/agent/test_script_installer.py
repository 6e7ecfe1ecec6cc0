"""The script installer: what a script is given, how it is bounded, and when it is believed."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from sopwith_agent.adapters.installers.script import ScriptInstaller
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.installer_port import InstallWork, OnDisk
from sopwith_formats.vocabulary import Symptom
from tests.agent.packages import package_work
from tests.contracts.installer_benches import with_options

DONE = 'mkdir -p "$SOPWITH_ROOT/opt"; echo "hello $SOPWITH_VERSION (stable)" > "$SOPWITH_ROOT/opt/VERSION"\n'


def script_work(folder: Path, text: str, *beside: Path, version: str = "1.0", **options: Any) -> InstallWork:
    script = folder / "install.sh"
    script.write_text(f"#!/bin/sh\n{text}")
    timeout = options.pop("timeout_seconds", 20)
    work = package_work(folder, script, *beside, version=version, installer="script", timeout_seconds=timeout)
    return with_options(work, **{"rollback": ["undo"], "version_file": "/opt/VERSION", **options})


def installed(work: InstallWork) -> str:
    return ScriptInstaller().installed_version(work.manifest, work.artifacts, work.root)


def run(work: InstallWork) -> None:
    ScriptInstaller().prepare(work)
    ScriptInstaller().apply(work, lambda: None)


def failure(work: InstallWork) -> StepError:
    with pytest.raises(StepError) as failed:
        run(work)
    assert failed.value.changed
    return failed.value


def test_script_sees_a_clean_environment_its_arguments_and_its_companions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the agent's own")
    data = tmp_path / "data.txt"
    data.write_text("beside")
    text = 'mkdir -p "$SOPWITH_ROOT/out"; env > "$SOPWITH_ROOT/out/env"; cat data.txt > "$SOPWITH_ROOT/out/data"\n'
    text += 'printf "%s|" "$@" > "$SOPWITH_ROOT/out/arguments"\n' + DONE
    work = script_work(tmp_path, text, data, arguments=["a b", "$(id)", ";"])

    run(work)

    out = work.root / "out"
    names = {line.partition("=")[0] for line in (out / "env").read_text().splitlines()}
    assert (out / "data").read_text() == "beside"
    assert (out / "arguments").read_text() == "a b|$(id)|;|"
    own = {"SOPWITH_ROOT", "SOPWITH_RELEASE", "SOPWITH_VERSION", "SOPWITH_VERSION_BEFORE", "SOPWITH_STEP"}
    assert names - {"PWD", "LC_CTYPE", "_", "OLDPWD", "SHLVL"} == {"PATH", "LANG", *own}
    assert installed(work) == "1.0"


def test_version_may_be_asked_of_a_program(tmp_path: Path) -> None:
    text = 'mkdir -p "$SOPWITH_ROOT/bin"; cd "$SOPWITH_ROOT/bin"\n'
    text += 'printf "#!/bin/sh\\necho tool, version 1.0 of \\$1\\n" > tool; chmod 755 tool\n'
    work = script_work(tmp_path, text, version_file=None, version_exec=["/bin/tool", "today"])
    artifact = work.artifacts[0]
    del artifact.options["version_file"]

    run(work)

    assert installed(work) == "1.0"


@pytest.mark.parametrize(
    "options",
    [
        {"version_file": ""},
        {"version_file": "opt/VERSION"},
        {"version_file": "/opt/../VERSION"},
        {"version_exec": ["/bin/tool"]},
        {"arguments": "--all"},
        {"arguments": ["a\0b"]},
        {"memory_max": "1GiB"},
        {"memory_max": 0},
    ],
)
def test_release_that_cannot_be_read_back_or_understood_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    work = script_work(tmp_path, DONE, **options)

    refusal = ScriptInstaller().applicable(work.manifest, work.artifacts, work.root)

    assert refusal is not None
    assert refusal.symptom is Symptom.CONTENT_REFUSED


def test_script_that_ends_badly_fails_with_what_it_said(tmp_path: Path) -> None:
    work = script_work(tmp_path, "echo 'the printer burns' >&2; exit 7\n")

    error = failure(work)

    assert error.symptom is Symptom.INSTALLER_EXIT_NONZERO
    assert "7: the printer burns" in error.message
    assert ScriptInstaller().recover(work) is OnDisk.BROKEN


def test_script_that_takes_too_long_is_ended_with_everything_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    work = script_work(tmp_path, f"sleep 300 & echo $! > {pids}; sleep 300\n", timeout_seconds=1)

    error = failure(work)

    assert error.symptom is Symptom.TIMEOUT
    assert gone(int(pids.read_text()))


def test_what_a_script_left_running_ends_with_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    work = script_work(tmp_path, f"sleep 300 & echo $! > {pids}\n{DONE}")

    run(work)

    assert gone(int(pids.read_text()))


def test_script_that_wants_more_memory_than_it_may_have_fails(tmp_path: Path) -> None:
    work = script_work(tmp_path, f"head -c 200000000 /dev/zero | tail > /dev/null || exit 3\n{DONE}", memory_max=2**26)

    assert failure(work).symptom is Symptom.INSTALLER_EXIT_NONZERO


def test_only_the_end_of_a_talkative_script_is_kept(tmp_path: Path) -> None:
    work = script_work(tmp_path, "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo the last word; exit 3\n")

    error = failure(work)

    assert error.message.endswith("the last word")
    assert len(error.message) < 4000
    assert sum(path.stat().st_size for path in work.kept.rglob("*") if path.is_file()) < 2**17


def test_script_that_says_success_and_did_nothing_is_not_believed(tmp_path: Path) -> None:
    work = script_work(tmp_path, "exit 0\n")

    run(work)

    assert installed(work) == ""
    assert ScriptInstaller().recover(work) is OnDisk.BROKEN


@pytest.mark.gate("blocks", "backup")
def test_script_without_rollback_claims_none(tmp_path: Path) -> None:
    work = script_work(tmp_path, DONE)
    del work.artifacts[0].options["rollback"]
    with pytest.raises(StepError) as refused:
        ScriptInstaller().prepare(work)
    assert refused.value.symptom is Symptom.BACKUP_FAILED

    work = with_options(work)
    object.__setattr__(work, "backup_required", False)
    run(work)
    with pytest.raises(StepError) as failed:
        ScriptInstaller().roll_back(work)

    assert failed.value.symptom is Symptom.ROLLBACK_FAILED
    assert "no rollback" in failed.value.message


def test_rollback_that_does_not_bring_the_old_version_back_has_failed(tmp_path: Path) -> None:
    work = script_work(tmp_path, f'[ "$1" = undo ] && exit 0\n{DONE}')
    run(work)

    with pytest.raises(StepError) as failed:
        ScriptInstaller().roll_back(work)

    assert failed.value.symptom is Symptom.ROLLBACK_FAILED


def test_script_outlives_a_killed_agent_and_its_end_is_known(tmp_path: Path) -> None:
    work = script_work(tmp_path, f"sleep 1.5\n{DONE}")
    ScriptInstaller().prepare(work)
    agent = os.fork()
    if agent == 0:
        try:
            ScriptInstaller().apply(work, lambda: None)
        finally:
            os._exit(0)
    begun = work.kept / "script/hello.runs/install.begun"
    while not begun.exists():
        time.sleep(0.02)
    os.kill(agent, 9)
    os.waitpid(agent, 0)
    assert installed(work) == ""

    found = ScriptInstaller().recover(work)

    assert found is OnDisk.NEW
    assert installed(work) == "1.0"


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False
