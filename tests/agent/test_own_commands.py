"""Commands that people wrote, the reboot command, and the boot of a root that brings its own /proc."""

from pathlib import Path

import pytest

from sopwith_agent.adapters.clock import SystemClock
from sopwith_agent.adapters.own_commands import OwnCommands
from sopwith_agent.adapters.power import SYSTEMCTL, SystemPower
from sopwith_agent.config import Settings, read_settings
from sopwith_agent.domain.errors import SettingsError, StepError
from sopwith_agent.steps.command_port import Moment, Said
from sopwith_agent.steps.health_port import HealthContext
from sopwith_formats.manifest import Command, Manifest
from tests.agent.fakes import hello


def script(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def release(**commands: tuple[Command, ...]) -> Manifest:
    return hello("2", **commands)[0]


def context(root: Path) -> HealthContext:
    return HealthContext(root, "pc1", "drain")


def test_nobody_asked_for_anything_is_no_refusal(tmp_path: Path) -> None:
    said = OwnCommands({}).run(Moment.DRAIN, release(), context(tmp_path))

    assert (said, said.agreed) == (Said(0), True)
    assert OwnCommands({}).run(Moment.UNDRAIN, None, context(tmp_path)) == Said(0)


def test_release_takes_work_away_first_and_the_computer_gives_it_back_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script(tmp_path / "bin/theirs", f'echo "release $SOPWITH_STEP $SOPWITH_RELEASE $SOPWITH_VERSION $PWD" >> {log}')
    own = script(tmp_path / "own", f'echo "computer $SOPWITH_STEP $1 ${{HOME:-clean}}" >> {log}')
    theirs = (Command(("/bin/theirs",)),)
    commands = OwnCommands({Moment.DRAIN: [Command((own, "a b"))], Moment.UNDRAIN: [Command((own, "c"))]})
    manifest = release(drain=theirs, undrain=theirs)

    said = [commands.run(moment, manifest, context(tmp_path)) for moment in (Moment.DRAIN, Moment.UNDRAIN)]

    assert said == [Said(2), Said(2)]
    assert log.read_text().splitlines() == [
        f"release drain hello 2 {tmp_path}",
        "computer drain a b clean",
        "computer undrain c clean",
        f"release undrain hello 2 {tmp_path}",
    ]


def test_first_refusal_stops_the_rest_and_says_its_last_words(tmp_path: Path) -> None:
    no = script(tmp_path / "no", "echo 3 pods stay; exit 7")
    never = script(tmp_path / "never", f"touch {tmp_path}/ran")

    said = OwnCommands({Moment.DRAIN: [Command((no,)), Command((never,))]}).run(Moment.DRAIN, None, context(tmp_path))

    assert said.refusal == f"drain: {no} ended with 7: 3 pods stay"
    assert not (tmp_path / "ran").exists()


def test_command_that_takes_too_long_or_is_missing_refuses(tmp_path: Path) -> None:
    slow = script(tmp_path / "slow", "sleep 30")

    late = OwnCommands({Moment.SNAPSHOT: [Command((slow,), 1)]}).run(Moment.SNAPSHOT, None, context(tmp_path))
    gone = OwnCommands({Moment.SNAPSHOT: [Command(("/nowhere",))]}).run(Moment.SNAPSHOT, None, context(tmp_path))

    assert "did not end within 1 s" in late.refusal
    assert "cannot be started" in gone.refusal


def test_systemctl_is_left_to_the_computer_itself_and_a_command_of_its_own_is_not(tmp_path: Path) -> None:
    done = script(tmp_path / "reboot", f'echo "$@" > {tmp_path}/rebooted')
    own = SystemPower(tmp_path, (done, "now"))
    own.reboot()

    assert (SystemPower(tmp_path, SYSTEMCTL).may_reboot(), SystemPower(tmp_path).may_reboot()) == (False, False)
    assert (SystemPower(Path("/"), SYSTEMCTL).may_reboot(), own.may_reboot()) == (True, True)
    assert (tmp_path / "rebooted").read_text() == "now\n"


@pytest.mark.parametrize("text", ["echo not today >&2; exit 1", None])
def test_reboot_that_cannot_be_started_says_why(tmp_path: Path, text: str | None) -> None:
    program = script(tmp_path / "reboot", text) if text else str(tmp_path / "gone")

    with pytest.raises(StepError) as failed:
        SystemPower(tmp_path, (program,)).reboot()

    assert failed.value.symptom == "REBOOT_FAILED"
    assert ("not today" in failed.value.message) is bool(text)


def test_root_with_a_proc_of_its_own_tells_its_own_boot(tmp_path: Path) -> None:
    random = tmp_path / "proc/sys/kernel/random"
    random.mkdir(parents=True)
    (random / "boot_id").write_text("boot-of-its-own\n")
    without_uptime = SystemClock(tmp_path).boot_seconds()
    (tmp_path / "proc/uptime").write_text("12.97 3.00\n")

    clock, plain = SystemClock(tmp_path), SystemClock()

    assert (clock.boot_id(), clock.boot_seconds()) == ("boot-of-its-own", 12)
    assert plain.boot_id() == SystemClock(tmp_path / "elsewhere").boot_id() != "boot-of-its-own"
    assert without_uptime == pytest.approx(plain.boot_seconds(), abs=5)


def test_settings_of_commands_are_read_as_lists_of_words(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(
        'reboot = "command"\nreboot_command = ["/sbin/reboot", "-f"]\ndrain = [["/bin/drain", "a b"]]\n'
        'snapshot = [["/bin/snap"], ["/bin/snap", "2"]]\ncommand_timeout_seconds = 60\n'
    )

    assert read_settings(tmp_path) == Settings(
        reboot="command",
        reboot_command=("/sbin/reboot", "-f"),
        drain=(("/bin/drain", "a b"),),
        snapshot=(("/bin/snap",), ("/bin/snap", "2")),
        command_timeout_seconds=60,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('reboot = "command"', "add reboot_command"),
        ('reboot = "command"\nreboot_command = "reboot now"', "no list of words"),
        ('reboot_command = ["reboot"]', "begins with an absolute path"),
        ('drain = ["/bin/drain"]', "drain is no list of commands"),
        ("snapshot = [[]]", "snapshot is no list of commands"),
        ('undrain = [["/bin/a\\u0000b"]]', "undrain is no list of commands"),
        ("command_timeout_seconds = 0", "write 1 to"),
    ],
)
def test_wrong_settings_of_commands_stop_the_start(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "agent.toml").write_text(text)

    with pytest.raises(SettingsError, match=words):
        read_settings(tmp_path)
