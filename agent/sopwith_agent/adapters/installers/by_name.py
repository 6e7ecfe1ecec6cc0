"""Which installer an artifact's name means: our own, and those that another maker's distribution brings.

Decides which names exist and which of them can work here; an unknown name is answered with None, and the steps skip the
release as NOT_APPLICABLE. Rules: an installer's module is loaded when a release first asks for it, so that an agent at
rest stays small; whether our own can work is told by the programs that it needs, without loading it. A third party's
installer is an entry point of the group `sopwith.installers` with a name of its own maker (`example.flatpak`): a plain
name is never taken from us. One that cannot be loaded is logged and counts as absent. docs/guides/installers.md is the
contract.
"""

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from sopwith_agent.adapters.installers.tools import present
from sopwith_agent.steps.installer_port import Installer
from sopwith_formats.manifest import OTHER_INSTALLER

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "sopwith.installers"

_log = structlog.get_logger()


def _archive() -> Installer:
    from sopwith_agent.adapters.installers.archive import ArchiveInstaller

    return ArchiveInstaller()


def _deb() -> Installer:
    from sopwith_agent.adapters.installers.deb import DebInstaller

    return DebInstaller()


def _rpm() -> Installer:
    from sopwith_agent.adapters.installers.rpm import RpmInstaller

    return RpmInstaller()


def _script() -> Installer:
    from sopwith_agent.adapters.installers.script import ScriptInstaller

    return ScriptInstaller()


def _wheel() -> Installer:
    from sopwith_agent.adapters.installers.wheel import WheelInstaller

    return WheelInstaller()


def _apt() -> Installer:
    from sopwith_agent.adapters.installers.apt import AptInstaller

    return AptInstaller()


def _agent() -> Installer:
    from sopwith_agent.adapters.installers.agent import AgentInstaller

    return AgentInstaller()


_OWN: dict[str, Callable[[], Installer]] = {
    "archive": _archive,
    "deb": _deb,
    "apt": _apt,
    "rpm": _rpm,
    "script": _script,
    "wheel": _wheel,
    "agent": _agent,
}


class InstallersByName:
    """The installers of this agent."""

    def __init__(
        self, installers: Sequence[Installer] | None = None, others: "Sequence[EntryPoint] | None" = None
    ) -> None:
        """Offer the given installers; by default our own and those of the entry points."""
        self._loaded = {installer.name: installer for installer in installers or ()}
        self._own: Mapping[str, Callable[[], Installer]] = _OWN if installers is None else {}
        if others is None:
            others = () if installers is not None else _entry_points()
        self._others = {point.name: point for point in others if OTHER_INSTALLER.fullmatch(point.name)}

    def by_name(self, name: str) -> Installer | None:
        """Return the installer of that name, or None."""
        if name not in self._loaded:
            installer = self._own[name]() if name in self._own else self._load(name)
            if installer is None:
                return None
            self._loaded[name] = installer
        return self._loaded[name]

    def names(self) -> tuple[str, ...]:
        """Return the names of installers whose tools are on this computer."""
        loaded = {name for name, installer in self._loaded.items() if installer.available()}
        others = {
            name for name in tuple(self._others) if (other := self.by_name(name)) is not None and other.available()
        }
        return tuple(sorted(loaded | others | {name for name in self._own if present(name)}))

    def _load(self, name: str) -> Installer | None:
        point = self._others.get(name)
        if point is None:
            return None
        try:
            installer: Installer = point.load()()
        except Exception:  # noqa: BLE001  another maker's code must not stop the agent
            _log.exception("installer_refused", installer=name, value=point.value)
            del self._others[name]
            return None
        if installer.name != name:
            _log.error("installer_refused", installer=name, value=point.value, says=installer.name)
            del self._others[name]
            return None
        return installer


def _entry_points() -> "tuple[EntryPoint, ...]":
    """Return the entry points of the group; most computers have none, and need not load the library that reads them."""
    if not any(_declares(Path(folder)) for folder in sys.path):
        return ()
    from importlib.metadata import entry_points

    return tuple(entry_points(group=GROUP))


def _declares(folder: Path) -> bool:
    """Tell whether a distribution in a folder of the module path speaks of the group."""
    for path in folder.glob("*-info/entry_points.txt"):
        with contextlib.suppress(OSError):
            if GROUP.encode() in path.read_bytes():
                return True
    return False
