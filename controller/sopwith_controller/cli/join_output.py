"""Join strings on the command line: printed once, read from where no process list shows them."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from sopwith_controller.cli.output import emit_document, tell, time_text
from sopwith_controller.cli.verbs import state
from sopwith_controller.desk.context import Context
from sopwith_controller.desk.join_strings import make_join
from sopwith_formats.join import Join, parse_join

_LENGTH_MAX = 4096


def print_join(context: Context, reply: Any) -> None:
    """Print the join string of an issued token; the trust in it comes from this machine's own context."""
    new = make_join(context, token=reply.token, web_address=reply.web_address, ca_fingerprint=reply.ca_fingerprint)
    expires = time_text(reply, "expires_time")
    if state().output in ("json", "yaml"):
        document = {
            "join": new.join,
            "token": new.token,
            "ca_fingerprint": new.ca_fingerprint,
            "source_root_sha256": new.source_root_sha256,
            "expires_at": expires,
        }
        emit_document(state().output, document)
    else:
        print(new.join)
        tell(f"good until {expires}; it is shown this once")
    if not new.source_root_sha256:
        tell("this context pins no source yet, so the join string names none; `sopwith source init` comes first")


def read_join(argument: str | None, file: str | None) -> Join:
    """Return the join string from --join-file, else the argument, else SOPWITH_JOIN; raise a usage error for none."""
    if argument and file:
        raise click.UsageError("give the join string once: as argument or by --join-file")
    if file == "-":
        return parse_join(sys.stdin.read(_LENGTH_MAX))
    if file:
        with Path(file).open(encoding="utf-8", errors="replace") as lines:
            return parse_join(lines.read(_LENGTH_MAX))
    text = argument or os.environ.get("SOPWITH_JOIN", "")
    if not text:
        raise click.UsageError("give the join string by --join-file FILE, or in SOPWITH_JOIN")
    return parse_join(text)
