"""Paths below the agent's `--root`, resolved as that root would see them, without a chroot.

Decides which file on this computer an absolute path of a manifest means; what is done with the file is the caller's.
Rule: nothing leads above the root. An absolute link starts again at the root, `..` stops at it.
"""

import os
from collections import deque
from pathlib import Path

from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom

_LINKS_MAX = 40


def below_root(root: Path, path: str) -> Path:
    """Return where `path` lies below `root`, all links followed; what does not exist yet is taken as it is written."""
    waiting = deque(path.split("/"))
    found: list[str] = []
    links = 0
    while waiting:
        part = waiting.popleft()
        if part in ("", "."):
            continue
        if part == "..":
            del found[-1:]
            continue
        try:
            target = os.readlink(root.joinpath(*found, part))  # noqa: PTH115  the text as written decides
        except OSError:
            found.append(part)
            continue
        links += 1
        if links > _LINKS_MAX:
            raise StepError(
                Symptom.PERMISSION_DENIED, f"{path} leads through more than {_LINKS_MAX} links", remedy="mend the links"
            )
        if target.startswith("/"):
            found.clear()
        waiting.extendleft(reversed(target.split("/")))
    return root.joinpath(*found)
