"""Builders of wheels by hand, and of install work for them."""

import zipfile
from pathlib import Path
from typing import Any

from sopwith_agent.steps.installer_port import InstallWork
from tests.agent.packages import package_work


def build_wheel(
    folder: Path,
    version: str,
    *,
    name: str = "hello",
    tag: str = "py3-none-any",
    fields: str = "",
    extra: dict[str, str] | None = None,
) -> Path:
    """Return a wheel with a module and a program, both named as the wheel."""
    written = version.replace("-", "_")
    about = f"{name}-{written}.dist-info"
    files = {
        f"{name}.py": f'VERSION = "{version}"\n\n\ndef main():\n    print(VERSION)\n',
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{fields}\n",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{about}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
        **(extra or {}),
    }
    listed = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    path = folder / f"{name}-{written}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, text in {**files, f"{about}/RECORD": listed}.items():
            archive.writestr(file, text)
    return path


def wheel_work(folder: Path, *wheels: Path, version: str, before: str = "", **changes: Any) -> InstallWork:
    """Return the work of installing wheels below folder/root; the first is the release's."""
    return package_work(folder, *wheels, version=version, before=before, installer="wheel", **changes)
