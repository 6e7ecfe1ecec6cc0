"""Which programs each installer needs, and whether they are on this computer.

One table, asked without loading the installer. Programs are looked for where the agent starts them: on its own fixed
PATH, never on that of whoever started it.
"""

import shutil

from sopwith_agent.adapters.processes import PATH

NEEDED: dict[str, tuple[str, ...]] = {
    "archive": (),
    "deb": ("dpkg", "dpkg-deb", "dpkg-query"),
    "apt": ("dpkg", "dpkg-deb", "dpkg-query"),
    "rpm": ("rpm",),
    "wheel": ("python3",),
    "script": (),
    "agent": (),
}


def find(program: str) -> str:
    """Return where a program is, empty where it is not."""
    return shutil.which(program, path=PATH) or ""


def missing(installer: str) -> tuple[str, ...]:
    """Return the programs that an installer lacks here."""
    return tuple(program for program in NEEDED[installer] if not find(program))


def present(installer: str) -> bool:
    """Tell whether an installer has all that it needs."""
    return not missing(installer)
