"""Installers of other makers: found by their entry points, loaded late, and never in place of our own."""

import subprocess
import sys
from pathlib import Path

import pytest

from sopwith_agent.adapters.installers.by_name import InstallersByName
from sopwith_agent.adapters.installers.deb import DebInstaller
from sopwith_formats.manifest import read_manifest
from sopwith_formats.release_document import read_release_folder
from tests.agent.third_party import block, install_example


@pytest.fixture
def installers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstallersByName:
    install_example(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "example_file_installer", raising=False)
    return InstallersByName()


def test_installer_of_another_maker_is_found_by_its_entry_point(installers: InstallersByName) -> None:
    installer = installers.by_name("example.file")

    assert installer is not None
    assert installer.name == "example.file"
    assert "example.file" in installers.names()


def test_our_own_names_are_never_given_away(installers: InstallersByName) -> None:
    assert isinstance(installers.by_name("deb"), DebInstaller)


@pytest.mark.parametrize("name", ["example.broken", "example.other", "example.unknown"])
def test_installer_that_cannot_be_loaded_or_has_another_name_counts_as_absent(
    installers: InstallersByName, name: str
) -> None:
    assert installers.by_name(name) is None
    assert name not in installers.names()


def test_examples_release_is_read_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "release.yaml").write_text(block("yaml"))
    (tmp_path / "menu.txt").write_text("2026-11-22\nsoup\n")

    manifest = read_release_folder(tmp_path).manifest

    assert read_manifest(manifest.to_json()) == manifest
    assert manifest.artifacts[0].options == {"settings": {"to": "/srv/menu.txt"}}


def test_agent_at_rest_has_loaded_no_installer() -> None:
    program = (
        "import sys; import sopwith_agent.bootstrap as b; from sopwith_agent.adapters.installers import by_name; "
        "by_name.InstallersByName(others=()).names(); "
        "loaded = [m.rpartition('.')[2] for m in sys.modules if m.startswith('sopwith_agent.adapters.installers.')]; "
        "print(sorted(loaded), 'backports.zstd' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "['by_name', 'tools'] False"
