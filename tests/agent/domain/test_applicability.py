"""Which artifacts are for this computer."""

from sopwith_agent.domain.applicability import Platform, artifacts_for
from sopwith_formats.manifest import Artifact, Manifest

HERE = Platform(os="linux", arch="x86_64", distribution="debian")


def release(**when: list[str]) -> Manifest:
    artifact = Artifact(file="a", installer="archive", length=1, sha256="0" * 64, when=when)
    return Manifest(name="hello", version="1", artifacts=(artifact,))


def test_artifact_without_condition_is_for_every_computer() -> None:
    assert artifacts_for(release(), HERE)


def test_every_key_of_the_condition_must_hold() -> None:
    assert artifacts_for(release(os=["linux"], arch=["arm64", "x86_64"], distribution=["debian"]), HERE)
    assert not artifacts_for(release(os=["linux"], arch=["arm64"]), HERE)
    assert not artifacts_for(release(os=["windows"]), HERE)


def test_two_names_of_one_processor_are_equal() -> None:
    assert artifacts_for(release(arch=["amd64"]), HERE)
    assert artifacts_for(release(arch=["aarch64"]), Platform("linux", "arm64"))


def test_unknown_key_of_a_condition_holds_nowhere() -> None:
    assert not artifacts_for(release(moon=["full"]), HERE)
