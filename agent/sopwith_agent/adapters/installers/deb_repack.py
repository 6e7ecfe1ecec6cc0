"""A package put together again from what is installed, for the way back where no copy of it can be had.

Decides what goes into the copy: the files on dpkg's list as they are on the disk, the package's own scripts and lists
from dpkg's folder, and its control paragraph. Rules: a name below which others are listed is a folder of the package,
also where the computer made a link of it (/bin); files that another package diverted are taken under their true
name; documentation that is missing, as configuration may leave it out, is counted, and any other missing file means
that there is no copy; nothing is changed but the copy. Without root rights the owners of files cannot be kept and
become root.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

from sopwith_agent.adapters.installers.dpkg_tool import Dpkg, PackageState
from sopwith_agent.adapters.installers.os_failures import classified
from sopwith_agent.adapters.processes import run_program
from sopwith_agent.domain.errors import StepError
from sopwith_formats.durable import durable_move
from sopwith_formats.vocabulary import Symptom

_NOT_CONTROL = ("Status", "Conffiles", "Config-Version", "Triggers-Pending", "Triggers-Awaited")
_MAY_BE_MISSING = ("/usr/share/", "/usr/lib/locale/")
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
_LISTS = ("templates", "triggers", "shlibs", "symbols")


def repack(dpkg: Dpkg, root: Path, state: PackageState, target: Path, timeout_seconds: float) -> int:
    """Write the installed package as a .deb to `target`; return how many listed files are missing in it."""
    with classified(f"packing {state.package} {state.version} again"):
        folder = Path(tempfile.mkdtemp(prefix="repack-", dir=target.parent))
        try:
            tree = folder / "tree"
            missing = _copy_files(dpkg, root, state.package, tree)
            _write_control(dpkg, state.package, tree / "DEBIAN")
            packed = folder / target.name
            owner = [] if os.geteuid() == 0 else ["--root-owner-group"]
            finished = run_program(
                ["dpkg-deb", *owner, "-Znone", "--build", tree, packed], timeout_seconds=timeout_seconds
            )
            if not finished.ok:
                raise StepError(Symptom.BACKUP_FAILED, f"packing {state.package} again failed: {finished.line}")
            packed.chmod(0o600)
            durable_move(packed, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return missing


def _copy_files(dpkg: Dpkg, root: Path, package: str, tree: Path) -> int:
    tree.mkdir(mode=0o755)
    tree.chmod(0o755)
    missing = 0
    diverted = _diversions(dpkg, package)
    names = [name for name in dpkg.files(package) if name.strip("/.")]
    folders = {name.rpartition("/")[0] for name in names}
    for name in names:
        source, target = root / diverted.get(name, name).lstrip("/"), tree / name.lstrip("/")
        if not os.path.lexists(source):
            if not name.startswith(_MAY_BE_MISSING):
                raise StepError(Symptom.BACKUP_FAILED, f"{name} of {package} is gone from this computer")
            missing += 1
        elif name in folders or (source.is_dir() and not source.is_symlink()):
            target.mkdir(parents=True, exist_ok=True)
            _copy_owner_and_mode(source.stat(), target)
        elif source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
            _copy_owner_and_mode(source.lstat(), target)
        else:
            raise StepError(Symptom.BACKUP_FAILED, f"{name} of {package} is a device or the like")
    return missing


def _copy_owner_and_mode(facts: os.stat_result, target: Path) -> None:
    if os.geteuid() == 0:
        os.chown(target, facts.st_uid, facts.st_gid, follow_symlinks=False)
    if not target.is_symlink():
        target.chmod(facts.st_mode & 0o7777)


def _write_control(dpkg: Dpkg, package: str, folder: Path) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    control = _without(dpkg.paragraph(package), _NOT_CONTROL)
    (folder / "control").write_text(control.rstrip("\n") + "\n")
    configuration = [name for name in dpkg.configuration_files(package) if (folder.parent / name.lstrip("/")).is_file()]
    if configuration:
        (folder / "conffiles").write_text("".join(f"{name}\n" for name in configuration))
    for name, mode in [*((name, 0o755) for name in _SCRIPTS), *((name, 0o644) for name in _LISTS)]:
        source = _info_file(dpkg, package, name)
        if source is not None:
            shutil.copyfile(source, folder / name)
            (folder / name).chmod(mode)


def _info_file(dpkg: Dpkg, package: str, name: str) -> Path | None:
    folder = dpkg.script_folder()
    return next(
        (path for path in (folder / f"{package}.{name}", *folder.glob(f"{package}:*.{name}")) if path.is_file()), None
    )


def _without(paragraph: str, fields: tuple[str, ...]) -> str:
    pattern = "|".join(fields)
    return re.sub(rf"^(?:{pattern}):.*\n(?:[ \t].*\n)*", "", paragraph.rstrip("\n") + "\n", flags=re.MULTILINE)


def _diversions(dpkg: Dpkg, package: str) -> dict[str, str]:
    """Return where files lie that other packages diverted: three lines each, from, to, by whom."""
    try:
        lines = (dpkg.script_folder().parent / "diversions").read_text().splitlines()
    except OSError:
        return {}
    triples = zip(lines[0::3], lines[1::3], lines[2::3], strict=False)
    return {name: moved for name, moved, owner in triples if owner != package}
