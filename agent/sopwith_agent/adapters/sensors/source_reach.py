"""Tells how far a connection to the source comes: name, route, trust.

Answers step by step (SOP clause IV): the name is resolved, a TCP connection opened, a TLS handshake made with the
authorities that the agent trusts. Nothing is requested from the source. Each step has its own short time limit, so that
the whole stays below 8 seconds; a captive portal shows as a certificate that is not trusted.
"""

import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sopwith_agent.adapters.processes import escape_text
from sopwith_agent.domain.measurements import SourceReach

_DNS_SECONDS = 2.0
_STEP_SECONDS = 2.5
_FAILURE_MAX = 200
_PORTS = {"https": 443, "http": 80}


def source_reach(url: str, ca_file: Path | None) -> SourceReach | None:
    """Return how the steps went; None for an address that is none."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    port = parts.port or _PORTS[parts.scheme]
    reach = SourceReach(f"{parts.hostname}:{port}", proxy=_proxy(parts.scheme, parts.hostname))
    began = time.monotonic()
    try:
        addresses = _within(_DNS_SECONDS, lambda: socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        return _failed(reach, "dns", error)
    reach = replace(reach, dns_milliseconds=_since(began))
    began = time.monotonic()
    try:
        connection = _connect(addresses)
    except OSError as error:
        return _failed(reach, "tcp", error)
    with connection:
        reach = replace(reach, tcp_milliseconds=_since(began))
        if parts.scheme == "http":
            return reach
        began = time.monotonic()
        try:
            context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
            connection.settimeout(_STEP_SECONDS)
            with context.wrap_socket(connection, server_hostname=parts.hostname):
                return replace(reach, tls_milliseconds=_since(began))
        except OSError as error:
            return _failed(reach, "tls", error)


def _proxy(scheme: str, name: str) -> str:
    """Return host:port of the environment's proxy for this address, without any password that stands in it."""
    if urllib.request.proxy_bypass(name):
        return ""
    parts = urllib.parse.urlsplit(urllib.request.getproxies().get(scheme, ""))
    return escape_text(f"{parts.hostname}:{parts.port}") if parts.hostname else ""


def _connect(addresses: list[Any]) -> socket.socket:
    """Try the addresses in the resolver's order, all within one step's time."""
    deadline = time.monotonic() + _STEP_SECONDS
    failure: OSError = OSError("no address")
    for family, kind, protocol, _, address in addresses:
        rest = deadline - time.monotonic()
        if rest <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(rest)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _within(seconds: float, ask: Callable[[], Any]) -> Any:
    """Ask the resolver, which knows no time limit, in a thread that is left behind when time is up."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(ask())
        except (OSError, UnicodeError) as error:
            answers.append(error)

    thread = threading.Thread(target=run, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]


def _failed(reach: SourceReach, step: str, error: Exception) -> SourceReach:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"its certificate is not trusted here ({error.verify_message})"
    else:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return replace(reach, failed_at=step, failure=escape_text(text)[:_FAILURE_MAX])


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
