"""Which installer an artifact's name means; the one list of those that exist.

An unknown name is answered with None: the steps then skip the release as NOT_APPLICABLE.
"""

from collections.abc import Sequence

from sopwith_agent.adapters.installers.archive import ArchiveInstaller
from sopwith_agent.adapters.installers.deb import DebInstaller
from sopwith_agent.steps.installer_port import Installer


class InstallersByName:
    """The installers of this agent."""

    def __init__(self, installers: Sequence[Installer] | None = None) -> None:
        every = (ArchiveInstaller(), DebInstaller()) if installers is None else installers
        self._by_name = {installer.name: installer for installer in every}

    def by_name(self, name: str) -> Installer | None:
        """Return the installer of that name, or None."""
        return self._by_name.get(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of installers whose tools are on this computer."""
        return tuple(sorted(name for name, installer in self._by_name.items() if installer.available()))
