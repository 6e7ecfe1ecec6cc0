"""Which of a release's files are for this computer.

Decides by the manifest's `when` alone: keys os, arch, distribution, each a list of allowed values, compared with the
computer's own platform; an artifact without `when` is for every computer. Whether the installer then accepts the file
is the installer's.
"""

from dataclasses import dataclass

from sopwith_formats.manifest import Artifact, Manifest

_SPELLINGS = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "i386": "i686"}


@dataclass(frozen=True)
class Platform:
    """The computer's kind: "linux", "x86_64", "debian"."""

    os: str
    arch: str
    distribution: str = ""


def artifacts_for(manifest: Manifest, platform: Platform) -> tuple[Artifact, ...]:
    """Return the artifacts whose condition holds here, in the manifest's order; empty: not applicable."""
    return tuple(artifact for artifact in manifest.artifacts if _holds(artifact.when, platform))


def _holds(when: dict[str, list[str]], platform: Platform) -> bool:
    here = {"os": platform.os, "arch": platform.arch, "distribution": platform.distribution}
    return all(key in here and _plain(here[key]) in {_plain(value) for value in when[key]} for key in when)


def _plain(value: str) -> str:
    lower = value.lower()
    return _SPELLINGS.get(lower, lower)
