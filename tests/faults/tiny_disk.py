"""A small file system that only one forked process sees: really full, or really read-only, and nobody else notices."""

import ctypes
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_PRIVATE_RECURSIVE = 0x40000 | 0x4000
_REMOUNT, _READ_ONLY = 0x20, 0x1
_CANNOT_MOUNT, _AS_EXPECTED = 77, 0


def on_tiny_disk(folder: Path, options: str, act: Callable[[], object]) -> None:
    """Run `act` in a fork that sees a tmpfs with these options at the folder; fail as it does, or skip without one."""
    told = folder.parent / "what-failed"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            spaces = _NEW_MOUNTS if os.geteuid() == 0 else _NEW_USER | _NEW_MOUNTS
            mounted = (
                libc.unshare(spaces) == 0
                and libc.mount(b"none", b"/", None, _PRIVATE_RECURSIVE, None) == 0
                and libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, options.encode()) == 0
            )
            if mounted:
                act()
            status = _AS_EXPECTED if mounted else _CANNOT_MOUNT
        except BaseException:  # noqa: BLE001  told by the parent, which the fork must not become
            told.write_text(traceback.format_exc())
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == _CANNOT_MOUNT:
        pytest.skip("this system lets nobody mount a file system of their own")
    assert status == _AS_EXPECTED, told.read_text() if told.exists() else status


def set_read_only(folder: Path, read_only: bool) -> None:
    """Remount the tiny disk; for `act` only."""
    flags = _REMOUNT | (_READ_ONLY if read_only else 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(None, os.fsencode(folder), None, flags, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
