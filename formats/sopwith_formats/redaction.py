"""What is taken out of a log line before it is written: the last net under "a secret never reaches a log".

Decides which values are secret, by the name they are logged under and by what they look like; that no code hands
secrets to a log in the first place is the code's own duty. Rules: the whole value goes where its key says so; within
any other text only the secret part goes, so that the line still tells what happened; bytes are never shown; depth is
bounded, because a log line may hold what a peer sent.

>>> redacted({"event": "mail_refused", "detail": "smtp://mailer:hush@mail/ said no"})
{'event': 'mail_refused', 'detail': 'smtp://mailer:(kept secret)@mail/ said no'}
"""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(kept secret)"
_SECRET_KEY = re.compile(
    r"secret|password|passphrase|passwd|private_?key|(^|_)join(_|$)|(^|_)token(_|$)|authorization|cookie|api_?key|credential",
    re.IGNORECASE,
)
_PRIVATE_BLOCK = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_PARTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<kept>PRIVATE\+KEY\+[^\s+]*\+[0-9a-f]*\+)[a-z0-9+/=]+",
        r"(?P<kept>(?:^|[?&#\s;,])(?:token|password|secret|api_?key|access_token)=)[^&\s\"'<>]+",
        r"(?P<kept>[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s@]+(?=@)",
        r"(?P<kept>\b(?:Bearer|Basic)\s+)[a-z0-9._~+/=-]{8,}",
    )
)
_DEPTH_MAX = 6


def redacted(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return a log event without what is secret in it."""
    return {key: _named(key, value, 1) for key, value in event.items()}


def redacted_text(text: str) -> str:
    """Return a text without the secret parts that can be told by their look."""
    if "PRIVATE KEY-----" in text:
        text = _PRIVATE_BLOCK.sub(f"(a private key, {HIDDEN[1:]}", text)
    for pattern in _PARTS:
        text = pattern.sub(rf"\g<kept>{HIDDEN}", text)
    return text


def _named(key: object, value: Any, depth: int) -> Any:
    if isinstance(key, str) and _SECRET_KEY.search(key) and not isinstance(value, (bool, type(None))):
        return HIDDEN
    return _value(value, depth)


def _value(value: Any, depth: int) -> Any:
    if isinstance(value, (bool, int, float, type(None))):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"({len(value)} bytes)"
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _several(value, depth)
    return redacted_text(str(value))


def _several(values: Any, depth: int) -> Any:
    if depth > _DEPTH_MAX:
        return "(too deep)"
    if isinstance(values, Mapping):
        return {key: _named(key, item, depth + 1) for key, item in values.items()}
    return [_value(item, depth + 1) for item in values]
