"""What the computer knows of itself: facts, and which releases are installed, read back each time."""

from collections.abc import Callable
from typing import Any

import structlog

from sopwith_agent.steps.ports import Register
from sopwith_agent.steps.sensor_port import Sensors
from sopwith_formats.manifest import Manifest

_log = structlog.get_logger()


class ComputerInventory:
    """Asks the sensors for facts and the installers for versions."""

    def __init__(self, sensors: Sensors, register: Register, installed_version: Callable[[Manifest], str]) -> None:
        self._sensors = sensors
        self._register = register
        self._installed_version = installed_version
        self.installed: dict[str, str] = {}
        """As it was read back last."""

    def take(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Return facts, and installed releases: name to version, those that are not there left out."""
        found: dict[str, str] = {}
        for manifest in self._register.manifests():
            try:
                version = self._installed_version(manifest)
            except Exception:  # noqa: BLE001  one release that cannot be asked hides no other
                _log.exception("version_read_back_failed", release=manifest.release)
                continue
            if version:
                found[manifest.name] = version
        self.installed = found
        return self._sensors.facts(), found
