"""What the cryptography library once said of the identity's files, remembered beside them.

Decides when a memory may be believed: when it was made of exactly these bytes. An agent at rest dials, looks at its
certificate's dates and names its receipt key without loading nine megabytes of library for it; each new certificate is
read by the library once. Nothing is believed here that a signature should prove: whoever can write this file can
replace the keys that it speaks of.

Rules: a memory is sealed with the digest of what it was made from; one that is missing, broken or of other bytes is as
none; one that cannot be written costs memory and time, and nothing else.
"""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_replace
from sopwith_formats.errors import FormatError

_FILE = "remembered.json"

Facts = dict[str, str]


def recall(folder: Path, subject: str, made_from: tuple[bytes, ...], learn: Callable[[], Facts]) -> Facts:
    """Return the remembered facts of a subject, or what `learn` says of these bytes, remembered from now on."""
    known = _read(folder)
    seal = _seal(made_from)
    entry = known.get(subject, {})
    if entry.get("seal") == seal:
        return {name: text for name, text in entry.items() if name != "seal"}
    facts = learn()
    with contextlib.suppress(OSError):
        document = {**known, subject: {**facts, "seal": seal}}
        durable_replace(folder / _FILE, canonical_json.encode(document), 0o600)
    return facts


def _read(folder: Path) -> dict[str, Facts]:
    try:
        document = canonical_json.decode((folder / _FILE).read_bytes())
    except (OSError, FormatError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {subject: entry for subject, entry in document.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(text, str) for text in entry.values())


def _seal(made_from: tuple[bytes, ...]) -> str:
    """Return one digest of several byte strings, which no other division of the same bytes has."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in made_from)).hexdigest()
