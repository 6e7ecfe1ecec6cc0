"""The join string: everything that a computer or a person needs to enrol, on one line.

`sopwith://HOST:WEBPORT/#ca=sha256:...&root=sha256:...&token=...`: the address, the authority's fingerprint, the pinned
root of the source (absent before the source is designated) and the one-time token (absent for a computer that waits
for a person). Everything secret or trusted stands behind the #, which no browser sends anywhere.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from sopwith_formats.errors import FormatError

_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_REMEDY = "copy the whole line that `sopwith token create` or `sopwith person invite` printed"


@dataclass(frozen=True)
class Join:
    """What a join string says. Fingerprints are "sha256:" and 64 hexadecimal digits; empty text means absent."""

    host: str
    port: int
    ca_fingerprint: str
    root_fingerprint: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return f"Join({self.host}:{self.port}, token={'present' if self.token else 'absent'})"

    @property
    def address(self) -> str:
        """Return HOST:PORT of the web address, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def format_join(join: Join) -> str:
    """Return the join string."""
    parts = [f"ca={join.ca_fingerprint}"]
    if join.root_fingerprint:
        parts.append(f"root={join.root_fingerprint}")
    if join.token:
        parts.append(f"token={join.token}")
    return f"sopwith://{join.address}/#{'&'.join(parts)}"


def parse_join(text: str) -> Join:
    """Return what a join string says; raise FormatError without repeating the secret."""
    parts = urlsplit(text.strip())
    if parts.scheme != "sopwith":
        raise FormatError("a join string begins with sopwith://", remedy=_REMEDY)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise FormatError("the join string's port is no number", remedy=_REMEDY) from error
    if not host or not port or parts.path not in ("", "/") or parts.query:
        raise FormatError("a join string reads sopwith://HOST:PORT/#ca=...", remedy=_REMEDY)
    pairs = parse_qsl(parts.fragment, keep_blank_values=True)
    values = dict(pairs)
    if len(values) != len(pairs) or not values.keys() <= {"ca", "root", "token"}:
        raise FormatError("the join string has an unknown or repeated part", remedy=_REMEDY)
    for key in ("ca", "root"):
        if (key in values or key == "ca") and not _FINGERPRINT.fullmatch(values.get(key, "")):
            raise FormatError(f"the join string's {key}= is no sha256 fingerprint", remedy=_REMEDY)
    if "token" in values and not _TOKEN.fullmatch(values["token"]):
        raise FormatError("the join string's token= is cut or changed", remedy=_REMEDY)
    return Join(host, port, values["ca"], values.get("root", ""), values.get("token", ""))
