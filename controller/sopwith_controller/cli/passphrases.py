"""Passphrases of key files: from `--passphrase-file`, else asked for on a terminal, else none.

Decides where a passphrase comes from; opening and encrypting keys is `desk.source_keys`'. A passphrase is never an
argument, because the process list shows those. Without a terminal and without a file new keys are written unencrypted,
with a warning, and encrypted ones cannot be opened.
"""

import sys
from pathlib import Path

import click

from sopwith_controller.cli.output import tell
from sopwith_controller.desk.errors import DeskError

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="File whose first line is the passphrase of the keys.",
)


class Passphrases:
    """One command's way to passphrases; each key's is asked for once."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._known: dict[Path, bytes] = {}

    def for_new_keys(self, what: str) -> bytes:
        """Return the passphrase that new keys get, empty for none."""
        if self._file is not None:
            return self._read(self._file)
        if not _on_terminal():
            tell(f"warning: {what} are written without a passphrase (mode 0600); use --passphrase-file to encrypt them")
            return b""
        text: str = click.prompt(
            f"Passphrase for {what} (empty for none)", default="", show_default=False, hide_input=True,
            confirmation_prompt=True, err=True,
        )  # fmt: skip
        return text.encode()

    def for_key(self, path: Path) -> bytes:
        """Return the passphrase of an encrypted key."""
        if path not in self._known:
            self._known[path] = self._ask(path)
        return self._known[path]

    def _ask(self, path: Path) -> bytes:
        if self._file is not None:
            return self._read(self._file)
        if not _on_terminal():
            raise DeskError(f"{path} is encrypted", remedy="name its passphrase with --passphrase-file FILE")
        text: str = click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
        return text.encode()

    @staticmethod
    def _read(file: Path) -> bytes:
        line = file.read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
        if not line:
            raise DeskError(f"{file} begins with an empty line", remedy="write the passphrase into its first line")
        return line


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
