"""The worked example of docs/guides/installers.md, installed as another maker's distribution would be."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from sopwith_agent.steps.installer_port import Installer

GUIDE = Path(__file__).parents[2] / "docs/guides/installers.md"


def block(language: str) -> str:
    """Return the guide's one block in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    return str(found)


def install_example(folder: Path) -> None:
    """Lay module and metadata into a folder, as pip lays them into an environment."""
    folder.mkdir(exist_ok=True)
    (folder / "example_file_installer.py").write_text(block("python"))
    about = folder / "example_file_installer-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: example-file-installer\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[sopwith.installers]\nexample.file = example_file_installer:FileInstaller\n"
        "deb = example_file_installer:FileInstaller\nexample.broken = example_file_installer:Missing\n"
        "example.other = example_file_installer:FileInstaller\n"
    )


def example_installer(folder: Path) -> Installer:
    """Return the example's installer, loaded from a folder."""
    install_example(folder)
    sys.path.insert(0, str(folder))
    try:
        module: Any = import_module("example_file_installer")
    finally:
        sys.path.remove(str(folder))
    installer: Installer = module.FileInstaller()
    return installer
