"""What an artifact's `options` may say in the release file, installer by installer.

Decides which key belongs to which installer and what is signed; what the values do is the agent's installer. Rules: a
key of another installer is refused; programs are lists of words, never a shell line; what a third party's installer
wants stands below `settings` and is signed as it is written.
"""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sopwith_formats import manifest as signed
from sopwith_formats.document_values import Duration, Size, Word
from sopwith_formats.documents import StrictModel
from sopwith_formats.errors import FormatError

ARCHIVE_SIZE_MAX_DEFAULT = 2**30
OPTION_TEXT_KEYS = frozenset(
    {
        "artifacts[].options.into",
        "artifacts[].options.link",
        "artifacts[].options.package",
        "artifacts[].options.version",
        "artifacts[].options.python",
        "artifacts[].options.distribution",
        "artifacts[].options.version_file",
        "artifacts[].options.version_exec[]",
        "artifacts[].options.arguments[]",
        "artifacts[].options.rollback[]",
    }
)
_LAID = ("into", "link")
_ALLOWED = {
    "archive": (*_LAID, "unpacked_size_max"),
    "deb": ("package",),
    "apt": ("package", "version"),
    "rpm": ("package",),
    "wheel": (*_LAID, "python", "distribution"),
    "script": ("arguments", "rollback", "version_file", "version_exec", "memory_max"),
    "agent": ("confirm_within", "unpacked_size_max"),
}
_LINK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}")


def _link(value: Any) -> str:
    return _checked(_LINK, value, "a plain name such as current")


def _package(value: Any) -> str:
    return _checked(_PACKAGE, value, "the name that the package gives itself")


def _version(value: Any) -> str:
    return _checked(signed.VERSION, value, "the version that the package gives itself")


def _checked(pattern: re.Pattern[str], value: Any, wanted: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise FormatError(f"{value!r} does not fit", remedy=f"write {wanted}")
    return value


def _absolute(value: Any) -> str:
    path = PurePosixPath(value if isinstance(value, str) else "")
    if not path.is_absolute() or path == PurePosixPath("/") or ".." in path.parts:
        raise FormatError(f"{value!r} is no path of its own", remedy="write an absolute path such as /opt/hello")
    return str(path)


_Path = Annotated[str, BeforeValidator(_absolute)]
_Words = Annotated[list[Annotated[str, Field(max_length=4000)]], Field(max_length=100)]


class OptionsPart(StrictModel):
    """Every option of every installer; `record` refuses those that the artifact's installer does not know."""

    into: _Path | None = None
    link: Annotated[str, BeforeValidator(_link)] | None = None
    unpacked_size_max: Size | None = None
    package: Annotated[str, BeforeValidator(_package)] | None = None
    version: Annotated[str, BeforeValidator(_version)] | None = None
    python: _Path | None = None
    distribution: Annotated[str, BeforeValidator(_package)] | None = None
    arguments: _Words | None = None
    rollback: _Words | None = None
    version_file: _Path | None = None
    version_exec: Annotated[list[Word], Field(min_length=1, max_length=100)] | None = None
    memory_max: Size | None = None
    confirm_within: Annotated[Duration, Field(ge=5, le=3600)] | None = None
    settings: dict[str, str | int | bool | list[str]] | None = Field(default=None, max_length=100)

    def record(self, installer: str) -> dict[str, Any]:
        """Return the signed form; raise FormatError for a key that the installer does not know, or one it lacks."""
        given = {key: value for key, value in self if value is not None}
        if installer not in signed.INSTALLERS:
            unknown = given.keys() - {"settings"}
            if unknown:
                raise _unknown(unknown, installer, "write what it wants below options.settings")
            return given
        unknown = given.keys() - set(_ALLOWED[installer])
        if unknown:
            allowed = ", ".join(_ALLOWED[installer])
            raise _unknown(unknown, installer, f"delete it; allowed are {allowed}")
        if installer == "archive":
            if self.into is None:
                raise FormatError("is an archive without a place", remedy="add options: {into: /opt/NAME}")
            return {"link": "current", "unpacked_size_max": ARCHIVE_SIZE_MAX_DEFAULT, **given}
        if installer == "apt" and None in (self.package, self.version):
            raise FormatError("is one package of a set and does not say which", remedy="add package and version")
        return given


def _unknown(keys: set[str], installer: str, remedy: str) -> FormatError:
    return FormatError(f"has options.{', options.'.join(sorted(keys))}, which {installer} does not know", remedy=remedy)
