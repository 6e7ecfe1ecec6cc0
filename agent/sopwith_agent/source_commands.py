"""`sopwith-agent source trust | refresh | get`: a source checked by hand, from an endpoint, without a controller.

The same code as the running agent, over a folder that the caller names. It starts fast and imports no gRPC. The exit
code is 0 or 1 and nothing else, wrong usage included, so that scripts need to know only one thing; what went wrong is
one line on stderr that begins with the symptom.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sopwith_agent.domain.errors import AgentError, StepError

_EXAMPLE = """examples:
  sopwith-agent source trust root.json --dir trust
  sopwith-agent source refresh --url https://updates.example:7445/source/metadata/ --dir trust
  sopwith-agent source get hello/2.10-3/release.json --url https://updates.example:7445/source/metadata/ \\
      --files-url https://updates.example:7445/source/targets/ --dir trust --out files
"""


def main(arguments: Sequence[str]) -> int:
    """Run one source command; return 0 or 1."""
    try:
        options = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except _UsageError as error:
        _complain(str(error))
    except AgentError as error:
        _complain(_line(error))
    except OSError as error:
        _complain(f"{error.filename or 'the disk'}: {error.strerror or error}")
    except KeyboardInterrupt:
        _complain("interrupted")
    return 1


def trust(root: Path, folder: Path) -> str:
    """Pin the root of a file in a folder; return its digest."""
    from sopwith_agent.adapters.source_folder import ROOT_BYTES_MAX, SourceFolder

    with root.open("rb") as file:
        return SourceFolder(folder).trust(file.read(ROOT_BYTES_MAX + 1))


class _UsageError(Exception):
    """The command line is wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="sopwith-agent source",
        description="Check a signed source by hand.",
        epilog=_EXAMPLE,
        formatter_class=layout,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB", parser_class=_Parser)

    pin = verbs.add_parser("trust", help="pin the root of a source; asks nothing of the network", epilog=_EXAMPLE)
    pin.add_argument("root", metavar="ROOT", type=Path, help="root metadata, a file")
    pin.set_defaults(command=_trust)

    refresh = verbs.add_parser("refresh", help="fetch and verify the source's metadata", epilog=_EXAMPLE)
    refresh.set_defaults(command=_refresh)

    get = verbs.add_parser("get", help="fetch files that the source lists", epilog=_EXAMPLE)
    get.add_argument("names", metavar="NAME", nargs="+", help="name of a target, for example hello/2.10-3/release.json")
    get.add_argument("--files-url", required=True, metavar="URL", help="where files are served")
    get.add_argument("--out", required=True, metavar="DIR", type=Path, help="folder that receives the files")
    get.set_defaults(command=_get)

    for verb in (pin, refresh, get):
        verb.formatter_class = layout
        verb.add_argument("--dir", required=True, metavar="DIR", type=Path, help="folder that keeps what is trusted")
    for verb in (refresh, get):
        verb.add_argument("--url", required=True, metavar="URL", help="where metadata is served")
        verb.add_argument("--ca", metavar="FILE", type=Path, help="authority of the server, PEM; else the system's")
    return parser


def _trust(options: argparse.Namespace) -> int:
    print(f"sha256:{trust(options.root, options.dir)}")
    return 0


def _refresh(options: argparse.Namespace) -> int:
    with _transport(options) as transport:
        state = _metadata(options, transport).refresh()
    print(" ".join(f"{role}={version}" for role, version in state.versions.items()))
    return 0


def _get(options: argparse.Namespace) -> int:
    from sopwith_agent.adapters.source_download import Downloader, file_name
    from sopwith_agent.adapters.source_transport import check_address

    check_address(options.files_url)
    failed = False
    with _transport(options) as transport:
        metadata = _metadata(options, transport)
        metadata.refresh()
        files = Downloader(transport, options.files_url, options.dir / "parts", metadata.hash_prefixed)
        for name in options.names:
            path = options.out / file_name(name)
            try:
                files.fetch(metadata.look_up(name), path, _silent, _never)
                print(path)
            except StepError as error:
                _complain(_line(error))
                failed = True
    return int(failed)


def _transport(options: argparse.Namespace) -> Any:
    from sopwith_agent.adapters.source_transport import Transport

    if options.ca is not None and not options.ca.is_file():
        raise _UsageError(f"{options.ca} is no file; --ca names the authority's certificate, PEM")
    return Transport(options.ca)


def _metadata(options: argparse.Namespace, transport: Any) -> Any:
    from sopwith_agent.adapters.source_folder import SourceFolder
    from sopwith_agent.adapters.source_metadata import SourceMetadata

    return SourceMetadata(SourceFolder(options.dir), options.url, transport)


def _line(error: AgentError) -> str:
    symptom = f"{error.symptom}: " if isinstance(error, StepError) else ""
    return f"{symptom}{error.message}" + (f" ({error.remedy})" if error.remedy else "")


def _complain(message: str) -> None:
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(message.split()))
    print(f"sopwith-agent source: {line}", file=sys.stderr)


def _silent(done: int, total: int) -> None:
    """Scripts read the exit code."""


def _never() -> bool:
    return False
