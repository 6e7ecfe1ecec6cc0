r"""The release file that people write: YAML in, `Manifest` out, every fault named with its line.

Decides how a release is written (contract: "Release manifest") and takes size and digest of the files beside it; what
the values mean is the agent's. Rules: strict keys; sizes and durations carry their units; `release`, `version` and
`expect` are read as written text, whatever YAML would make of them; a program is a list of words, never a shell line.

>>> text = b"release: hello\nversion: 2.10\nartifacts: [{file: hello.deb, installer: deb}]\n"
>>> read_release_document(text).version
'2.10'
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sopwith_formats import manifest as signed
from sopwith_formats import reboot_only
from sopwith_formats.document_values import AlsoWritten, Duration, Size, Text, Word
from sopwith_formats.documents import Document, StrictModel, read_model
from sopwith_formats.errors import FormatError
from sopwith_formats.problems import DocumentError, Problem
from sopwith_formats.release_options import OPTION_TEXT_KEYS, OptionsPart

RELEASE_FILE = "release.yaml"
TEXT_KEYS = frozenset(
    {
        "release",
        "version",
        "summary",
        "artifacts[].file",
        "artifacts[].when.os",
        "artifacts[].when.arch",
        "artifacts[].when.distribution",
        "artifacts[].when.os[]",
        "artifacts[].when.arch[]",
        "artifacts[].when.distribution[]",
        "references[]",
        "requires.from",
        "blocks.processes[]",
        "health_checks[].exec[]",
        "health_checks[].expect",
        "health_checks[].service",
        "drain[].exec[]",
        "undrain[].exec[]",
        "snapshot[].exec[]",
        *OPTION_TEXT_KEYS,
    }
)
_CONSTRAINT = re.compile(r"(>=|<=|==|>|<|=)\s?[A-Za-z0-9][A-Za-z0-9.+~:_-]{0,127}")
_DAY_SECONDS = 86_400


def _name(value: Any) -> str:
    if value == reboot_only.NAME:
        raise FormatError(f"{value!r} stands for rollouts that only reboot", remedy="give the release another name")
    return _checked(signed.RELEASE_NAME, value, "a lower-case name of at most 64 letters, digits, + . _ -")


def _version(value: Any) -> str:
    return _checked(signed.VERSION, value, "at most 128 letters, digits, . + ~ : _ -")


def _file(value: Any) -> str:
    return _checked(signed.FILE, value, "a plain file name beside release.yaml, at most 200 characters")


def _constraint(value: Any) -> str:
    return _checked(_CONSTRAINT, value, 'a constraint such as ">=2.9"')


def _checked(pattern: re.Pattern[str], value: Any, wanted: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise FormatError(f"{value!r} does not fit", remedy=f"write {wanted}")
    return value


def _installer(value: Any) -> str:
    if value in signed.INSTALLERS:
        return str(value)
    return _checked(
        signed.OTHER_INSTALLER, value, f"one of {', '.join(signed.INSTALLERS)}, or another's full name: example.flatpak"
    )


def _words(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _address(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]{1,500}", value):
        raise FormatError(f"{value!r} is no web address", remedy="write it like http://127.0.0.1:8080/health")
    return value


Words = Annotated[
    list[Word],
    BeforeValidator(_words),
    Field(min_length=1, max_length=100),
    AlsoWritten({"type": "string", "minLength": 1}),
]


class WhenPart(StrictModel):
    """On which platforms an artifact is for."""

    os: Words | None = None
    arch: Words | None = None
    distribution: Words | None = None


class ArtifactPart(StrictModel):
    """One file as it is written."""

    file: Annotated[str, BeforeValidator(_file)]
    installer: Annotated[str, BeforeValidator(_installer)]
    when: WhenPart = WhenPart()
    options: OptionsPart = OptionsPart()

    @model_validator(mode="after")
    def _fits(self) -> "ArtifactPart":
        self.options.record(self.installer)
        return self

    def record(self, length: int, sha256: str) -> signed.Artifact:
        """Return the signed form."""
        options = self.options.record(self.installer)
        when = {key: list(words) for key, words in self.when if words}
        return signed.Artifact(self.file, self.installer, length, sha256, when, options)


class RequiresPart(StrictModel):
    """What must hold before an install."""

    disk_free: Size = 0
    from_: Annotated[str, BeforeValidator(_constraint)] = Field(default="", alias="from")


class BlocksPart(StrictModel):
    """What must not run during an install."""

    processes: list[Word] = Field(default_factory=list, max_length=100)


class HealthCheckPart(StrictModel):
    """One health check as it is written."""

    exec: list[Annotated[str, Field(max_length=4000)]] = Field(default_factory=list, max_length=100)
    http: Annotated[str, BeforeValidator(_address)] = ""
    service: str = Field(default="", max_length=200, pattern=r"^([A-Za-z0-9@_.:][A-Za-z0-9@_.:-]*)?$")
    expect: str = Field(default="", max_length=1000)
    timeout: Duration = 30
    within: Duration = 0

    @model_validator(mode="after")
    def _one_question(self) -> "HealthCheckPart":
        if sum(map(bool, (self.exec, self.http, self.service))) != 1:
            raise FormatError("needs exactly one of exec, http, service", remedy="write one check per list entry")
        if self.expect and not self.exec:
            raise FormatError("expects text from something that is no program", remedy="use expect with exec only")
        if not 1 <= self.timeout <= _DAY_SECONDS or self.within > _DAY_SECONDS:
            raise FormatError("has a time limit outside 1 s to 1 day", remedy="write for example timeout: 10s")
        return self

    def record(self) -> signed.HealthCheck:
        """Return the signed form."""
        return signed.HealthCheck(tuple(self.exec), self.http, self.service, self.expect, self.timeout, self.within)


class CommandPart(StrictModel):
    """One command as it is written."""

    exec: list[Annotated[str, Field(max_length=4000)]] = Field(min_length=1, max_length=100)
    timeout: Duration = 300

    @model_validator(mode="after")
    def _bounded(self) -> "CommandPart":
        if not self.exec[0]:
            raise FormatError("names no program", remedy="write exec: [/path/to/program, word, word]")
        if not 1 <= self.timeout <= _DAY_SECONDS:
            raise FormatError("has a time limit outside 1 s to 1 day", remedy="write for example timeout: 5m")
        return self

    def record(self) -> signed.Command:
        """Return the signed form."""
        return signed.Command(tuple(self.exec), self.timeout)


Commands = Annotated[list[CommandPart], Field(default_factory=list, max_length=signed.COMMANDS_MAX)]


class ReleaseDocument(StrictModel):
    """The keys of a release file."""

    release: Annotated[str, BeforeValidator(_name)]
    version: Annotated[str, BeforeValidator(_version)]
    artifacts: list[ArtifactPart] = Field(min_length=1, max_length=signed.ARTIFACTS_MAX)
    summary: str = Field(default="", max_length=200)
    severity: Literal[signed.SEVERITIES] = "none"  # type: ignore[valid-type]
    references: list[Text] = Field(default_factory=list, max_length=100)
    change_class: Literal[signed.CHANGE_CLASSES] = "standard"  # type: ignore[valid-type]
    requires: RequiresPart = RequiresPart()
    blocks: BlocksPart = BlocksPart()
    health_checks: list[HealthCheckPart] = Field(default_factory=list, max_length=50)
    settle: Duration = 0
    reboot: Literal[signed.REBOOTS] = "never"  # type: ignore[valid-type]
    downgrade: Literal[signed.DOWNGRADES] = "refused"  # type: ignore[valid-type]
    drain: Commands
    undrain: Commands
    snapshot: Commands

    @model_validator(mode="after")
    def _holds_together(self) -> "ReleaseDocument":
        files = [artifact.file for artifact in self.artifacts]
        if (self.drain or self.undrain) and self.reboot == "never":
            raise FormatError(
                "has drain or undrain but never reboots", remedy="write reboot: if_needed, or delete them"
            )
        for file in files:
            if files.count(file) > 1 or file == "release.json":
                raise FormatError(f"names the file {file} twice", remedy="list each file once, and not release.json")
        return self

    def record(self, artifacts: Iterable[signed.Artifact]) -> signed.Manifest:
        """Return what is signed."""
        return signed.Manifest(
            name=self.release,
            version=self.version,
            artifacts=tuple(artifacts),
            summary=self.summary,
            severity=self.severity,
            references=tuple(self.references),
            change_class=self.change_class,
            disk_free_bytes=self.requires.disk_free,
            requires_from=self.requires.from_,
            blocking_processes=tuple(self.blocks.processes),
            health_checks=tuple(check.record() for check in self.health_checks),
            settle_seconds=self.settle,
            reboot=self.reboot,
            downgrade=self.downgrade,
            drain=tuple(command.record() for command in self.drain),
            undrain=tuple(command.record() for command in self.undrain),
            snapshot=tuple(command.record() for command in self.snapshot),
        )


@dataclass(frozen=True)
class ReleaseFolder:
    """A linted release with its files."""

    manifest: signed.Manifest
    files: dict[str, Path]


def read_release_document(data: bytes, file: str = RELEASE_FILE) -> ReleaseDocument:
    """Return the checked document; raise DocumentError with every fault, its line and its mend."""
    return _read(data, file)[0]


def read_release_folder(folder: Path) -> ReleaseFolder:
    """Return a folder's release after hashing its files; raise DocumentError with every fault."""
    path = folder if folder.is_file() else folder / RELEASE_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        remedy = f"name a folder that holds {RELEASE_FILE}; `sopwith release new FILE.deb` writes one"
        raise DocumentError([Problem(str(path), 0, "", f"cannot be read: {error.strerror}", remedy)]) from error
    checked, document = _read(data, str(path))
    files: dict[str, Path] = {}
    artifacts: list[signed.Artifact] = []
    problems: list[Problem] = []
    for index, part in enumerate(checked.artifacts):
        files[part.file] = path.parent / part.file
        try:
            artifacts.append(part.record(*_measure(files[part.file])))
        except FormatError as error:
            problems.append(document.problem(("artifacts", index, "file"), error.message, error.remedy))
        except OSError as error:
            message = f"{part.file} cannot be read: {error.strerror}"
            problems.append(document.problem(("artifacts", index, "file"), message, f"put it beside {RELEASE_FILE}"))
    if problems:
        raise DocumentError(problems)
    manifest = checked.record(artifacts)
    signed.check_manifest(manifest)
    return ReleaseFolder(manifest, files)


def _read(data: bytes, file: str) -> tuple[ReleaseDocument, Document]:
    return read_model(data, file, ReleaseDocument, text_keys=TEXT_KEYS)


def _measure(path: Path) -> tuple[int, str]:
    if path.exists() and not path.is_file():
        raise FormatError(
            f"{path.name} is no regular file", remedy="name a file; a folder is packed into an archive first"
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        length = file.tell()
    if not length:
        raise FormatError(f"{path.name} is empty", remedy="build or fetch it again")
    return length, digest
