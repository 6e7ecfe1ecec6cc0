"""How TUF metadata is fetched: bounded in size and time, and refused where one key poses as two.

The rules of TUF itself (signatures, versions, expiry, delegations) are python-tuf's; this module decides only how its
bytes are fetched, and adds the one rule that the library leaves out: no role may name the same public key under two key
ids, because a threshold counts key ids.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    RepositoryError,
    SlowRetrievalError,
)
from tuf.ngclient import FetcherInterface

from sopwith_agent.adapters.source_transport import PORTAL_REMEDY, TransferError, Transport

REFRESH_DEADLINE_SECONDS = 120.0
FILE_DEADLINE_SECONDS = 60.0
_PIECE = 64 * 2**10
_OK = 200


class MetadataFetcher(FetcherInterface):
    """Fetches metadata for one refresh and the look-ups that follow it."""

    def __init__(self, transport: Transport, *, deadline_seconds: float = REFRESH_DEADLINE_SECONDS) -> None:
        self._transport = transport
        self._deadline = time.monotonic() + deadline_seconds

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return one metadata file of at most `max_length` bytes."""
        deadline = min(self._deadline, time.monotonic() + FILE_DEADLINE_SECONDS)
        try:
            data = self._body(url, max_length, deadline)
        except TransferError as error:
            raise SlowRetrievalError(error.message) from error
        check_keys(data)
        return data

    def _body(self, url: str, max_length: int, deadline: float) -> bytes:
        with self._transport.get(url, deadline=deadline) as answer:
            if answer.status != _OK:
                raise DownloadHTTPError(f"{url} answers with status {answer.status}", answer.status)
            if (answer.content_length or 0) > max_length:
                raise DownloadLengthMismatchError(f"{url} is longer than the {max_length} bytes allowed")
            body = bytearray()
            while piece := answer.read(min(_PIECE, max_length + 1 - len(body))):
                body += piece
                if len(body) > max_length:
                    raise DownloadLengthMismatchError(f"{url} is longer than the {max_length} bytes allowed")
            if answer.is_page and body.lstrip()[:1] == b"<":
                raise DownloadError(f"{url} answers with a web page instead of metadata; {PORTAL_REMEDY}")
            return bytes(body)

    def _fetch(self, url: str) -> Iterator[bytes]:
        # The library asks through download_bytes; files come through source_download.
        raise DownloadError(f"{url} is fetched by the downloader only")


def check_keys(data: bytes) -> None:
    """Raise RepositoryError where one role names one public key under two key ids; other faults are python-tuf's."""
    try:
        signed = json.loads(data)["signed"]
        delegations = signed if signed["_type"] == "root" else signed.get("delegations") or {}
        keys: dict[str, Any] = delegations.get("keys") or {}
        found = delegations.get("roles") or {}
        roles = [*(found.values() if isinstance(found, dict) else found), delegations.get("succinct_roles") or {}]
        named = [[_material(keys[keyid]) for keyid in role.get("keyids", ()) if keyid in keys] for role in roles]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # not metadata at all: the library refuses it by name
    if any(len(set(materials)) != len(materials) for materials in named):
        raise RepositoryError("a role names the same key under two key ids")


def _material(key: dict[str, Any]) -> str:
    return json.dumps([key.get("keytype"), "".join(str(key["keyval"].get("public")).split()).lower()])
