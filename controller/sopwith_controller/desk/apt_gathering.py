"""Gathering a computer's pending operating-system updates into one release, each package in its exact version.

Decides which packages are fetched and how they are believed; which updates are pending was resolved by that computer's
own apt and stands in its facts. Rules: apt fetches them on this machine, from the distribution's sources and verified
by the distribution's keys, in folders of its own, so that nothing of this machine changes; sources that are trusted
without a signature are refused; an index that cannot be fetched or verified stops everything. Every package must then
say itself that it is what was asked for. Nothing is left behind when it fails.
"""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sopwith_controller.desk.errors import DeskError
from sopwith_formats.durable import durable_write
from sopwith_formats.manifest import ARTIFACTS_MAX
from sopwith_formats.release_document import RELEASE_FILE, read_release_document

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~:-]{0,127}")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_UNSIGNED = re.compile(
    r"^[^#\n]*(?:\[[^\]\n]*(?:trusted|allow-insecure)\s*=\s*yes|(?:trusted|allow-insecure):\s*yes)",
    re.IGNORECASE | re.MULTILINE,
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "i686": "i386"}
_UPDATE_SECONDS = 600
_DOWNLOAD_SECONDS = 3600


@dataclass(frozen=True)
class Update:
    """One package that waits."""

    package: str
    installed: str
    """Empty: it comes new, because another needs it."""
    candidate: str
    architecture: str

    @property
    def file(self) -> str:
        """Return its file's name in a release; the epoch is no part of a file's name."""
        return f"{self.package}_{self.candidate.rpartition(':')[2]}_{self.architecture}.deb"


@dataclass(frozen=True)
class Pending:
    """What waits on one computer, in the order in which its apt would install it."""

    computer: str
    distribution: str
    machine: str
    """As the kernel calls it: x86_64."""
    updates: tuple[Update, ...]


def read_pending(computer: str, facts: dict[str, Any]) -> Pending:
    """Return what a computer's facts say; raise DeskError where they say nothing, or not all."""
    if "apt_upgrades" not in facts:
        raise DeskError(
            f"{computer} tells of no apt updates",
            remedy="it needs apt with fetched lists (apt-get update), and an agent that was connected since",
        )
    found = facts["apt_upgrades"]
    if not found:
        raise DeskError(f"{computer} has no pending updates", remedy="run apt-get update there if it should have some")
    total = int(facts.get("apt_upgrades_total", len(found)))
    if total > len(found) or len(found) > ARTIFACTS_MAX:
        raise DeskError(
            f"{computer} has {total} pending updates and tells of {len(found)}",
            remedy="bring it nearer to its distribution first; a release holds no more",
        )
    updates = tuple(
        Update(str(item["package"]), str(item.get("installed", "")), str(item["candidate"]), str(item["arch"]))
        for item in found
    )
    for update in updates:
        fits = _PACKAGE.fullmatch(update.package) and _VERSION.fullmatch(update.candidate)
        if not fits or not _ARCHITECTURE.fullmatch(update.architecture):
            raise DeskError(f"{computer} tells of an update that no apt would: {update.package[:60]!r}")
    return Pending(computer, str(facts.get("distribution", "")), str(facts.get("arch", "")), updates)


def gather_updates(pending: Pending, out: Path, name: str, version: str, apt_folder: Path) -> Path:
    """Fetch the updates and write them with their `release.yaml` into a new folder; return the file's path."""
    if out.exists() and any(out.iterdir()):
        raise DeskError(f"{out} is not empty", remedy="name another folder with --out")
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise DeskError(f"{program} is needed to gather updates", remedy="gather on a Debian or Ubuntu machine")
    _refuse_unsigned_sources(apt_folder)
    version = version or f"{datetime.now(UTC):%Y.%m.%d}"
    data = release_text(pending, name, version).encode()
    read_release_document(data, str(out / RELEASE_FILE))
    with tempfile.TemporaryDirectory(prefix="sopwith-gather-") as folder:
        fetched = _fetch(pending, Path(folder), apt_folder)
        out.mkdir(parents=True, exist_ok=True)
        for update, path in zip(pending.updates, fetched, strict=True):
            durable_write(out / update.file, path.read_bytes())
    path = out / RELEASE_FILE
    durable_write(path, data)
    return path


def release_text(pending: Pending, name: str, version: str) -> str:
    """Return the release file of a set."""
    count = len(pending.updates)
    lines = [
        f"# The {count} pending updates of {pending.computer}, as its own apt resolved them, in its order.",
        f"release: {_quoted(name)}",
        f"version: {_quoted(version)}",
        f"summary: {_quoted(f'{count} operating-system updates, gathered like {pending.computer}')}",
        "reboot: if_needed",
        "artifacts:",
    ]
    distribution = f", distribution: [{_quoted(pending.distribution)}]" if pending.distribution else ""
    for update in pending.updates:
        lines += [
            f"  # {update.installed or 'not installed'} -> {update.candidate}",
            f"  - file: {_quoted(update.file)}",
            "    installer: apt",
            f"    when: {{os: linux, arch: [{_quoted(pending.machine)}]{distribution}}}",
            f"    options: {{package: {_quoted(update.package)}, version: {_quoted(update.candidate)}}}",
        ]
    return "\n".join(lines) + "\n"


def _fetch(pending: Pending, folder: Path, apt_folder: Path) -> list[Path]:
    for name in ("state/lists/partial", "cache/archives/partial", "packages"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "status").touch()
    own = _ARCHITECTURES.get(pending.machine, pending.machine)
    architectures = [own, *sorted({update.architecture for update in pending.updates} - {own, "all"})]
    options = {
        "Dir::Etc": apt_folder,
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "APT::Architecture": own,
        "APT::Architectures": ",".join(architectures),
        "APT::Update::Error-Mode": "any",
        "APT::Get::AllowUnauthenticated": "false",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::AllowWeakRepositories": "false",
        "Acquire::AllowDowngradeToInsecureRepositories": "false",
        "Acquire::Languages": "none",
    }
    given = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    _apt([*given, "update"], folder, _UPDATE_SECONDS, "the distribution's lists cannot be fetched and verified")
    wanted = [f"{update.package}:{update.architecture}={update.candidate}" for update in pending.updates]
    packages = folder / "packages"
    _apt([*given, "download", *wanted], packages, _DOWNLOAD_SECONDS, "the updates cannot be fetched and verified")
    found = {_says(path): path for path in sorted(packages.glob("*.deb"))}
    missing = [update for update in pending.updates if _key(update) not in found]
    if missing:
        raise DeskError(f"apt fetched no {missing[0].package} {missing[0].candidate}")
    return [found[_key(update)] for update in pending.updates]


def _apt(arguments: list[str], folder: Path, timeout_seconds: float, complaint: str) -> None:
    command = ["apt-get", "--quiet", "--quiet", *arguments]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DeskError(f"{complaint}: apt took longer than {timeout_seconds:.0f} s") from error
    if done.returncode:
        said = " ".join(line for line in done.stderr.splitlines() if line.startswith(("E:", "W:")))[:1500]
        remedy = (
            "look into the apt sources (--apt-folder); an update that is gone is told anew after apt-get update there"
        )
        raise DeskError(f"{complaint}: {said or done.returncode}", remedy=remedy)


def _says(path: Path) -> tuple[str, str, str]:
    command = ["dpkg-deb", "--show", "--showformat=${Package}\\n${Version}\\n${Architecture}\\n", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    words = done.stdout.splitlines()
    if done.returncode or len(words) != 3:  # noqa: PLR2004  the three fields above
        raise DeskError(f"{path.name} is no Debian package")
    return words[0], words[1], words[2]


def _key(update: Update) -> tuple[str, str, str]:
    return update.package, update.candidate, update.architecture


def _refuse_unsigned_sources(apt_folder: Path) -> None:
    for path in (apt_folder / "sources.list", *sorted((apt_folder / "sources.list.d").glob("*"))):
        if path.is_file() and _UNSIGNED.search(path.read_text(errors="replace")):
            raise DeskError(
                f"{path} trusts a source without its signature",
                remedy="sign that source, or gather with an --apt-folder that does not name it",
            )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
