"""Tells how far a connection to the source comes: name, route, trust.

Answers step by step (SOP clause IV): the name is resolved, a TCP connection opened, a TLS handshake made with the
authorities that the agent trusts. Nothing is requested from the source. The steps are tried by `source_probe`, a
process of its own that ends when time is up, so that the whole stays below 10 seconds; a captive portal shows as a
certificate that is not trusted.
"""

import os
import sys
import urllib.parse
from pathlib import Path
from typing import Any

from sopwith_agent.adapters.processes import escape_text, run_program
from sopwith_agent.domain.measurements import SourceReach
from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError

_PROBE = Path(__file__).with_name("source_probe.py")
_PROBE_SECONDS = 9.0
_FAILURE_MAX = 200
_PORTS = {"https": 443, "http": 80}


def source_reach(url: str, ca_file: Path | None) -> SourceReach | None:
    """Return how the steps went; None for an address that is none."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    port = parts.port or _PORTS[parts.scheme]
    found = _probed(parts.hostname, port, parts.scheme, ca_file)
    return SourceReach(
        f"{parts.hostname}:{port}",
        dns_milliseconds=found.get("dns_milliseconds"),
        tcp_milliseconds=found.get("tcp_milliseconds"),
        tls_milliseconds=found.get("tls_milliseconds"),
        failed_at=found.get("failed_at", ""),
        failure=escape_text(found.get("failure", ""))[:_FAILURE_MAX],
        proxy=_proxy(parts.scheme, parts.hostname),
    )


def _probed(host: str, port: int, scheme: str, ca_file: Path | None) -> dict[str, Any]:
    command = [sys.executable, "-I", "-S", str(_PROBE), host, str(port), scheme, str(ca_file or "")]
    finished = run_program(command, timeout_seconds=_PROBE_SECONDS, environment=_certificates(), raw_output=True)
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


def _proxy(scheme: str, name: str) -> str:
    """Return host:port of the environment's proxy for this address, without any password that stands in it."""
    if not any(variable.lower().endswith("_proxy") and value for variable, value in os.environ.items()):
        return ""  # asking the library would load its whole HTTP client into an agent at rest
    import urllib.request

    if urllib.request.proxy_bypass(name):
        return ""
    parts = urllib.parse.urlsplit(urllib.request.getproxies().get(scheme, ""))
    return escape_text(f"{parts.hostname}:{parts.port}") if parts.hostname else ""
