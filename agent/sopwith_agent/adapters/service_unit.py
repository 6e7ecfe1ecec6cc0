"""The systemd unit under which the agent runs, written by `sopwith-agent install-service`.

Decides what the unit says. Rules: it always starts what the link `current` names, so that a new version is watched by
the old one however often it is started; ending the agent ends no package tool that it started (KillMode=process);
nothing is taken from the service that dpkg's maintainer scripts need: they write everywhere, load modules, use setuid
programs and start what they installed, so file systems, modules and privileges stay open, and what is closed is what no
package needs from within its update.
"""

import os
import shutil
import sys
from pathlib import Path

from sopwith_agent.adapters.processes import PATH, run_program
from sopwith_agent.adapters.trial_file import HOME_VARIABLE, INTO, LINK, PROGRAM
from sopwith_agent.domain.errors import SettingsError
from sopwith_formats.durable import durable_replace

NAME = "sopwith-agent.service"
FOLDER = "etc/systemd/system"
_RUNNING_SYSTEMD = Path("/run/systemd/system")
_SYSTEMCTL_SECONDS = 60
_UNIT = """\
# Written by `sopwith-agent install-service`; changes belong into `systemctl edit sopwith-agent`.
[Unit]
Description=Sopwith agent: updates this computer under the fleet's Standard Operating Procedure
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target
# A broken network or controller is waited for, as long as it takes.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
Restart=always
RestartSec=2
WatchdogSec=120
TimeoutStartSec=120
TimeoutStopSec=30
# A package tool at work outlives the agent, which finds its end in the journal after the next start.
KillMode=process
StateDirectory=sopwith-agent
StateDirectoryMode=0700
UMask=0022
LimitNOFILE=1024
OOMScoreAdjust=-500
Environment=MALLOC_ARENA_MAX=2

# Closed: what no package needs while it is installed. Open, because maintainer scripts need it: file systems, kernel
# modules, setuid programs, executable memory, other architectures' system calls.
LockPersonality=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
PrivateTmp=yes
KeyringMode=private

[Install]
WantedBy=multi-user.target
"""


def unit(state: Path, default_state: Path) -> str:
    """Return the unit's text for this agent and a state folder."""
    command = [_program(), "run"]
    if state != default_state:
        command += ["--state", str(state)]
    if any(character in text for text in command for character in " \t\n\"'%$\\"):
        raise SettingsError(
            f"{' '.join(command)} cannot stand in a unit.", remedy="use paths without blanks, quotes, % and $"
        )
    return _UNIT.format(command=" ".join(command))


def install(text: str, root: Path) -> list[str]:
    """Write and enable the unit below a root; return what was done, one line each. Done again, it changes nothing."""
    path = root / FOLDER / NAME
    done = []
    if path.exists() and path.read_text(encoding="utf-8") == text:
        done.append(f"{path} is as it should be")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable_replace(path, text.encode())
        done.append(f"{path} is written")
    systemctl = shutil.which("systemctl", path=PATH)
    if systemctl is None:
        return [*done, "systemctl is not on this computer, so nothing is enabled"]
    own = root == Path("/")
    if own and _RUNNING_SYSTEMD.is_dir():
        _demand([systemctl, "daemon-reload"])
    _demand([systemctl, "enable", NAME] if own else [systemctl, f"--root={root}", "enable", NAME])
    return [*done, f"{NAME} is enabled; `systemctl start {NAME}` starts it now" if own else f"{NAME} is enabled there"]


def _demand(command: list[str]) -> None:
    finished = run_program(command, timeout_seconds=_SYSTEMCTL_SECONDS)
    if not finished.ok:
        raise SettingsError(
            f"{' '.join(command)} says: {finished.line}.", remedy="run it by hand and mend what it names"
        )


def _program() -> str:
    """Return what the service starts: the link of the versions, or the program that was called."""
    if os.environ.get(HOME_VARIABLE, "").startswith(f"{INTO}/"):
        return f"{INTO}/{LINK}/{PROGRAM}"
    called = shutil.which(sys.argv[0]) or sys.argv[0]
    return str(Path(called).absolute())
