"""Runs a release's own script, for what no other installer can bring: signed, bounded, believed when read back.

Decides what a script release must say, when its script counts as begun, ended and undone; how it is started, limited
and watched is `script_run`'s. The commit point is the script's start.

Rules: the first artifact is the script, the others lie beside it in its working folder; it is started by its own first
line or as a program, never by a shell of ours. The release says how the installed version is read back (`version_file`
or `version_exec`: the first word that begins with a digit); without that it is refused, because nobody could tell
whether it succeeded. `rollback` gives the arguments by which the same script undoes its work; without it there is no
way back, and that is what is said. Both must end well when they are run again. After a crash a script that still runs
is waited for; NEW is only what ended well and reads back as the release's version.
"""

import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.installers.kept_files import copy_staged, read_note, verified, write_note
from sopwith_agent.adapters.installers.os_failures import classified
from sopwith_agent.adapters.installers.script_run import Limits, ScriptRun
from sopwith_agent.adapters.processes import Finished, run_program
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.steps.installer_port import InstallWork, OnDisk, Refusal, WayBack
from sopwith_formats.durable import durable_move, make_private_folder
from sopwith_formats.manifest import VERSION, Artifact, Manifest
from sopwith_formats.vocabulary import Symptom

_OPTIONS = ("arguments", "rollback", "version_file", "version_exec", "memory_max")
_VERSION_WORD = re.compile(r"(?<!\S)[0-9][A-Za-z0-9.+~:_-]{0,127}(?!\S)")
_VERSION_FILE_MAX = 4096
_VERSION_SECONDS = 10
_PROGRAM_MAGIC = (b"#!", b"\x7fELF")
_POLL_SECONDS = 0.1


class ScriptInstaller:
    """The `script` installer."""

    name = "script"
    joins = True

    def available(self) -> bool:
        """Return True: a script brings what it needs, or says in its first line what that is."""
        return True

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        """Refuse options that make no sense, and scripts that nobody could read back."""
        fault = _fault(artifacts[0].options) or next((_fault_beside(other) for other in artifacts[1:]), "")
        if not fault:
            return None
        message = f"options of {artifacts[0].file}: {fault}"
        return Refusal(Symptom.CONTENT_REFUSED, message, "mend the release; docs/guides/releases.md shows one")

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        """Return the version as the release says it is to be read, empty where nothing of it is there."""
        with classified("reading the installed version"):
            return _read_back(artifacts[0].options, root)

    def prepare(self, work: InstallWork) -> WayBack:
        """Lay script and companions into a private folder, checked; nothing runs yet."""
        with classified("preparing the script"):
            now = self.installed_version(work.manifest, work.artifacts, work.root)
            if now != work.version_before:
                message = f"the installed version changed from {work.version_before!r} to {now!r} meanwhile"
                raise StepError(Symptom.VERSION_MISMATCH, message, remedy="retry; somebody else works on this computer")
            way_back = _way_back(work)
            if not way_back.possible and work.backup_required:
                remedy = "give the release options.rollback, or an SOP that needs no way back"
                raise StepError(Symptom.BACKUP_FAILED, way_back.detail, remedy=remedy)
            run = _run(work)
            run.forget()
            shutil.rmtree(run.folder, ignore_errors=True)
            make_private_folder(run.folder)
            for artifact in work.artifacts:
                path = run.folder / artifact.file
                durable_move(copy_staged(work.staged(artifact), _folder(work)), path)
            script = run.folder / work.artifacts[0].file
            _check_interpreter(script)
            script.chmod(0o700)
            write_note(work, self.name, {"before": work.version_before})
            return way_back

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        """Run the script to its end."""
        run = _run(work)
        if read_note(work, self.name) is None:
            raise StepError(Symptom.BACKUP_FAILED, "the install was not prepared", remedy="prepare the install again")
        if run.ended_well("install") and self._reads(work) == work.manifest.version:
            return  # ran before a crash; committing again would count twice
        with classified("reading the kept script"):
            for artifact in work.artifacts:
                verified(run.folder / artifact.file, artifact.sha256)
        on_commit()
        finished = run.start("install", work, _words(work, "arguments"))
        if not finished.ok:
            raise _complaint(finished, f"the script of {work.manifest.release}")

    def roll_back(self, work: InstallWork) -> None:
        """Run the script with its rollback arguments, and read the version back."""
        run = _run(work)
        _wait(run, time.monotonic() + work.timeout_seconds)
        if read_note(work, self.name) is None or not run.begun("install"):
            return  # never committed
        if run.ended_well("rollback") and self._reads(work) == work.version_before:
            return
        if "rollback" not in work.artifacts[0].options:
            message = f"the script of {work.manifest.release} has no rollback; a person has to undo what it did"
            raise StepError(Symptom.ROLLBACK_FAILED, message, changed=True)
        with classified("reading the kept script", changed=True):
            for artifact in work.artifacts:
                verified(run.folder / artifact.file, artifact.sha256)
        finished = run.start("rollback", work, _words(work, "rollback"))
        if not finished.ok:
            failed = _complaint(finished, "its rollback")
            message = f"rolling back {work.manifest.release}: {failed.message}"
            raise StepError(Symptom.ROLLBACK_FAILED, message, changed=True)
        if (now := self._reads(work)) != work.version_before:
            message = f"after its rollback {work.manifest.release} reads back as {now or 'nothing'}"
            raise StepError(Symptom.ROLLBACK_FAILED, message, changed=True)

    def recover(self, work: InstallWork) -> OnDisk:
        """Wait for a script that still runs; then tell what ended well and what reads back."""
        run = _run(work)
        _wait(run, time.monotonic() + work.timeout_seconds)
        if read_note(work, self.name) is None or not run.begun("install"):
            return OnDisk.OLD
        now = self._reads(work)
        if run.begun("rollback"):
            return OnDisk.OLD if run.ended_well("rollback") and now == work.version_before else OnDisk.BROKEN
        return OnDisk.NEW if run.ended_well("install") and now == work.manifest.version else OnDisk.BROKEN

    def _reads(self, work: InstallWork) -> str:
        return self.installed_version(work.manifest, work.artifacts, work.root)


def _fault(options: dict[str, Any]) -> str:
    unknown = sorted(options.keys() - set(_OPTIONS))
    if unknown:
        return f"unknown {', '.join(unknown)}; allowed are {', '.join(_OPTIONS)}"
    ways = [key for key in ("version_file", "version_exec") if options.get(key)]
    if len(ways) != 1:
        return "needs exactly one of version_file and version_exec, so that the installed version can be read back"
    for key in ("arguments", "rollback", "version_exec"):
        words = options.get(key, [])
        if not isinstance(words, list) or not all(isinstance(word, str) and "\0" not in word for word in words):
            return f"{key} must be a list of words"
    place = options.get("version_file") or options["version_exec"][0]
    if not isinstance(place, str) or not place.startswith("/") or ".." in place.split("/") or "\0" in place:
        return f"{ways[0]} must begin with an absolute path without .."
    memory = options.get("memory_max", 1)
    return "" if type(memory) is int and memory > 0 else "memory_max must be a number of bytes"


def _fault_beside(artifact: Artifact) -> str:
    return f"{artifact.file} lies beside the script and has options of its own" if artifact.options else ""


def _read_back(options: dict[str, Any], root: Path) -> str:
    if "version_file" in options:
        try:
            with below_root(root, options["version_file"]).open("rb") as file:
                text = file.read(_VERSION_FILE_MAX).decode(errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return ""
    else:
        program, *arguments = options["version_exec"]
        path = below_root(root, program)
        if not path.is_file():
            return ""
        finished = run_program([path, *arguments], timeout_seconds=_VERSION_SECONDS, end_children=True)
        if not finished.ok:
            return ""
        text = finished.output
    word = _VERSION_WORD.search(text)
    return word[0] if word and VERSION.fullmatch(word[0]) else ""


def _way_back(work: InstallWork) -> WayBack:
    if "rollback" in work.artifacts[0].options:
        return WayBack("kept", "the script undoes its own work")
    return WayBack("none", f"the script of {work.manifest.release} has no rollback")


def _check_interpreter(script: Path) -> None:
    with script.open("rb") as file:
        first = file.readline(256)
    if not first.startswith(_PROGRAM_MAGIC):
        message = f"{script.name} is no program and no script with an interpreter in its first line"
        raise TrustError(Symptom.CONTENT_REFUSED, message, remedy="begin it with, for example, #!/bin/sh")
    words = first[2:].decode(errors="replace").split() if first.startswith(b"#!") else []
    interpreter = words[0] if words else ""
    if first.startswith(b"#!") and not os.access(interpreter, os.X_OK):
        message = f"{script.name} wants {interpreter or 'nothing'}, which is not on this computer"
        raise StepError(Symptom.NOT_APPLICABLE, message, remedy="install it first, or give the artifact a `when`")


def _words(work: InstallWork, key: str) -> list[str]:
    return list(work.artifacts[0].options.get(key, []))


def _run(work: InstallWork) -> ScriptRun:
    options = work.artifacts[0].options
    limits = Limits(options.get("memory_max", 0), work.timeout_seconds)
    return ScriptRun(_folder(work) / work.manifest.name, work.artifacts[0].file, limits)


def _folder(work: InstallWork) -> Path:
    return work.kept / ScriptInstaller.name


def _wait(run: ScriptRun, deadline: float) -> None:
    while pid := run.running():
        if time.monotonic() > deadline:
            message = f"the script still runs as process {pid}"
            raise StepError(Symptom.TIMEOUT, message, remedy="look what it waits for", changed=True)
        time.sleep(_POLL_SECONDS)


def _complaint(finished: Finished, what: str) -> StepError:
    if finished.timed_out:
        return StepError(Symptom.TIMEOUT, f"{what} took too long: {finished.line}", changed=True)
    message = f"{what} ended with {finished.exit_code}: {finished.line}"
    return StepError(Symptom.INSTALLER_EXIT_NONZERO, message, changed=True)
