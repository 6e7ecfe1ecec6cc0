"""Tells how far a connection to the source comes: name, route, trust.

Answers step by step (SOP clause IV): the name is resolved, a TCP connection opened, a TLS handshake made with the
authorities that the agent trusts. Where a proxy leads to the source, the first two steps are its, and it is asked for
a tunnel. Nothing is requested from the source. The steps are tried by `source_probe`, a
process of its own that ends when time is up, so that the whole stays below 10 seconds; a captive portal shows as a
certificate that is not trusted, and is named.
"""

import os
import sys
import urllib.parse
from dataclasses import replace
from pathlib import Path
from typing import Any

from sopwith_agent.adapters.processes import escape_text, run_program
from sopwith_agent.adapters.proxies import Proxy, ProxyChoice
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.measurements import SourceReach
from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError

_PROBE = Path(__file__).with_name("source_probe.py")
_PROBE_SECONDS = 9.0
_FAILURE_MAX = 200
_PORTS = {"https": 443, "http": 80}


def source_reach(url: str, ca_file: Path | None, proxies: ProxyChoice | None = None) -> SourceReach | None:
    """Return how the steps went; None for an address that is none."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    port = parts.port or _PORTS[parts.scheme]
    reach = SourceReach(f"{parts.hostname}:{port}")
    try:
        proxy = (proxies or ProxyChoice()).proxy_for(parts.hostname) if parts.scheme == "https" else None
    except StepError as error:
        return replace(reach, failed_at="proxy", failure=escape_text(error.message)[:_FAILURE_MAX])
    found = _probed([parts.hostname, str(port), parts.scheme, str(ca_file or "")], proxy)
    return replace(
        reach,
        dns_milliseconds=found.get("dns_milliseconds"),
        tcp_milliseconds=found.get("tcp_milliseconds"),
        tls_milliseconds=found.get("tls_milliseconds"),
        failed_at=found.get("failed_at", ""),
        failure=escape_text(found.get("failure", ""))[:_FAILURE_MAX],
        proxy=escape_text(str(proxy)) if proxy else "",
    )


def _probed(arguments: list[str], proxy: Proxy | None) -> dict[str, Any]:
    command = [sys.executable, "-I", "-S", str(_PROBE), *arguments]
    environment = _certificates()
    if proxy:
        command += [proxy.host, str(proxy.port)]
        # Other users of the computer can read a command line, but not this.
        environment["SOPWITH_PROXY_HEADERS"] = "".join(f"{key}: {value}\r\n" for key, value in proxy.headers.items())
    finished = run_program(command, timeout_seconds=_PROBE_SECONDS, environment=environment, raw_output=True)
    try:
        document = canonical_json.decode(finished.output.encode())
    except FormatError:
        document = None
    if isinstance(document, dict):
        return document
    return {"failed_at": "dns", "failure": f"the probe ended with {finished.exit_code}: {finished.line}"}


def _certificates() -> dict[str, str]:
    """Return where the environment says that the system's authorities lie: a private interpreter knows no other way."""
    return {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
