"""dpkg, honouring the agent's `--root`: what is asked of it, how it is started, and what its complaints mean.

Decides the arguments and the environment of every call and reads the answers; when to install, refuse or roll back is
`deb`'s. Rules: never a question asked, never `--force-depends`, never another program's lock broken; the configuration
files that an administrator changed stay; nothing outside the root is written, dpkg's own log included. Without root
rights dpkg works only below a root of its own, where it is told not to insist on them.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from sopwith_agent.adapters.installers.archive_tree import make_folders
from sopwith_agent.adapters.installers.deb_control import FIELDS, Control, read_control
from sopwith_agent.adapters.package_lock import ADMIN_FOLDER
from sopwith_agent.adapters.processes import Finished, run_program
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_formats.durable import durable_write
from sopwith_formats.vocabulary import Symptom

ABSENT = "not-installed"
WHOLE = ("installed", "triggers-awaited", "triggers-pending")
_QUERY_SECONDS = 60
_OUTPUT_MAX = 64 * 2**20
_PLAIN = {"LC_ALL": "C"}
"""Complaints are recognised by their English words."""
_ENVIRONMENT = {
    **_PLAIN,
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "DPKG_FRONTEND_LOCKED": "1",
}
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{0,127}")
_COMPLAINTS = (
    (r"was locked by another process|unable to lock|lock.*(held|Resource temporarily)", Symptom.PACKAGE_LOCK_HELD),
    (r"No space left on device|Disk quota exceeded", Symptom.DISK_FULL),
    (r"dependency problems|pre-dependency problem|conflicting packages|breaks ", Symptom.DEPENDENCY_CONFLICT),
    (r"requires superuser privilege|Permission denied|Operation not permitted|Read-only", Symptom.PERMISSION_DENIED),
    (r"Text file busy", Symptom.FILE_OR_SERVICE_IN_USE),
    (r"dpkg was interrupted|parsing file '.*/(status|available|updates)", Symptom.PACKAGE_DATABASE_BROKEN),
)


@dataclass(frozen=True)
class PackageState:
    """One package as dpkg's database has it."""

    package: str
    version: str
    status: str
    """installed, unpacked, half-installed, config-files, not-installed, ..."""
    reinstall_required: bool = False
    held: bool = False
    """Somebody on the computer decided that it stays as it is (`apt-mark hold`)."""

    @property
    def whole(self) -> bool:
        """Tell whether it is installed and configured."""
        return self.status in WHOLE and not self.reinstall_required

    @property
    def present(self) -> bool:
        """Tell whether any of its files may be on the computer."""
        return self.status not in (ABSENT, "config-files")


def read_package(path: Path) -> Control:
    """Return the control fields of a .deb; refuse what is none."""
    finished = run_program(
        ["dpkg-deb", "--field", path, *FIELDS],
        timeout_seconds=_QUERY_SECONDS,
        environment=_PLAIN,
        output_max=2**20,
        raw_output=True,
    )
    fields = {}
    for line in re.sub(r"\n[ \t]", " ", finished.output).splitlines():
        key, colon, value = line.partition(":")
        if colon and key in FIELDS:
            fields[key] = value.strip()
    control = read_control(fields)
    if not finished.ok or not _PACKAGE.fullmatch(control.package) or not control.version or not control.architecture:
        raise TrustError(
            Symptom.CONTENT_REFUSED,
            f"{path.name} is no Debian package: {finished.line}",
            remedy="publish a release with a whole package",
        )
    return control


def running_below(root: Path) -> str:
    """Return the dpkg that was started for this root and still runs, empty where none does.

    Between its start and its first lock a dpkg whose agent was killed shows in no lock file.
    """
    for process in psutil.process_iter(["name", "cmdline"]):
        roots = [argument for argument in process.info["cmdline"] or [] if argument.startswith("--root=")]
        if process.info["name"] == "dpkg" and roots == _root_argument(root):
            return f"dpkg, process {process.pid}"
    return ""


def _root_argument(root: Path) -> list[str]:
    return [] if root == Path("/") else [f"--root={root}"]


class Dpkg:
    """dpkg below one root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._admin = root / ADMIN_FOLDER

    def ensure_database(self) -> None:
        """Make an empty database where a root of its own has none yet; the computer's own is never made."""
        if self._root == Path("/"):
            return
        make_folders(self._root / "var/log")
        for name in ("info", "updates", "triggers"):
            make_folders(self._admin / name)
        if not (self._admin / "status").exists():
            durable_write(self._admin / "status", b"", 0o644)

    def architectures(self) -> tuple[str, ...]:
        """Return what may be installed: the native architecture, added ones, and all."""
        native = run_program(["dpkg", "--print-architecture"], timeout_seconds=_QUERY_SECONDS).output
        try:
            added = (self._admin / "arch").read_text().split()
        except OSError:
            added = []
        return (native, *added, "all")

    def state(self, package: str) -> PackageState:
        """Return one package's state."""
        states = [state for state, _ in self._query(package)]
        whole = [state for state in states if state.whole]
        return next(iter(whole or states), PackageState(package, "", ABSENT))

    def installed(self) -> list[Control]:
        """Return every whole package."""
        return [control for state, control in self._query() if state.whole]

    def unfinished(self) -> list[str]:
        """Return the packages that an interrupted run left half-way, except those that only await a trigger."""
        return [state.package for state, _ in self._query() if state.present and not state.whole]

    def files(self, package: str) -> list[str]:
        """Return the absolute names of a package's files, as its list has them."""
        finished = self._ask("--listfiles", package)
        return [line for line in finished.output.splitlines() if line.startswith("/")]

    def configuration_files(self, package: str) -> list[str]:
        """Return the absolute names of its configuration files, obsolete ones left out."""
        finished = self._ask("--show", "--showformat=${Conffiles}\n", package)
        rows = [line.split() for line in finished.output.splitlines()]
        return [row[0] for row in rows if row and row[0].startswith("/") and "obsolete" not in row[2:]]

    def paragraph(self, package: str) -> str:
        """Return the package's paragraph of the status file."""
        return self._ask("--status", package).output

    def script_folder(self) -> Path:
        """Return where dpkg keeps the packages' own scripts."""
        return self._admin / "info"

    def run(self, arguments: Sequence[str | Path], timeout_seconds: float) -> Finished:
        """Run dpkg to change something."""
        force = ["--force-confdef", "--force-confold"]
        if os.geteuid() != 0:
            force.append("--force-not-root")
        command = ["dpkg", *self._root_arguments(), *force, *arguments]
        return run_program(command, timeout_seconds=timeout_seconds, environment=_ENVIRONMENT)

    def configure_interrupted(self, timeout_seconds: float) -> Finished:
        """Finish what an interrupted run left."""
        return self.run(["--configure", "--pending"], timeout_seconds)

    def _root_arguments(self) -> list[str]:
        log = [] if self._root == Path("/") else [f"--log={self._root / 'var/log/dpkg.log'}"]
        return [*_root_argument(self._root), *log]

    def _ask(self, *arguments: str) -> Finished:
        command = ["dpkg-query", f"--admindir={self._admin}", *arguments]
        return run_program(
            command, timeout_seconds=_QUERY_SECONDS, environment=_PLAIN, output_max=_OUTPUT_MAX, raw_output=True
        )

    def _query(self, *package: str) -> list[tuple[PackageState, Control]]:
        if not (self._admin / "status").exists():
            return []
        columns = (
            *("db:Status-Status", "db:Status-Eflag", "db:Status-Want"),
            *("Package", "Version", "Architecture", "Provides"),
        )
        shown = "--showformat=" + "\\t".join(f"${{{column}}}" for column in columns) + "\\n"
        finished = self._ask("--show", shown, *package)
        if not finished.ok and "no packages found" not in finished.output:
            raise StepError(
                Symptom.PACKAGE_DATABASE_BROKEN,
                f"dpkg cannot read its database: {finished.line}",
                remedy="mend /var/lib/dpkg/status, for example from /var/backups",
            )
        rows = [line.split("\t") for line in finished.output.splitlines()]
        return [
            (
                PackageState(name, version, status, flag == "reinstreq", want == "hold"),
                Control(name, version, arch, provides=provides),
            )
            for status, flag, want, name, version, arch, provides in (row for row in rows if len(row) == len(columns))
        ]


def complaint(finished: Finished, act: str) -> StepError:
    """Return the error that a failed change means; the computer may have been changed."""
    if finished.timed_out:
        return StepError(Symptom.TIMEOUT, f"{act} took too long: {finished.line}", changed=True)
    for pattern, symptom in _COMPLAINTS:
        if re.search(pattern, finished.output, re.IGNORECASE):
            return StepError(symptom, f"{act}: {finished.line}", changed=True)
    message = f"{act} ended with {finished.exit_code}: {finished.line}"
    return StepError(Symptom.INSTALLER_EXIT_NONZERO, message, changed=True)
