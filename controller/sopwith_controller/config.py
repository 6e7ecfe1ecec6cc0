"""The controller's settings: `sopwith.toml` in the data folder, read once, frozen.

This module decides which settings there are and what is wrong with a file; nothing here is secret: a password stands in
a file or variable that a setting names. Rules: an unknown key, a wrong type or a value out of range stops the start,
and every error is told at once with its key and its mend; ports, names and folders never change while running.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

SETTINGS_FILE = "sopwith.toml"
ENDPOINTS_FILE = "endpoints.json"
DATABASE_FILE = "sopwith.db"

Port = Annotated[int, Field(ge=1, le=65535)]


class ConfigError(Exception):
    """The settings are wrong; `faults` are one sentence each, with key and mend."""

    def __init__(self, path: Path, faults: list[str]) -> None:
        self.path = path
        self.faults = faults
        super().__init__(f"{path}: {'; '.join(faults)}")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Mail(_Section):
    """The mail server. `password` is an address: file:PATH or env:NAME."""

    address: str = ""
    """smtp://[USER@]HOST:PORT, smtps:// for TLS from the first byte; empty: no mail goes out."""
    sender: str = "sopwith@localhost"
    password: str = ""

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        if value:
            check_smtp(value)
        return value

    @field_validator("password")
    @classmethod
    def _password(cls, value: str) -> str:
        if value and not value.startswith(("file:", "env:")):
            raise ValueError("must name where the password lies: file:PATH or env:NAME")
        return value


class FileChannel(_Section):
    """Messages appended to one file, for who watches files."""

    path: str = ""
    """Absolute path of the file; empty: no such channel."""


class Config(_Section):
    """All settings of one controller."""

    listen: str = "127.0.0.1"
    """Address that both ports are bound to."""
    advertise: str = "127.0.0.1"
    """Name or address by which computers and people reach the controller."""
    fleet_port: Port = 7443
    web_port: Port = 7445
    database: str = ""
    """sqlite:///PATH or postgresql://USER@HOST/NAME; empty: sopwith.db in the data folder."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    development: bool = False
    """Turns gRPC reflection on."""
    smtp: Mail = Mail()
    file: FileChannel = FileChannel()

    @property
    def fleet_address(self) -> str:
        """Return HOST:PORT as computers and people dial it."""
        return host_port(self.advertise, self.fleet_port)

    @property
    def web_address(self) -> str:
        """Return HOST:PORT of the web port as it is advertised."""
        return host_port(self.advertise, self.web_port)


def read_config(data: Path) -> Config:
    """Return the settings of a data folder; raise ConfigError with every fault."""
    path = data / SETTINGS_FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            path, ["there is no such file; `sopwith-controller init` makes a data folder, --data names it"]
        ) from error
    except OSError as error:
        raise ConfigError(path, [f"cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:  # no TOML, a giant number, a tower of brackets
        raise ConfigError(path, [f"is no TOML: {error}"]) from error
    try:
        return Config(**document)
    except ValidationError as error:
        raise ConfigError(path, [_fault(item) for item in error.errors()]) from error


def write_settings(config: Config) -> str:
    """Return the text of `sopwith.toml` for these settings."""
    lines = [
        "# Settings of this Sopwith controller; `sopwith-controller check-config --data DIR` checks them.",
        *(f"{key} = {_toml(getattr(config, key))}" for key in ("listen", "advertise", "fleet_port", "web_port")),
    ]
    if config.database:
        lines.append(f"database = {_toml(config.database)}")
    lines += [f"log_level = {_toml(config.log_level)}", "", "[smtp]"]
    lines += [f"address = {_toml(config.smtp.address)}", f"sender = {_toml(config.smtp.sender)}"]
    return "\n".join(lines) + "\n"


def check_smtp(address: str) -> SplitResult:
    """Return the parts of a mail server's address; raise ValueError with the mend."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError("has no port number; write it like smtp://mail.example.org:25") from error
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or not port:
        raise ValueError("is no mail server; write it like smtp://mail.example.org:25")
    if parts.password:
        raise ValueError("holds a password; name where it lies in smtp.password instead")
    return parts


def host_port(host: str, port: int) -> str:
    """Return HOST:PORT, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _toml(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _fault(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"{key}: is no setting; remove it or mend its name"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{key}: {message[:1].lower()}{message[1:]}"
