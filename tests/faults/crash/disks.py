"""What a computer's disk forgets: nothing when only a process dies, all that was not flushed when the power goes.

`FolderDisk` is a folder that is copied back before each point. `ImageDisk` is an ext4 image on a loop device: the plug
is pulled by copying the image while it is mounted, without a sync, so that the copy holds what had really come to the
disk and nothing else; its journal is then replayed by mounting it, as at the next boot. Its mount options make it as
forgetful as the file system can be: nothing goes to the disk by itself, and no rename flushes a file on its own.
"""

import contextlib
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

_SIZE_BYTES = 24 * 2**20
_PIECE_BYTES = 2**18
_OPTIONS = "loop,noatime,commit=600,noauto_da_alloc"


class Disk(Protocol):
    """Holds one computer at one path."""

    path: Path

    def lay(self, fill: Callable[[], None]) -> None:
        """Begin with an empty disk, fill it, and keep it as the beginning of every point."""
        ...

    def begin(self) -> None:
        """Put the beginning back."""
        ...

    def cut(self) -> None:
        """Forget what a dying computer forgets."""
        ...


class FolderDisk:
    """A disk that forgets nothing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "computer"
        self._base = folder / "base"

    def lay(self, fill: Callable[[], None]) -> None:
        for folder in (self.path, self._base):
            shutil.rmtree(folder, ignore_errors=True)
        self.path.mkdir(parents=True)
        fill()
        shutil.copytree(self.path, self._base, symlinks=True)

    def begin(self) -> None:
        shutil.rmtree(self.path)
        shutil.copytree(self._base, self.path, symlinks=True)

    def cut(self) -> None:
        """A killed process takes nothing with it."""


class ImageDisk:
    """A disk that forgets whatever was not flushed; `loop_image` gives one."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "computer"
        self._base = folder / "base.img"
        self._now, self._next = folder / "now.img", folder / "next.img"
        self._mounted = False

    def lay(self, fill: Callable[[], None]) -> None:
        self.close()
        self.path.mkdir(parents=True, exist_ok=True)
        self._base.unlink(missing_ok=True)
        with self._base.open("wb") as file:
            file.truncate(_SIZE_BYTES)
        _command("mkfs.ext4", "-q", "-F", "-b", "1024", "-J", "size=4", "-E", "nodiscard", str(self._base))
        self._mount(self._base)
        fill()
        self.close()

    def begin(self) -> None:
        self.close()
        _copy_at_one_moment(self._base, self._now)
        self._mount(self._now)

    def cut(self) -> None:
        _copy_at_one_moment(self._now, self._next)
        self.close()
        self._now, self._next = self._next, self._now
        self._mount(self._now)

    def close(self) -> None:
        if self._mounted:
            _command("umount", str(self.path))
            self._mounted = False

    def _mount(self, image: Path) -> None:
        _command("mount", "-o", _OPTIONS, str(image), str(self.path))
        self._mounted = True


def loop_refusal(folder: Path) -> str:
    """Return why no image can be mounted here, empty text where one can."""
    if os.geteuid() != 0:
        return "mounting an image needs root"
    for program in ("mkfs.ext4", "mount", "umount", "losetup"):
        if shutil.which(program) is None:
            return f"the program {program} is not installed; `make system-tools` installs it"
    try:
        with loop_image(folder) as disk:
            disk.lay(lambda: None)
    except OSError as error:
        return f"this system lets nobody mount an image: {error}"
    return ""


@contextlib.contextmanager
def loop_image(folder: Path) -> Iterator[ImageDisk]:
    """Give a forgetful disk below a folder, unmounted at the end whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    disk = ImageDisk(folder)
    try:
        yield disk
    finally:
        with contextlib.suppress(OSError):
            disk.close()


def _command(*arguments: str) -> None:
    finished = subprocess.run(arguments, check=False, capture_output=True, text=True)
    if finished.returncode != 0:
        raise OSError(f"{arguments[0]}: {finished.stderr.strip()}")


def _copy_at_one_moment(source: Path, target: Path) -> None:
    """Copy an image that the system may still be writing to: what changed meanwhile is copied again.

    Every byte is read. Asking the file system where its holes are would miss what lies in its memory only.
    """
    target.unlink(missing_ok=True)
    with source.open("rb", buffering=0) as read, target.open("w+b", buffering=0) as written:
        written.truncate(_SIZE_BYTES)
        while _differing(read, written):
            pass


def _differing(read: io.FileIO, written: io.FileIO) -> int:
    """Bring one file up to the other; return how many pieces differed."""
    differing = 0
    for offset in range(0, _SIZE_BYTES, _PIECE_BYTES):
        piece = os.pread(read.fileno(), _PIECE_BYTES, offset)
        if piece != os.pread(written.fileno(), _PIECE_BYTES, offset):
            os.pwrite(written.fileno(), piece, offset)
            differing += 1
    return differing
