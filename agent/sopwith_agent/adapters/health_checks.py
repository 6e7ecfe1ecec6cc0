"""Asks a release's health checks: programs, addresses and services, until all held for the release's `settle` time.

Decides how each kind is asked and how long a failure may last; what an unhealthy release leads to is the steps'.

Rules: a check may fail until `within` has passed since the watch began, never afterwards; one that passed and fails
again while the release settles counts at once. A program runs without a shell in a clean environment, its absolute
first element taken below the root, working directory the root; everything it started ends with it. An address is asked
once per round without following redirects, by the computer itself and never through a proxy; any status from 200 to 299
passes. A service must be active in systemd; where there is no systemd the check fails and says so.
"""

import shutil
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.processes import PATH, escape_text, run_program
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.health_port import HealthContext, HealthFailure, HealthReport
from sopwith_formats.manifest import HealthCheck, Manifest

_ROUND_SECONDS = 0.5
_BODY_MAX = 64 * 2**10
_SHOWN_MAX = 400
_RUNNING_SYSTEMD = Path("/run/systemd/system")


class HealthChecks:
    """The real checks; time comes from outside so that tests need not wait."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        running_systemd: Path = _RUNNING_SYSTEMD,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._running_systemd = running_systemd

    def watch(
        self, manifest: Manifest, context: HealthContext, cancelled: Callable[[], bool] = lambda: False
    ) -> HealthReport:
        """Ask in rounds until all passed, then on until they held for `settle`."""
        began = self._monotonic()
        passed: set[int] = set()
        healthy_since: float | None = None
        rounds = 0
        while True:
            rounds += 1
            failures = self._ask_all(manifest, context)
            passed |= set(range(len(manifest.health_checks))) - {failure.index for failure in failures}
            now = self._monotonic()
            final = tuple(f for f in failures if f.index in passed or now - began >= _within(manifest, f.index))
            if final:
                return HealthReport(final, rounds)
            if failures:
                healthy_since = None
            else:
                healthy_since = now if healthy_since is None else healthy_since
                if now - healthy_since >= manifest.settle_seconds:
                    return HealthReport((), rounds)
            if cancelled():
                return HealthReport(tuple(failures), rounds, cancelled=True)
            self._sleep(_ROUND_SECONDS)

    def _ask_all(self, manifest: Manifest, context: HealthContext) -> list[HealthFailure]:
        found = []
        for index, check in enumerate(manifest.health_checks):
            message = self._ask(check, manifest, context)
            if message:
                found.append(HealthFailure(index, describe(check), message))
        return found

    def _ask(self, check: HealthCheck, manifest: Manifest, context: HealthContext) -> str:
        """Return what is wrong, empty when the check passed."""
        if check.exec:
            return _ask_program(check, manifest, context)
        if check.http:
            return _ask_address(check)
        return self._ask_service(check, context)

    def _ask_service(self, check: HealthCheck, context: HealthContext) -> str:
        if context.root != Path("/"):
            return f"the service {check.service} belongs to a root that systemd does not run ({context.root})"
        if shutil.which("systemctl", path=PATH) is None or not self._running_systemd.is_dir():
            return f"systemd does not run on this computer, so {check.service} cannot be asked"
        command = ["systemctl", "is-active", "--", check.service]
        finished = run_program(command, timeout_seconds=check.timeout_seconds)
        return "" if finished.ok else f"the service {check.service} is {finished.line or 'not active'}"


def describe(check: HealthCheck) -> str:
    """Return a check in the words of the manifest, short and harmless."""
    kind, value = next(
        (kind, value)
        for kind, value in (("exec", " ".join(check.exec)), ("http", check.http), ("service", check.service))
        if value
    )
    return escape_text(f"{kind} {value}")[:200]


def _within(manifest: Manifest, index: int) -> int:
    return manifest.health_checks[index].within_seconds


def _ask_program(check: HealthCheck, manifest: Manifest, context: HealthContext) -> str:
    program = check.exec[0]
    if program.startswith("/"):
        program = str(below_root(context.root, program))
    environment = {
        "SOPWITH_ROOT": str(context.root),
        "SOPWITH_COMPUTER": context.computer_name,
        "SOPWITH_RELEASE": manifest.name,
        "SOPWITH_VERSION": manifest.version,
        "SOPWITH_STEP": context.step,
    }
    try:
        finished = run_program(
            [program, *check.exec[1:]],
            timeout_seconds=check.timeout_seconds,
            environment=environment,
            folder=context.root,
            end_children=True,
            raw_output=True,
        )
    except StepError as error:
        return error.message
    if finished.timed_out:
        return f"did not end within {check.timeout_seconds} s{_output(finished.line)}"
    if finished.exit_code != 0:
        return f"ended with {finished.exit_code}{_output(finished.line)}"
    if check.expect not in finished.output:
        return f"did not write {escape_text(check.expect)!r}{_output(finished.line)}"
    return ""


def _ask_address(check: HealthCheck) -> str:
    import http.client

    try:
        parts = urllib.parse.urlsplit(check.http)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return "is no http or https address"
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname, parts.port, timeout=check.timeout_seconds)
        try:
            path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
            connection.request("GET", path, headers={"User-Agent": "sopwith-agent", "Connection": "close"})
            response = connection.getresponse()
            body = response.read(_BODY_MAX).decode(errors="replace")
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"does not answer: {escape_text(str(error)) or type(error).__name__}"
    if not http.HTTPStatus.OK <= response.status < http.HTTPStatus.MULTIPLE_CHOICES:
        return f"answers {response.status}{_output(escape_text(body))}"
    if check.expect not in body:
        return f"answers without {escape_text(check.expect)!r}{_output(escape_text(body))}"
    return ""


def _output(line: str) -> str:
    return f": {line[-_SHOWN_MAX:]}" if line else ""
