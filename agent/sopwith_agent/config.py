"""The agent's own settings: `agent.toml` in its state folder, read once, frozen.

Decides which keys there are and what they may say; what the SOP decides is not among them. A missing file means the
defaults; a wrong one stops the start with every error, its key and its mend.
"""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sopwith_agent.domain.errors import SettingsError

FILE = "agent.toml"
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "json", "console")
REBOOTS = ("people", "systemctl", "command")
COMMANDS_MAX = 20
TIMEOUT_SECONDS_MAX = 86_400

TEMPLATE = """\
# Settings of this computer's Sopwith agent; `sopwith-agent check-config` reads them. All keys are optional.

# log_level = "info"      # debug, info, warning, error
# log_format = "auto"     # auto: for people on a terminal, else json; or json, console
# reboot = "people"       # people: the agent waits for somebody to reboot; systemctl: it reboots when the SOP lets it;
#                         # command: so it does, by reboot_command, a list of words without a shell
# reboot_command = ["/usr/local/sbin/reboot-kindly"]
# drain = [["/usr/local/sbin/drain", "--all"]]   # before a reboot; an exit code other than 0 puts it off
# undrain = [["/usr/local/sbin/undrain"]]        # after it, once the new version is healthy
# snapshot = [["/usr/local/sbin/snapshot"]]      # before an install; an exit code other than 0 stops it
# command_timeout_seconds = 300                  # for each of these three
"""

_ALLOWED = {"log_level": LOG_LEVELS, "log_format": LOG_FORMATS, "reboot": REBOOTS}


@dataclass(frozen=True)
class Settings:
    """What a person may set on the computer itself."""

    log_level: str = "info"
    log_format: str = "auto"
    reboot: str = "people"
    reboot_command: tuple[str, ...] = ()
    drain: tuple[tuple[str, ...], ...] = ()
    undrain: tuple[tuple[str, ...], ...] = ()
    snapshot: tuple[tuple[str, ...], ...] = ()
    command_timeout_seconds: int = 300


def read_settings(state: Path) -> Settings:
    """Return the settings of a state folder; raise SettingsError that names every fault at once."""
    path = state / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.", remedy="mend the file, or remove it") from error
    if all(line.lstrip()[:1] in ("", "#") for line in text.splitlines()):
        return Settings()  # nothing but comments, as most files are: the reader need not be loaded
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} cannot be read: {error}.", remedy="mend the file, or remove it") from error
    faults = [fault for key, value in document.items() if (fault := _fault(key, value))]
    if document.get("reboot") == "command" and not document.get("reboot_command"):
        faults.append('reboot is "command", add reboot_command = ["/path/to/program"]')
    if faults:
        raise SettingsError(f"{path}: {'; '.join(faults)}.", remedy="mend these keys, or remove them")
    for key in ("drain", "undrain", "snapshot"):
        document[key] = tuple(tuple(command) for command in document.get(key, ()))
    document["reboot_command"] = tuple(document.get("reboot_command", ()))
    return Settings(**document)


def default_state() -> Path:
    """Return where the state lies when nobody says: the system's place for root, the user's own otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/sopwith-agent")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "sopwith-agent"


def _fault(key: str, value: Any) -> str:
    known = [item.name for item in fields(Settings)]
    if key not in known:
        return f"{key} is no setting, there are {', '.join(known)}"
    if key == "reboot_command":
        return "" if _is_command(value) else f"{key} is no list of words that begins with an absolute path"
    if key in {"drain", "undrain", "snapshot"}:
        fits = isinstance(value, list) and len(value) <= COMMANDS_MAX and all(map(_is_command, value))
        return "" if fits else f'{key} is no list of commands, write [["/path/to/program", "word"]]'
    if key == "command_timeout_seconds":
        fits = type(value) is int and 1 <= value <= TIMEOUT_SECONDS_MAX
        return "" if fits else f"{key} is {value!r}, write 1 to {TIMEOUT_SECONDS_MAX}"
    allowed = _ALLOWED[key]
    return "" if value in allowed else f"{key} is {value!r}, write one of {', '.join(allowed)}"


def _is_command(value: Any) -> bool:
    words = isinstance(value, list) and all(isinstance(word, str) and "\0" not in word for word in value)
    return words and bool(value) and value[0].startswith("/")
