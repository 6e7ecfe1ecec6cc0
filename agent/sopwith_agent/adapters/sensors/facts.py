"""Tells what kind of computer this is: the inventory that audiences are selected by.

Values are JSON without floats and change rarely, so that a change is worth telling. Nothing here names a person. The
distribution is that of the agent's root where there is one, else the computer's own.
"""

import os
import platform
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.processes import escape_text
from sopwith_agent.domain.applicability import Platform
from sopwith_formats.version import VERSION

_TEXT_MAX = 200


def facts(root: Path, installers: Iterable[str]) -> dict[str, Any]:
    """Return the inventory."""
    release = _os_release(root)
    return {
        "os": platform.system().lower(),
        "distribution": release.get("ID", ""),
        "distribution_version": release.get("VERSION_ID", ""),
        "arch": platform.machine(),
        "kernel": platform.release(),
        "hostname": _short(socket.gethostname()),
        "cpu_model": _cpu_model(),
        "cpu_count": psutil.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total,
        "disk_bytes": psutil.disk_usage(str(root if root.exists() else "/")).total,
        "boot_id": boot_id(),
        "time_zone": _time_zone(),
        "utc_offset_seconds": time.localtime().tm_gmtoff,
        "python": platform.python_version(),
        "agent_version": VERSION,
        "installers": list(installers),
    }


def platform_here(root: Path) -> Platform:
    """Return what a manifest's `when` is compared with."""
    return Platform(platform.system().lower(), platform.machine(), _os_release(root).get("ID", ""))


def boot_id() -> str:
    """Return the kernel's boot id, empty where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _os_release(root: Path) -> dict[str, str]:
    for path in (below_root(root, "/etc/os-release"), below_root(root, "/usr/lib/os-release"), Path("/etc/os-release")):
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        pairs = (line.partition("=")[::2] for line in lines if not line.startswith("#"))
        return {key.strip(): _short(value.strip().strip("\"'")) for key, value in pairs if key.strip()}
    return {}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return _short(next(named, platform.processor()))


def _time_zone() -> str:
    configured = os.environ.get("TZ", "").lstrip(":")
    if configured:
        return _short(configured)
    _, found, name = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")
    return _short(name) if found else time.tzname[0]


def _short(text: str) -> str:
    return escape_text(text)[:_TEXT_MAX]
