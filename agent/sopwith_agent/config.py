"""The agent's own settings: `agent.toml` in its state folder, read once, frozen.

Decides which keys there are and what they may say; what the SOP decides is not among them. A missing file means the
defaults; a wrong one stops the start with every error, its key and its mend.
"""

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sopwith_agent.domain.errors import SettingsError

FILE = "agent.toml"
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "json", "console")
REBOOTS = ("people", "systemctl")

TEMPLATE = """\
# Settings of this computer's Sopwith agent; `sopwith-agent check-config` reads them. All keys are optional.

# log_level = "info"      # debug, info, warning, error
# log_format = "auto"     # auto: for people on a terminal, else json; or json, console
# reboot = "people"       # people: the agent waits for somebody to reboot; systemctl: it reboots when the SOP lets it
"""

_ALLOWED = {"log_level": LOG_LEVELS, "log_format": LOG_FORMATS, "reboot": REBOOTS}


@dataclass(frozen=True)
class Settings:
    """What a person may set on the computer itself."""

    log_level: str = "info"
    log_format: str = "auto"
    reboot: str = "people"


def read_settings(state: Path) -> Settings:
    """Return the settings of a state folder; raise SettingsError that names every fault at once."""
    path = state / FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.", remedy="mend the file, or remove it") from error
    faults = [fault for key, value in document.items() if (fault := _fault(key, value))]
    if faults:
        raise SettingsError(f"{path}: {'; '.join(faults)}.", remedy="mend these keys, or remove them")
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
    allowed = _ALLOWED[key]
    return "" if value in allowed else f"{key} is {value!r}, write one of {', '.join(allowed)}"
