"""rpm, honouring the agent's `--root`: what is asked of it, how it is started, and what its complaints mean.

Decides the arguments of every call and reads the answers; when to install, refuse or roll back is `rpm`'s. Rules: the
database is the one below the root, named at every call, since rpm's own idea of it differs between distributions; an
absent database is asked nothing, because asking would make one; never `--nodeps` or `--force`. Who may publish is told
by the source's signatures, so rpm checks digests only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.package_lock import rpm_database
from sopwith_agent.adapters.processes import Finished, run_program
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_formats.vocabulary import Symptom

_QUERY_SECONDS = 60
_OUTPUT_MAX = 16 * 2**20
_ENVIRONMENT = {"LC_ALL": "C"}
_FIELDS = "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\n"
_UNFINISHED = re.compile(r"(.+);[0-9a-f]{8}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}")
_COMPLAINTS = (
    (r"transaction lock|Resource temporarily unavailable", Symptom.PACKAGE_LOCK_HELD),
    (r"No space left on device|Disk quota exceeded|installing package .* needs \S+ .*filesystem", Symptom.DISK_FULL),
    (r"intended for a different (architecture|operating system)", Symptom.NOT_APPLICABLE),
    (r"Failed dependencies|conflicts with|is obsoleted by|is needed by", Symptom.DEPENDENCY_CONFLICT),
    (r"Text file busy", Symptom.FILE_OR_SERVICE_IN_USE),
    (r"Permission denied|Operation not permitted|Read-only", Symptom.PERMISSION_DENIED),
    (r"cannot open .*(database|Packages)|database disk image is malformed|rpmdb: ", Symptom.PACKAGE_DATABASE_BROKEN),
)
_VERIFY = ("--nodeps", "--noscripts", "--nomtime", "--nomode", "--nouser", "--nogroup", "--nordev", "--nocaps")


@dataclass(frozen=True)
class Rpm:
    """One package as its header says."""

    name: str
    version: str
    """With its release, and its epoch where it has one: 2:1.4-3."""
    architecture: str

    @property
    def file_name(self) -> str:
        """Return the name of its kept copy."""
        return f"{self.name}-{self.version.replace(':', '%3a')}.{self.architecture}.rpm"


def read_package(path: Path) -> Rpm:
    """Return what an rpm says about itself, its digests checked; refuse what is none."""
    finished = _run(["-qp", "--nosignature", "--queryformat", _FIELDS, path], _QUERY_SECONDS, raw=True)
    found = [rpm for rpm in map(_row, finished.output.splitlines()) if rpm]
    if not finished.ok or len(found) != 1 or not _NAME.fullmatch(found[0].name):
        raise TrustError(
            Symptom.CONTENT_REFUSED,
            f"{path.name} is no rpm package: {finished.line}",
            remedy="publish a release with a whole package",
        )
    return found[0]


class RpmTool:
    """rpm below one root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._database = rpm_database(root)

    @property
    def exists(self) -> bool:
        """Tell whether there is a database below the root."""
        return self._database is not None

    def installed(self, name: str) -> list[Rpm]:
        """Return every installed package of that name; more than one only where it is kept side by side."""
        if self._database is None:
            return []
        finished = self._ask("-q", "--queryformat", _FIELDS, name)
        if finished.exit_code and "is not installed" in finished.output:
            return []
        if not finished.ok:
            raise StepError(
                Symptom.PACKAGE_DATABASE_BROKEN,
                f"rpm cannot read its database: {finished.line}",
                remedy="run `rpm --rebuilddb` on the computer, then retry",
            )
        return [rpm for rpm in map(_row, finished.output.splitlines()) if rpm]

    def damage(self, name: str) -> str:
        """Return what is missing or changed of an installed package's files, configuration files left out."""
        finished = self._ask("-V", *_VERIFY, name)
        lines = [line.strip() for line in finished.output.splitlines()]
        changed = [line for line in lines if re.match(r"(missing|[S.?]..?[5.?])", line) and not _is_configuration(line)]
        return "; ".join(changed[:5])

    def rehearse(self, files: Sequence[Path], scratch: Path, timeout_seconds: float) -> Finished:
        """Let rpm say whether the packages could be installed; nothing changes.

        Where there is no database yet the question is asked below `scratch`, so that none is made by asking.
        """
        root, database = (self._root, self._database) if self._database else (scratch, "/var/lib/rpm")
        where: list[str | Path] = ["--root", root, "--dbpath", database]
        return _run([*where, "-U", "--oldpackage", "--test", "--nosignature", *files], timeout_seconds)

    def sweep_unfinished(self, packages: Sequence[Path]) -> None:
        """Remove what a killed rpm left beside the files of these packages; call it only while no rpm runs.

        rpm writes NAME;TIME first, with the second of its start in hexadecimal: another rpm of that second, or one
        after the clock was set back, would stumble over it, and nobody else ever removes it.
        """
        listed = _run(["-qp", "--nosignature", "-l", *packages], _QUERY_SECONDS, raw=True)
        names: dict[str, set[str]] = {}
        for line in listed.output.splitlines():
            folder, slash, name = line.rpartition("/")
            if slash and line.startswith("/"):
                names.setdefault(folder, set()).add(name)
        for folder, wanted in names.items():
            place = below_root(self._root, folder)
            if place.is_dir():
                for path in list(place.iterdir()):
                    found = _UNFINISHED.fullmatch(path.name)
                    if found and found[1] in wanted and (path.is_symlink() or path.is_file()):
                        path.unlink()

    def change(self, arguments: Sequence[str | Path], timeout_seconds: float) -> Finished:
        """Run rpm to change something."""
        return _run([*self._where(), "--nosignature", *arguments], timeout_seconds)

    def _where(self) -> list[str | Path]:
        return ["--root", self._root, "--dbpath", self._database or "/var/lib/rpm"]

    def _ask(self, *arguments: str) -> Finished:
        return _run([*self._where(), *arguments], _QUERY_SECONDS, raw=True)


def running_below(root: Path) -> str:
    """Return the rpm that was started for this root and still runs, empty where none does."""
    for process in psutil.process_iter(["name", "cmdline"]):
        arguments = process.info["cmdline"] or []
        if process.info["name"] == "rpm" and str(root) in arguments and ("-U" in arguments or "-e" in arguments):
            return f"rpm, process {process.pid}"
    return ""


def complaint(finished: Finished, act: str, *, changed: bool) -> StepError:
    """Return the error that a failure means."""
    if finished.timed_out:
        return StepError(Symptom.TIMEOUT, f"{act} took too long: {finished.line}", changed=changed)
    for pattern, symptom in _COMPLAINTS:
        if re.search(pattern, finished.output, re.IGNORECASE):
            return StepError(symptom, f"{act}: {finished.line}", changed=changed)
    message = f"{act} ended with {finished.exit_code}: {finished.line}"
    return StepError(Symptom.INSTALLER_EXIT_NONZERO, message, changed=changed)


def _row(line: str) -> Rpm | None:
    columns = line.split("\t")
    if len(columns) != 5:  # noqa: PLR2004  the columns of _FIELDS
        return None
    name, epoch, version, release, architecture = columns
    return Rpm(name, f"{'' if epoch == '0' else epoch + ':'}{version}-{release}", architecture)


def _is_configuration(line: str) -> bool:
    return bool(re.match(r"\S+\s+c\s+/", line))


def _run(arguments: Sequence[str | Path], timeout_seconds: float, *, raw: bool = False) -> Finished:
    return run_program(
        ["rpm", *arguments],
        timeout_seconds=timeout_seconds,
        environment=_ENVIRONMENT,
        output_max=_OUTPUT_MAX if raw else 8 * 2**10,
        raw_output=raw,
    )
