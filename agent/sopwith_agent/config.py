"""The agent's own settings: `agent.toml` in its state folder, read once, frozen.

Decides which keys there are and what they may say; what the SOP decides is not among them. A missing file means the
defaults; a wrong one stops the start with every error, its key and its mend.
"""

import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sopwith_agent.domain.bandwidth import DAYS, RATE_MIN_BYTES_PER_SECOND, RateRule
from sopwith_agent.domain.errors import SettingsError
from sopwith_formats.errors import FormatError
from sopwith_formats.units import parse_rate

FILE = "agent.toml"
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "json", "console")
REBOOTS = ("people", "systemctl", "command")
USER_NAMES = ("none", "facts")
COMMANDS_MAX = 20
TIMEOUT_SECONDS_MAX = 86_400
PLACES_MAX = 20
ENVIRONMENT, NONE = "environment", "none"

TEMPLATE = """\
# Settings of this computer's Sopwith agent; `sopwith-agent check-config` reads them. All keys are optional.

# log_level = "info"      # debug, info, warning, error
# log_format = "auto"     # auto: for people on a terminal, else json; or json, console
# user_names = "none"     # facts: the fleet is told who is logged in; none: how many are, and nothing else
# reboot = "people"       # people: the agent waits for somebody to reboot; systemctl: it reboots when the SOP lets it;
#                         # command: so it does, by reboot_command, a list of words without a shell
# reboot_command = ["/usr/local/sbin/reboot-kindly"]
# drain = [["/usr/local/sbin/drain", "--all"]]   # before a reboot; an exit code other than 0 puts it off
# undrain = [["/usr/local/sbin/undrain"]]        # after it, once the new version is healthy
# snapshot = [["/usr/local/sbin/snapshot"]]      # before an install; an exit code other than 0 stops it
# command_timeout_seconds = 300                  # for each of these three

# proxy = "environment"   # to the source: environment (HTTPS_PROXY, NO_PROXY), none, or "http://proxy.example:3128"
# no_proxy = [".example"] # hosts and domains that are asked directly
# proxy_credentials = "file:/etc/sopwith/proxy"   # user:password in that file; or env:NAME
# mirrors = ["https://mirror.example/targets/"]   # places that serve the source's files too, nearest first
# [[download_rates]]      # the slowest rule in force counts, by this computer's local time
# rate = "500 KiB/s"
# from = "08:00"
# to = "18:00"
# days = ["mon", "tue", "wed", "thu", "fri"]
"""

_HOST = r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]"
_DOWNLOADS = {
    "proxy": re.compile(rf"http://({_HOST})(:\d{{1,5}})?/?"),
    "no_proxy": re.compile(r"[A-Za-z0-9.:*_-]+"),
    "proxy_credentials": re.compile(r"file:/.+|env:[A-Za-z_][A-Za-z0-9_]*"),
    "mirrors": re.compile(rf"(https://({_HOST})|http://(127\.0\.0\.1|localhost|\[::1\]))(:\d{{1,5}})?/[^?#@\s]*"),
    "download_rates": re.compile(""),
}
_TIME = re.compile(r"([0-2]\d):([0-5]\d)")
_MIDNIGHT = 24 * 60

_ALLOWED = {"log_level": LOG_LEVELS, "log_format": LOG_FORMATS, "reboot": REBOOTS, "user_names": USER_NAMES}


@dataclass(frozen=True)
class Settings:
    """What a person may set on the computer itself."""

    log_level: str = "info"
    log_format: str = "auto"
    user_names: str = "none"
    reboot: str = "people"
    reboot_command: tuple[str, ...] = ()
    drain: tuple[tuple[str, ...], ...] = ()
    undrain: tuple[tuple[str, ...], ...] = ()
    snapshot: tuple[tuple[str, ...], ...] = ()
    command_timeout_seconds: int = 300
    proxy: str = ENVIRONMENT
    no_proxy: tuple[str, ...] = ()
    proxy_credentials: str = ""
    """Where `user:password` stands, file:PATH or env:NAME; never the words themselves."""
    mirrors: tuple[str, ...] = ()
    download_rates: tuple[RateRule, ...] = ()


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
    except (ValueError, RecursionError) as error:  # what is no TOML, a giant number, a tower of brackets
        raise SettingsError(f"{path} cannot be read: {error}.", remedy="mend the file, or remove it") from error
    faults = [fault for key, value in document.items() if (fault := _fault(key, value))]
    if document.get("reboot") == "command" and not document.get("reboot_command"):
        faults.append('reboot is "command", add reboot_command = ["/path/to/program"]')
    if faults:
        raise SettingsError(f"{path}: {'; '.join(faults)}.", remedy="mend these keys, or remove them")
    for key in ("drain", "undrain", "snapshot"):
        document[key] = tuple(tuple(command) for command in document.get(key, ()))
    for key in ("reboot_command", "no_proxy", "mirrors"):
        document[key] = tuple(document.get(key, ()))
    document["download_rates"] = tuple(read_rate_rule(rule) for rule in document.get("download_rates", ()))
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
    if key in _DOWNLOADS:
        return _download_fault(key, value)
    allowed = _ALLOWED[key]
    return "" if value in allowed else f"{key} is {value!r}, write one of {', '.join(allowed)}"


def read_rate_rule(rule: Any) -> RateRule:
    """Return one rule of `download_rates`; raise FormatError with what is wrong."""
    if not isinstance(rule, dict) or not isinstance(rule.get("rate"), str):
        raise FormatError('holds no rule with a rate, write rate = "500 KiB/s"')
    unknown = sorted(rule.keys() - {"rate", "from", "to", "days"})
    if unknown:
        raise FormatError(f"has the unknown {', '.join(unknown)}, there are rate, from, to, days")
    days = rule.get("days", list(DAYS))
    if not isinstance(days, list) or not days or any(day not in DAYS for day in days):
        raise FormatError(f"has days that are none, there are {', '.join(DAYS)}")
    rate = parse_rate(rule["rate"])
    if rate < RATE_MIN_BYTES_PER_SECOND:
        raise FormatError(f"has a rate below {RATE_MIN_BYTES_PER_SECOND} bytes a second, which no download survives")
    return RateRule(rate, _minute(rule.get("from", "00:00")), _minute(rule.get("to", "24:00")), tuple(days))


def _minute(text: Any) -> int:
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    minute = int(match[1]) * 60 + int(match[2]) if match else -1
    if not 0 <= minute <= _MIDNIGHT:
        raise FormatError(f'has the time {text!r}, write "08:00"')
    return minute


def _download_fault(key: str, value: Any) -> str:
    if key == "download_rates":
        try:
            for rule in value if isinstance(value, list) else [None]:
                read_rate_rule(rule)
        except FormatError as error:
            return f"{key} {error}"
        return ""
    if key in {"no_proxy", "mirrors"}:
        words = isinstance(value, list) and len(value) <= PLACES_MAX and all(isinstance(item, str) for item in value)
        wrong = [item for item in value if not _fits(key, item)] if words else [value]
        form = '["https://HOST/targets/"]' if key == "mirrors" else '["host.example", ".domain"]'
        return f"{key} is {wrong[0]!r}, write {form}" if wrong else ""
    if isinstance(value, str) and _fits(key, value):
        return ""
    if key == "proxy":  # what was written may hold a password
        return 'proxy is no address, write "http://HOST:PORT" without a password, "environment" or "none"'
    return 'proxy_credentials is no place, write "file:/PATH" or "env:NAME"'


def _fits(key: str, text: str) -> bool:
    return bool(_DOWNLOADS[key].fullmatch(text)) or (key == "proxy" and text in {ENVIRONMENT, NONE})


def _is_command(value: Any) -> bool:
    words = isinstance(value, list) and all(isinstance(word, str) and "\0" not in word for word in value)
    return words and bool(value) and value[0].startswith("/")
