"""Which proxy leads to the source, if any: by the computer's own setting or by its environment.

Decides who is asked; the asking is the transport's. Rules: loopback addresses are never asked through a proxy; the
setting `environment` reads HTTPS_PROXY, ALL_PROXY and NO_PROXY as other programs do, `none` goes directly, an address
is taken for every host that `no_proxy` does not name; only plain http proxies are known, which see a tunnel and nothing
in it; a name and password come from a file or a variable that the setting names, and are never shown.
"""

import base64
import ipaddress
import os
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom

ENVIRONMENT, NONE = "environment", "none"
_PORT = 3128


@dataclass(frozen=True)
class Proxy:
    """One proxy; its text shows no password."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """What the proxy wants to be told, for example who asks."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class ProxyChoice:
    """What a person set on the computer."""

    setting: str = ENVIRONMENT
    no_proxy: tuple[str, ...] = ()
    """Hosts and domains that are asked directly, beside those of the environment's NO_PROXY."""
    credentials: str = ""
    """file:PATH or env:NAME, where `user:password` stands; empty where the proxy asks nobody."""

    def proxy_for(self, host: str) -> Proxy | None:
        """Return the proxy for an https address of the host, None to go directly; raise StepError for a wrong one."""
        if self.setting == NONE or is_loopback(host):
            return None
        left_out = ",".join([_variable("no_proxy"), *self.no_proxy])
        if _is_left_out(host, left_out):
            return None
        environment = _variable("https_proxy") or _variable("all_proxy")
        named = environment if self.setting == ENVIRONMENT else self.setting
        return self._read(named) if named else None

    def _read(self, named: str) -> Proxy:
        try:
            parts = urllib.parse.urlsplit(named if "://" in named else f"http://{named}")
            host, port = parts.hostname, parts.port or _PORT
        except ValueError:
            host, port, parts = None, 0, urllib.parse.SplitResult("", "", "", "", "")
        if not host or parts.scheme != "http":
            raise StepError(
                Symptom.NET_SOURCE_UNREACHABLE,
                "the proxy of this computer has no address of the form http://HOST:PORT",
                remedy="correct `proxy` in agent.toml, or HTTPS_PROXY",
            )
        account = self._account() or _unquoted(parts)
        token = base64.b64encode(account.encode()).decode()
        return Proxy(host, port, {"Proxy-Authorization": f"Basic {token}"} if account else {})

    def _account(self) -> str:
        kind, _, place = self.credentials.partition(":")
        try:
            if kind == "file":
                return Path(place).read_text(encoding="utf-8").strip()
            return os.environ.get(place, "") if kind == "env" else ""
        except (OSError, UnicodeDecodeError) as error:
            raise StepError(
                Symptom.NET_SOURCE_UNREACHABLE,
                f"the proxy's credentials in {place} cannot be read",
                remedy="correct `proxy_credentials` in agent.toml",
            ) from error


def _variable(name: str) -> str:
    """Return a variable of the environment under its small or its capital name; the library's way loads too much."""
    return os.environ.get(name) or os.environ.get(name.upper()) or ""


def _is_left_out(host: str, left_out: str) -> bool:
    """Tell whether a list names the host, a domain above it, or everything, as NO_PROXY is commonly read."""
    names = [name.strip().lower().removeprefix("*.").lstrip(".") for name in left_out.split(",")]
    return any(name == "*" or host.lower() == name or host.lower().endswith(f".{name}") for name in names if name)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this computer itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _unquoted(parts: urllib.parse.SplitResult) -> str:
    if parts.username is None:
        return ""
    return f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
