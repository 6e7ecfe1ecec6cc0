"""`release new` on real Debian packages."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sopwith_controller.desk.errors import DeskError
from sopwith_controller.desk.release_writing import write_release
from sopwith_formats.release_document import read_release_folder

pytestmark = [
    pytest.mark.needs_tool("dpkg-deb"),
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb builds the package"),
]


def package(folder: Path, architecture: str = "amd64", version: str = "1:2.10-3") -> Path:
    control = folder / "tree" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(
        f"Package: hello\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: Nobody <n@localhost>\n"
        'Description: says "hello": a test\n and more of it\n'
    )
    deb = folder / "hello.deb"
    subprocess.run(["dpkg-deb", "--build", str(folder / "tree"), str(deb)], check=True, capture_output=True)
    return deb


def test_release_file_says_what_the_package_says(tmp_path):
    deb = package(tmp_path)

    path = write_release(deb)

    manifest = read_release_folder(path.parent).manifest
    assert manifest.release == "hello@1:2.10-3"
    assert manifest.summary == 'says "hello": a test'
    assert manifest.artifacts[0].when == {"os": ["linux"], "arch": ["x86_64"]}
    assert (manifest.artifacts[0].installer, manifest.health_checks) == ("deb", ())


def test_package_for_all_architectures_has_no_condition(tmp_path):
    path = write_release(package(tmp_path, "all"), tmp_path / "out")

    release = read_release_folder(tmp_path / "out")
    assert path == tmp_path / "out" / "release.yaml"
    assert release.manifest.artifacts[0].when == {}


def test_existing_release_file_is_kept(tmp_path):
    deb = package(tmp_path)
    (tmp_path / "release.yaml").write_text("mine")

    with pytest.raises(DeskError, match="exists already"):
        write_release(deb)

    assert (tmp_path / "release.yaml").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"no package at all"])
def test_file_that_is_no_package_is_refused(tmp_path, content):
    (tmp_path / "x.deb").write_bytes(content)

    with pytest.raises(DeskError, match="no Debian package"):
        write_release(tmp_path / "x.deb")

    assert not (tmp_path / "release.yaml").exists()


def test_absent_file_is_named(tmp_path):
    with pytest.raises(DeskError, match="is no file"):
        write_release(tmp_path / "none.deb")
