"""Runs the tests of the pure rules under coverage and fails below 100 % of the branches of both domain packages.

The rules need no processes, files or network, so that their tests are quick and there is no excuse for a hole.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("tests/controller/domain", "tests/agent/domain")
PACKAGES = ("sopwith_agent.domain", "sopwith_controller.domain")

_SETTINGS = """
[run]
branch = true
source_pkgs = {packages}
[report]
fail_under = 100
show_missing = true
skip_covered = true
exclude_also =
    if TYPE_CHECKING:
    @overload
"""


def main() -> int:
    """Run and report; 0 when every branch was taken."""
    tests = [path for path in TESTS if (ROOT / path).exists()]
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "coverage.ini"
        settings.write_text(_SETTINGS.format(packages=",".join(PACKAGES)), encoding="utf-8")
        coverage = [sys.executable, "-m", "coverage"]
        options = [f"--rcfile={settings}", f"--data-file={Path(folder) / 'data'}"]
        run = subprocess.run([*coverage, "run", *options, "-m", "pytest", "-q", *tests], cwd=ROOT, check=False)
        report = subprocess.run([*coverage, "report", *options], cwd=ROOT, check=False)
    return run.returncode or report.returncode


if __name__ == "__main__":
    sys.exit(main())
