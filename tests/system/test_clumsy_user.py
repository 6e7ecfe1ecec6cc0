"""A clumsy user: each mistake ends with the documented code and one clear message, and nothing is half-done.

The first half needs no controller; the second types at a real one.
"""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sopwith_agent import __main__ as agent
from sopwith_controller import __main__ as controller
from sopwith_controller.cli import program as admin
from sopwith_controller.desk.demo_release import write_release
from sopwith_controller.desk.demo_stage import Result, program_path
from tests.system.fleet import MANAGER, OPERATOR, Fleet

pytestmark = [pytest.mark.system, pytest.mark.timeout(150)]

DONE, FAILED, USAGE, CANCELLED, REFUSED = 0, 1, 2, 3, 4
INIT = (
    "--organization", "Example", "--owner", "owner", "--it-manager", "manager", "--it-manager-email", "m@localhost",
    "--authority", "authority", "--listen", "127.0.0.1", "--fleet-port", "0", "--web-port", "0",
)  # fmt: skip
ROLLOUT = 'rollout: lamp-1\nrelease: lamp@1\nsop: SU-SOP-001\naudience: ""\n'


def spoiled_files(folder: Path) -> None:
    """Lay every kind of file that is not what it should be."""
    (folder / "empty").write_bytes(b"")
    (folder / "binary").write_bytes(b"\xff\xfe\x00\x01")
    (folder / "folder").mkdir()
    (folder / "deep").write_text("a: " + "[" * 100_000)
    write_release(folder / "whole", "1", shines=True, summary="A lamp")
    text = (folder / "whole" / "release.yaml").read_text()
    for name, content in (
        ("key", text + "colour: blue\n"),
        ("type", text.replace("severity: moderate", "severity: [1]")),
        ("twice", text + "version: 2\n"),
        ("outside", text.replace("file: lamp-1", "file: ../lamp-1")),
        ("windows", text.replace("\n", "\r\n")),
    ):
        shutil.copytree(folder / "whole", folder / name)
        (folder / name / "release.yaml").write_bytes(content.encode())
    for name in ("lost", "hollow", "pipe"):
        shutil.copytree(folder / "whole", folder / name)
        (folder / name / "lamp-1.tar.gz").unlink()
    (folder / "hollow" / "lamp-1.tar.gz").touch()
    subprocess.run(["mkfifo", folder / "pipe" / "lamp-1.tar.gz"], check=True)


def check(done: Result, code: int, words: str) -> None:
    said = done.out + done.err
    assert done.code == code, said
    assert words in said
    assert "Traceback" not in said
    assert "unexpected" not in said
    assert len(said) < 6000


Typed = Callable[..., Result]
PROGRAMS: dict[str, Callable[[], int | None]] = {
    "sopwith": admin.main,
    "sopwith-controller": controller.main,
    "sopwith-agent": agent.main,
}


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Return what types a line in a folder of spoiled files, inside this process: starting a program takes long."""
    spoiled_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SOPWITH_CONTEXT", "SOPWITH_JOIN", "SOPWITH_DATA", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)

    def type_line(*line: str) -> Result:
        monkeypatch.setattr(sys, "argv", list(line))
        try:
            code = PROGRAMS[line[0]]() or 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 0
        said = capsys.readouterr()
        return Result(" ".join(line), code, said.out, said.err)

    return type_line


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("sopwith release lint key", FAILED, "key/release.yaml:11: colour: is not known here"),
        ("sopwith release lint type", FAILED, "type/release.yaml:4: severity"),
        ("sopwith release lint twice", FAILED, "version: stands twice"),
        ("sopwith release lint outside", FAILED, "write a plain file name beside release.yaml"),
        ("sopwith release lint windows", DONE, "lamp@1 is ready"),
        ("sopwith release lint lost", FAILED, "put it beside release.yaml"),
        ("sopwith release lint hollow", FAILED, "lamp-1.tar.gz is empty"),
        ("sopwith release lint pipe", FAILED, "is no regular file"),
        ("sopwith release lint nowhere", FAILED, "name a folder that holds release.yaml"),
        ("sopwith release new empty", FAILED, "is no Debian package"),
        ("sopwith sop lint empty", FAILED, "empty:1: has no front matter"),
        ("sopwith sop lint binary", FAILED, "binary:1:"),
        ("sopwith sop lint folder", FAILED, "name a file, not a folder"),
        ("sopwith sop lint nowhere", FAILED, "check the path"),
        ("sopwith sop new --out nowhere/sop.md", FAILED, "nowhere/sop.md: No such file"),
        ("sopwith sop new --out empty", FAILED, "empty exists"),
        ("sopwith --context nowhere status", FAILED, "there is no context at nowhere"),
        ("sopwith --context binary status", FAILED, "is no TOML file"),
        ("sopwith --context empty status", FAILED, "format = 1"),
        ("sopwith --context folder status", FAILED, "folder cannot be read"),
        ("sopwith log verify empty", FAILED, "empty"),
        ("sopwith rolout list", USAGE, "No such command"),
        ("sopwith rollout lst", USAGE, "Did you mean 'list'"),
        ("sopwith rollout show", USAGE, "Missing argument"),
        ("sopwith person accept junk --context x.toml", FAILED, "copy the whole line"),
        ("sopwith-controller init --data binary", USAGE, "is a file"),
        ("sopwith-controller serve --data nowhere", FAILED, "`sopwith-controller init` makes a data folder"),
        ("sopwith-controller check-config --data folder", FAILED, "there is no such file"),
        ("sopwith-agent enroll junk --state a", USAGE, "begins with sopwith://"),
        ("sopwith-agent enroll --join-file binary --state a", FAILED, "binary cannot be read"),
        ("sopwith-agent run --state nowhere", FAILED, "is not enrolled"),
        ("sopwith-agent status --state binary", FAILED, "binary"),
        ("sopwith-agent frobnicate", USAGE, "invalid choice"),
        ("sopwith-agent source get", FAILED, "required"),
    ],
)
def test_a_mistake_is_told_in_one_message(typed: Typed, tmp_path: Path, line: str, code: int, words: str):
    check(typed(*line.split(" ")), code, words)

    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "a").exists()
    assert not list(tmp_path.glob("x.*"))


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--organization", "", "--organization"),
        ("--owner", "-x; DROP TABLE people", "is no name for a person"),
        ("--it-manager-email", "nobody", "is no mail address"),
        ("--smtp", "mail", "write it like smtp://"),
        ("--smtp", "smtp://u:secret@h:25", "holds a password"),
        ("--window", "now and then", "is no window"),
        ("--listen", "192.0.2.1", "is no address of this machine"),
        ("--database", "oracle://x", "Sopwith keeps no database"),
    ],
)
def test_a_wrong_option_of_init_leaves_nothing_behind(
    typed: Typed, tmp_path: Path, option: str, value: str, words: str
):
    done = typed("sopwith-controller", "init", "--data", "made", *INIT, option, value)

    check(done, FAILED, words)
    assert "secret" not in done.err
    assert not list(tmp_path.glob("*made*"))


@pytest.fixture(scope="module")
def served(governed_fleet: Fleet) -> Fleet:
    """Return a fleet with an effective SOP, a published release and one running computer."""
    fleet = governed_fleet
    write_release(fleet.folder / "lamp-1", "1", shines=True, summary="A lamp")
    fleet.publish(fleet.folder / "lamp-1")
    fleet.computers("pc1")
    (fleet.folder / "good.yaml").write_text(ROLLOUT)
    return fleet


def test_steps_in_the_wrong_order_are_told_what_comes_first(served: Fleet):
    rollout = served.create(ROLLOUT)

    early = served.sopwith("rollout", "start", rollout, "--reason", "why not", who=OPERATOR, expect=(4,))
    check(early, REFUSED, "sop_step_order")
    check(early, REFUSED, "sopwith rollout submit")
    for verb, who, words in (
        ("resume", OPERATOR, "sopwith rollout submit"),
        ("pause", OPERATOR, "sopwith rollout submit"),
    ):
        done = served.sopwith("rollout", verb, rollout, "--reason", "why not", who=who, expect=(1,))
        check(done, FAILED, words)
    served.sopwith("rollout", "submit", rollout, who=OPERATOR)
    check(served.sopwith("rollout", "submit", rollout, who=OPERATOR, expect=(1,)), FAILED, "sopwith rollout start")
    check(served.sopwith("rollout", "approve", rollout, "--yes", who=OPERATOR, expect=(4,)), REFUSED, "operator_role")
    check(served.sopwith("sop", "sign", "SU-SOP-001", "--yes", who=OPERATOR, expect=(4,)), REFUSED, "operator_role")
    check(served.sopwith("sop", "sign", "SU-SOP-001", "--yes", who=MANAGER, expect=(1,)), FAILED, "EFFECTIVE")
    served.sopwith("sop", "acknowledge", "SU-SOP-001", "--yes", who=OPERATOR)


@pytest.mark.parametrize("name", ["*", "'; DROP TABLE rollouts; --", "-rf %s{0}", "x" * 5000])
def test_unknown_names_are_data_and_not_found(served: Fleet, name: str):
    for noun in (("rollout", "show"), ("computer", "show")):
        check(served.sopwith(*noun, "--", name, expect=(1,)), FAILED, "there is no")


def test_rollout_files_are_checked_before_anything_is_stored(served: Fleet):
    before = served.json("rollout", "list")
    for content, code, words in (
        (ROLLOUT.replace("audience", "audiance"), FAILED, "did you mean audience?"),
        (ROLLOUT + "max_concurrency: lots\n", FAILED, "max_concurrency"),
        (ROLLOUT.replace("lamp-1", "x" * 100_000), FAILED, "is no name"),
        (ROLLOUT.replace("lamp@1", "lamp@9"), FAILED, "sopwith release list"),
        (ROLLOUT.replace("SU-SOP-001", "SU-SOP-999"), REFUSED, "sop_effective"),
    ):
        path = served.folder / "clumsy.yaml"
        path.write_text(content)
        done = served.sopwith("rollout", "create", "-f", str(path), who=OPERATOR, expect=(0, 1, 4))
        check(done, code, words)
    nobody = served.folder / "nobody.yaml"
    nobody.write_text(ROLLOUT.replace('""', '"site=nowhere"'))
    check(served.sopwith("rollout", "plan", "-f", str(nobody)), DONE, "REFUSED  by sop_scope")

    assert served.json("rollout", "list") == before


def test_a_second_of_what_may_be_there_once_is_refused(served: Fleet):
    twin = served.stage.run("sopwith-controller", "serve", "--data", "c", expect=(1,))
    agent = served.stage.run("sopwith-agent", "run", "--state", "pc1", expect=(1,))
    made = served.stage.run("sopwith-controller", "init", "--data", "c", *INIT, expect=(1,))

    check(twin, FAILED, "stop that controller first")
    check(agent, FAILED, "stop it first")
    check(made, FAILED, "exists already")
    served.sopwith("status")


def test_a_data_folder_that_is_not_whole_is_not_served(served: Fleet):
    data = served.folder / "other"
    served.stage.run("sopwith-controller", "init", "--data", "other", *INIT)
    settings = (data / "sopwith.toml").read_text()

    def serve() -> Result:
        return served.stage.run("sopwith-controller", "serve", "--data", "other", expect=(1,))

    taken = (served.folder / "c" / "sopwith.toml").read_text()
    (data / "sopwith.toml").write_text(taken)
    check(serve(), FAILED, "cannot listen on 127.0.0.1")
    (data / "sopwith.toml").write_text('colour = "blue"\ndevelopment = "yes"\n' + settings)
    both = served.stage.run("sopwith-controller", "check-config", "--data", "other", expect=(1,))
    check(both, FAILED, "colour: is no setting")
    check(both, FAILED, "development: input should be a valid boolean")
    (data / "sopwith.toml").write_text(settings)
    database = (data / "sopwith.db").rename(data / "elsewhere")
    check(serve(), FAILED, "restore it from a backup")
    assert not (data / "sopwith.db").exists()
    database.rename(data / "sopwith.db")
    shutil.rmtree(data / "pki")
    check(serve(), FAILED, "the folder is not whole")


@pytest.mark.parametrize(
    ("ending", "codes"), [(">&-", {0}), (">/dev/full", {1}), ("2>&-", {0}), ("<&-", {0}), ("| head -c 1", {0})]
)
def test_streams_that_are_closed_or_full_are_no_disaster(served: Fleet, ending: str, codes: set[int]):
    environment = {**served.stage._environment(), "SOPWITH_CONTEXT": str(served.folder / OPERATOR)}

    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"$0" computer list {ending}', program_path("sopwith")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_ctrl_c_ends_watching_with_code_3(served: Fleet):
    rollout = served.create(ROLLOUT)
    # Whoever runs the tests in the background hands an ignored SIGINT down; a person's terminal does not.
    process = served.stage.start(
        *("/usr/bin/env", "--default-signal=INT", str(Path(sys.executable).parent / "sopwith"), "--context", OPERATOR),
        *("rollout", "status", rollout, "--watch", "-o", "json"),
        log="watching.log",
    )
    served.until("the first line", (served.folder / "watching.log").read_text)

    process.send_signal(signal.SIGINT)

    assert process.wait(10) == CANCELLED
    served.stage.processes.remove(process)
    assert (served.folder / "watching.log").read_text().splitlines()[-1] == "sopwith: cancelled"
