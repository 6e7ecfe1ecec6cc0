"""The release manifest as it is signed: `release.json`, the canonical JSON of a linted `release.yaml`.

Controller and agents read only this; the YAML that a person writes is read by `release_document`. The TUF target names
of a release are `<name>/<version>/release.json` and `<name>/<version>/<file>`.
"""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError

FORMAT = 1
INSTALLERS = ("deb", "apt", "rpm", "archive", "wheel", "script", "agent")
AGENT = "agent"
"""The installer of the agent itself."""
AGENT_RELEASE = "sopwith-agent"
"""The one release name under which the agent may come, so that everybody sees what such a rollout is."""
OTHER_INSTALLER = re.compile(r"[a-z][a-z0-9-]{0,62}(\.[a-z][a-z0-9-]{0,62}){1,4}")
"""A third party's installer: its name begins with its maker's, as example.flatpak."""
ARTIFACTS_MAX = 1000
SEVERITIES = ("critical", "high", "moderate", "low", "none")
CHANGE_CLASSES = ("standard", "normal", "emergency")
REBOOTS = ("never", "if_needed", "always")
DOWNGRADES = ("refused", "allowed")
COMMANDS = ("drain", "undrain", "snapshot")
"""Moments for which a release may bring commands."""
COMMANDS_MAX = 20
COMMAND_SECONDS_MAX = 86_400

RELEASE_NAME = re.compile(r"[a-z0-9][a-z0-9+._-]{0,63}")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_-]{0,127}")
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_-]{0,199}")


@dataclass(frozen=True)
class Artifact:
    """One update file and how it is installed."""

    file: str
    installer: str
    length: int
    sha256: str
    when: dict[str, list[str]] = field(default_factory=dict)
    """Platform condition: keys os, arch, distribution; each a list of allowed values. Empty: everywhere."""
    options: dict[str, Any] = field(default_factory=dict)
    """What the installer is told; the keys of each stand in `release_options`."""


@dataclass(frozen=True)
class HealthCheck:
    """What must hold after an install. Exactly one of exec, http, service is set; times are seconds."""

    exec: tuple[str, ...] = ()
    http: str = ""
    service: str = ""
    expect: str = ""
    """Text that the program's output must contain; empty: exit code 0 is enough."""
    timeout_seconds: int = 30
    within_seconds: int = 0
    """How long after the install the check may still fail before it counts."""


@dataclass(frozen=True)
class Command:
    """A program that is run at a moment that people chose; its exit code 0 means yes."""

    exec: tuple[str, ...]
    timeout_seconds: int = 300


@dataclass(frozen=True)
class Manifest:
    """One release. `name` is called `release` in the file that people write."""

    name: str
    version: str
    artifacts: tuple[Artifact, ...]
    summary: str = ""
    severity: str = "none"
    references: tuple[str, ...] = ()
    change_class: str = "standard"
    disk_free_bytes: int = 0
    requires_from: str = ""
    """Constraint on the installed version, for example ">=2.9"; empty: any, also none."""
    blocking_processes: tuple[str, ...] = ()
    health_checks: tuple[HealthCheck, ...] = ()
    settle_seconds: int = 0
    reboot: str = "never"
    downgrade: str = "refused"
    drain: tuple[Command, ...] = ()
    """Run before a reboot; one that refuses defers it."""
    undrain: tuple[Command, ...] = ()
    """Run after a reboot, once the release is healthy; one that refuses for good takes it back."""
    snapshot: tuple[Command, ...] = ()
    """Run before the install; one that refuses stops it."""

    @property
    def updates_agent(self) -> bool:
        """Tell whether the release is the agent itself."""
        return any(artifact.installer == AGENT for artifact in self.artifacts)

    @property
    def release(self) -> str:
        """Return name@version."""
        return f"{self.name}@{self.version}"

    def target(self, file: str) -> str:
        """Return the TUF target name of one of the release's files."""
        return f"{self.name}/{self.version}/{file}"

    def to_json(self) -> bytes:
        """Return the canonical bytes that are signed."""
        document = asdict(self)
        for key in COMMANDS:
            if not document[key]:
                del document[key]  # a release without commands is signed as it was before there were any
        return canonical_json.encode({"format": FORMAT, **document})


def manifest_target(name: str, version: str) -> str:
    """Return the TUF target name of a release's manifest."""
    return f"{name}/{version}/release.json"


def split_release(release: str) -> tuple[str, str]:
    """Return name and version of name@version; raise FormatError for anything else."""
    name, at, version = release.partition("@")
    if not at or not RELEASE_NAME.fullmatch(name) or not VERSION.fullmatch(version):
        raise FormatError(f"{release!r} is no release", remedy="write name@version, for example hello@2.10-3")
    return name, version


def read_manifest(data: bytes) -> Manifest:
    """Return the manifest of signed bytes; raise FormatError when anything breaks the format."""
    document = canonical_json.decode_canonical(data, size_max=2**20)
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise FormatError("is no release manifest of a known format")
    try:
        document["artifacts"] = tuple(Artifact(**item) for item in document["artifacts"])
        document["health_checks"] = tuple(
            HealthCheck(**{**item, "exec": tuple(item["exec"])}) for item in document["health_checks"]
        )
        for moment in COMMANDS:
            document[moment] = tuple(Command(**{**c, "exec": tuple(c["exec"])}) for c in document.get(moment, ()))
        document["references"] = tuple(document["references"])
        document["blocking_processes"] = tuple(document["blocking_processes"])
        manifest = Manifest(**document)
    except (KeyError, TypeError) as error:
        raise FormatError(f"lacks or adds a key: {error}") from error
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: Manifest) -> None:
    """Raise FormatError for the first value that is out of its range; the same rules for writer and readers."""
    _match(RELEASE_NAME, manifest.name, "release", "a lower-case name of at most 64 letters, digits, + . _ -")
    _match(VERSION, manifest.version, "version", "at most 128 letters, digits, . + ~ : _ -")
    _among(SEVERITIES, manifest.severity, "severity")
    _among(CHANGE_CLASSES, manifest.change_class, "change_class")
    _among(REBOOTS, manifest.reboot, "reboot")
    _among(DOWNGRADES, manifest.downgrade, "downgrade")
    if not manifest.artifacts:
        raise FormatError("is empty", where="artifacts", remedy="list at least one file")
    if len(manifest.artifacts) > ARTIFACTS_MAX:
        raise FormatError(f"names more than {ARTIFACTS_MAX} files", where="artifacts")
    files = [artifact.file for artifact in manifest.artifacts]
    if len(set(files)) != len(files) or "release.json" in files:
        raise FormatError("names a file twice, or release.json", where="artifacts")
    for index, artifact in enumerate(manifest.artifacts):
        where = f"artifacts[{index}]"
        _match(FILE, artifact.file, f"{where}.file", "a plain file name without folders, at most 200 characters")
        if not OTHER_INSTALLER.fullmatch(str(artifact.installer)):
            _among(INSTALLERS, artifact.installer, f"{where}.installer")
        _size(artifact.length, f"{where}.length")
        if not re.fullmatch(r"[0-9a-f]{64}", artifact.sha256):
            raise FormatError("is no sha256 digest", where=f"{where}.sha256")
    if manifest.updates_agent:
        _check_agent(manifest)
    _check_health(manifest)
    for moment in COMMANDS:
        _check_commands(getattr(manifest, moment), moment)


def _check_health(manifest: Manifest) -> None:
    for index, check in enumerate(manifest.health_checks):
        if sum(map(bool, (check.exec, check.http, check.service))) != 1:
            raise FormatError("needs exactly one of exec, http, service", where=f"health_checks[{index}]")
        _words(check.exec, f"health_checks[{index}].exec")


def _check_agent(manifest: Manifest) -> None:
    if manifest.name != AGENT_RELEASE:
        remedy = f"write release: {AGENT_RELEASE}"
        raise FormatError(f"is {manifest.name}, and the agent has a name of its own", where="release", remedy=remedy)
    if any(artifact.installer != AGENT for artifact in manifest.artifacts):
        remedy = "publish the other files as a release of their own"
        raise FormatError("mix the agent with other files", where="artifacts", remedy=remedy)
    if manifest.reboot != "never":
        raise FormatError("is asked for, and a new agent is not tried across one", where="reboot", remedy="remove it")


def _check_commands(commands: tuple[Command, ...], moment: str) -> None:
    if len(commands) > COMMANDS_MAX:
        raise FormatError(f"names more than {COMMANDS_MAX} commands", where=moment)
    for index, command in enumerate(commands):
        if not command.exec or not command.exec[0]:
            raise FormatError("names no program", where=f"{moment}[{index}].exec")
        _words(command.exec, f"{moment}[{index}].exec")
        _size(command.timeout_seconds, f"{moment}[{index}].timeout_seconds")
        if not 1 <= command.timeout_seconds <= COMMAND_SECONDS_MAX:
            raise FormatError("is outside 1 s to 1 day", where=f"{moment}[{index}].timeout_seconds")


def _match(pattern: re.Pattern[str], value: Any, where: str, wanted: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise FormatError(f"{value!r} is not {wanted}", where=where)


def _among(allowed: tuple[str, ...], value: Any, where: str) -> None:
    if value not in allowed:
        raise FormatError(f"{value!r} is not known", where=where, remedy=f"write one of {', '.join(allowed)}")


def _size(value: Any, where: str) -> None:
    if type(value) is not int or value < 0:
        raise FormatError("is no size in bytes", where=where)


def _words(words: tuple[Any, ...], where: str) -> None:
    if not all(isinstance(word, str) and "\0" not in word for word in words):
        raise FormatError("must be a list of texts", where=where)
