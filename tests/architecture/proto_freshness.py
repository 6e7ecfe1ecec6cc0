"""Fails when the committed generated code differs from what the .proto files generate.

Generates into a temporary folder and compares bytes, so that it needs no git and changes nothing.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def generate(into: Path) -> dict[str, bytes]:
    """Return the generated files, name below proto/gen to bytes."""
    protos = sorted(path.relative_to(ROOT / "proto").as_posix() for path in ROOT.glob("proto/sopwith/v1/*.proto"))
    outs = [f"--{kind}_out={flag}{into}" for kind, flag in OUTPUTS]
    bin_folder = Path(sys.executable).parent
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I", "proto", *outs, *protos],
        cwd=ROOT,
        env={"PATH": f"{bin_folder}:/usr/bin:/bin"},
        check=True,
    )
    return {path.relative_to(into).as_posix(): path.read_bytes() for path in into.rglob("*.py*") if path.is_file()}


OUTPUTS = (("python", ""), ("grpc_python", ""), ("mypy", "quiet:"), ("mypy_grpc", "quiet:"))


def main() -> int:
    """Compare and tell; 0 when equal."""
    gen = ROOT / "proto" / "gen"
    committed = {
        path.relative_to(gen).as_posix(): path.read_bytes()
        for path in gen.rglob("*.py*")
        if path.is_file() and path.name != "__init__.py" and "__pycache__" not in path.parts
    }
    with tempfile.TemporaryDirectory() as folder:
        fresh = generate(Path(folder))
    stale = sorted(name for name in committed.keys() | fresh.keys() if committed.get(name) != fresh.get(name))
    if stale:
        sys.stderr.write(f"proto/gen is stale: {', '.join(stale)}. Run `make proto` and commit the result.\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
