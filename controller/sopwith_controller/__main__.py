"""`sopwith-controller`, the program that operates a controller.

Only `--version` is answered here, because everything else loads half a second of libraries.
"""

import os
import sys


def main() -> None:
    """Run the program."""
    if sys.argv[1:] == ["--version"]:
        from sopwith_formats.version import VERSION

        print(f"sopwith-controller {VERSION}")  # noqa: T201  a program's answer
        return
    # The library's own lines are the only trace of refused handshakes: no environment may silence them.
    os.environ["GRPC_VERBOSITY"] = "INFO"

    from sopwith_controller.operate.program import program

    program(prog_name="sopwith-controller")


if __name__ == "__main__":
    main()
