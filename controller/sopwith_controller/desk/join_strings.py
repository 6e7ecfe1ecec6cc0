"""Join strings as an administrator's own machine makes them.

This module decides what a join string pins: the authority and the source's root from the administrator's own context,
never from what the controller answers, so that a controller that was broken into cannot pass on another trust. The
controller gives the token and its address only.
"""

import hashlib
from dataclasses import dataclass

from sopwith_controller.desk.context import Context
from sopwith_controller.desk.errors import DeskError, Refusal, RefusedError
from sopwith_formats.join import Join, format_join


@dataclass(frozen=True)
class NewJoin:
    """A join string and its parts; `source_root_sha256` is empty before the source is designated."""

    join: str
    token: str
    ca_fingerprint: str
    source_root_sha256: str


def make_join(context: Context, *, token: str, web_address: str, ca_fingerprint: str) -> NewJoin:
    """Return the join string for a token that the controller issued; refuse an authority that is not ours."""
    if ca_fingerprint and ca_fingerprint != context.ca_fingerprint:
        raise RefusedError(
            Refusal(
                gate="identity",
                clause="",
                reason=f"the controller shows the authority {ca_fingerprint}, this context pins another",
                remedy="find out who changed the controller's authority before anybody enrols",
            )
        )
    host, port = split_address(web_address or context.web_address)
    root = context.source_root_bytes()
    digest = hashlib.sha256(root).hexdigest() if root else ""
    join = Join(host, port, context.ca_fingerprint, f"sha256:{digest}" if digest else "", token)
    return NewJoin(format_join(join), token, context.ca_fingerprint, digest)


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT, an IPv6 host in brackets."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise DeskError(f"{address!r} is no address", remedy="an address reads HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
