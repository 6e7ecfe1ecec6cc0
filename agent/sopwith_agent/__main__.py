"""Entry of `sopwith-agent`: decides which half of the program is loaded, and nothing else.

`--version` loads none, `source ...` only what checks a source (no gRPC), everything else the command line.
"""

import sys


def main() -> int:
    """Run the program; return its exit code."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        from sopwith_formats.version import VERSION

        print(f"sopwith-agent {VERSION}")  # noqa: T201  the answer itself
        return 0
    if arguments[:1] == ["source"]:
        from sopwith_agent import source_commands

        return source_commands.main(arguments[1:])
    from sopwith_agent import cli

    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
