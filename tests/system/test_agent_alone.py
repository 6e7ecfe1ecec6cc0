"""The agent's extra alone installs and runs, and brings nothing of the controller."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(280)]

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = (
    "sqlalchemy",
    "alembic",
    "apscheduler",
    "starlette",
    "uvicorn",
    "click",
    "pydantic",
    "rich",
    "aiosmtplib",
    "jinja2",
)
PROBE = """
import sys
import sopwith_agent.bootstrap, sopwith_agent.cli, sopwith_agent.session
import pkgutil, sopwith_agent
for found in pkgutil.walk_packages(sopwith_agent.__path__, "sopwith_agent."):
    if not found.name.endswith("__main__"):
        __import__(found.name)
print(",".join(name for name in sys.argv[1].split(",") if name in sys.modules))
"""


@pytest.fixture(scope="module")
def lonely_python(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("agent-alone") / "venv"
    uv = Path(sys.executable).parent / "uv"
    environment = {**os.environ, "VIRTUAL_ENV": str(folder)}
    for command in (
        [uv, "venv", "-q", "--python", sys.executable, folder],
        [uv, "pip", "install", "-q", "--require-hashes", "-r", ROOT / "requirements" / "agent.lock"],
        [uv, "pip", "install", "-q", "--no-deps", ROOT],
    ):
        done = subprocess.run(
            [str(word) for word in command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return folder / "bin" / "python"


def run(lonely_python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(lonely_python), *arguments], cwd="/", capture_output=True, text=True, check=False, timeout=60
    )


def test_every_module_of_the_agent_imports_without_controller_dependencies(lonely_python):
    done = run(lonely_python, "-c", PROBE, ",".join(FOREIGN))

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", FOREIGN)
def test_no_controller_dependency_is_installed(lonely_python, name):
    done = run(lonely_python, "-c", f"import {name}")

    assert "ModuleNotFoundError" in done.stderr


def test_the_programs_answer(lonely_python):
    done = run(lonely_python, "-m", "sopwith_agent", "--version")

    assert done.returncode == 0
    assert done.stdout.startswith("sopwith-agent ")


def test_a_missing_enrolment_is_named_without_a_traceback(lonely_python, tmp_path):
    done = run(lonely_python, "-m", "sopwith_agent", "run", "--state", str(tmp_path / "none"))

    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "enroll" in done.stderr
