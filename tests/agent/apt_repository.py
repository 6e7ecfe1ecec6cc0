"""A small apt repository, signed by a key of its own, and computers below a root that use it."""

import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.agent.packages import dpkg_below, make_database


class AptRepository:
    """A flat repository; `publish` adds packages and signs the index anew."""

    def __init__(self, folder: Path) -> None:
        """Lie in a folder that everybody may read: apt gives up its rights before it fetches."""
        keys = folder / "keys"
        folder.chmod(0o755)
        keys.mkdir(mode=0o700)
        self.folder, self._keys = folder / "repository", keys
        self.folder.mkdir()
        self.key = folder / "distribution.gpg"
        self._gpg("--batch", "--passphrase", "", "--quick-gen-key", "distribution@localhost", "ed25519", "sign")
        self._gpg("--output", str(self.key), "--export")

    def publish(self, *packages: Path, sign: bool = True) -> None:
        for package in packages:
            (self.folder / package.name).write_bytes(package.read_bytes())
        paragraphs = [self._paragraph(path) for path in sorted(self.folder.glob("*.deb"))]
        index = "\n".join(paragraphs).encode()
        (self.folder / "Packages").write_bytes(index)
        day = datetime.now(UTC)
        release = (
            f"Origin: Tests\nSuite: stable\nCodename: stable\nArchitectures: amd64 all\n"
            f"Date: {day:%a, %d %b %Y %H:%M:%S} UTC\n"
            f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
        )
        (self.folder / "Release").write_text(release)
        (self.folder / "InRelease").unlink(missing_ok=True)
        if sign:
            self._gpg("--output", str(self.folder / "InRelease"), "--clearsign", str(self.folder / "Release"))

    def apt_folder(self, where: Path, *, options: str = "") -> Path:
        """Write down this repository as a distribution's sources; return the folder, as /etc/apt is."""
        for name in ("apt.conf.d", "preferences.d", "sources.list.d", "trusted.gpg.d"):
            (where / name).mkdir(parents=True, exist_ok=True)
        line = f"deb [{options or f'signed-by={self.key}'}] file:{self.folder} ./\n"
        (where / "sources.list").write_text(line)
        return where

    def _paragraph(self, path: Path) -> str:
        fields = subprocess.run(["dpkg-deb", "--field", path], check=True, capture_output=True, text=True).stdout
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        return f"{fields.rstrip()}\nFilename: ./{path.name}\nSize: {len(data)}\nSHA256: {digest}\n"

    def _gpg(self, *arguments: str) -> None:
        subprocess.run(["gpg", "--homedir", self._keys, "--quiet", *arguments], check=True, capture_output=True)


@contextmanager
def apt_repository() -> Iterator[AptRepository]:
    """Give a repository; its key agent, which gpg starts by itself, is ended with it."""
    with tempfile.TemporaryDirectory(prefix="apt-", ignore_cleanup_errors=True) as folder:
        try:
            yield AptRepository(Path(folder))
        finally:
            command = ["gpgconf", "--homedir", f"{folder}/keys", "--kill", "all"]
            subprocess.run(command, check=False, capture_output=True)


def apt_computer(root: Path, repository: AptRepository, *installed: Path) -> Path:
    """Make a root whose packages dpkg keeps and whose apt has fetched its lists; return it."""
    make_database(root)
    (root / "var/lib/dpkg/arch").write_text("amd64\n")
    if installed:
        dpkg_below(root, "--install", *installed)
    repository.apt_folder(root / "etc/apt")
    fetch_lists(root)
    return root


def fetch_lists(root: Path) -> None:
    for name in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        (root / name).mkdir(parents=True, exist_ok=True)
    status = root / "var/lib/dpkg/status"
    command = ["apt-get", "-q", "-o", f"Dir={root}", "-o", f"Dir::State::status={status}", "update"]
    subprocess.run(command, check=True, capture_output=True)
