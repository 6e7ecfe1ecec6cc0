"""Whether an update log is whole: everything recomputed from its entries, every stored hash, node and note compared.

This module decides what counts as a fault and says each in one sentence with its place. It reads nothing by itself:
the controller feeds it from the database, `sopwith log verify FILE` from an export; both judge alike. Rules: the exact
bytes of an entry are the root of everything, so the columns beside them, the links, the tree and the checkpoints must
all follow from them; no stored hash is believed; one fault does not hide the next.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sopwith_formats import merkle
from sopwith_formats.checkpoint import VerifierKey, Verify, read_checkpoint
from sopwith_formats.errors import FormatError
from sopwith_formats.log_entry import FIRST_PREVIOUS, FORMAT, ROW_FIELDS, LogRow, link, text_of
from sopwith_formats.merkle import Frontier, TreeNode

FAULTS_MAX = 200
_DIGEST_BYTES = 32
_GAP_MAX = 100_000
_KEYS = {"format", *ROW_FIELDS} - {"canonical_json", "entry_sha256"}
_COLUMNS = tuple(name for name in ROW_FIELDS if name in _KEYS and name != "details")


@dataclass(frozen=True)
class Verdict:
    """What a verification found; the log is whole when there are no faults."""

    size: int
    root: bytes
    faults: tuple[str, ...]
    checkpoints: int
    """How many checkpoints were compared."""
    newest_checkpoint_size: int


class LogVerification:
    """One verification: feed entries, then nodes, then checkpoints, each in order, and take the verdict."""

    def __init__(self) -> None:
        self.size = 0
        self._tree = Frontier()
        self._levels: list[bytearray] = []
        self._previous = {FIRST_PREVIOUS}
        self._faults: list[str] = []
        self._more_faults = 0
        self._nodes_seen: list[int] = []
        self._node_before = (-1, -1)
        self._checkpoints = 0
        self._newest = 0

    def add_entries(self, rows: Iterable[LogRow]) -> None:
        """Check entries that follow those before."""
        for row in rows:
            self._add(row)

    def add_nodes(self, nodes: Iterable[TreeNode]) -> None:
        """Check stored tree nodes, in order of (level, index), after all entries."""
        for node in nodes:
            self._check_node(node)

    def add_checkpoint(self, text: str, key: VerifierKey | None = None, verify: Verify | None = None) -> None:
        """Check one note against the tree, and its signature where a key is given."""
        self._checkpoints += 1
        try:
            checkpoint = read_checkpoint(text)
        except FormatError as error:
            self._fault(f"A stored checkpoint cannot be read: it {error}.")
            return
        if key is not None and verify is not None and not checkpoint.is_signed_by(key, verify):
            self._fault(f"The checkpoint of {checkpoint.size} entries is not signed by the log key {key.name}.")
            return
        self._newest = max(self._newest, checkpoint.size)
        if checkpoint.size > self.size:
            self._fault(
                f"A checkpoint says that the log had {checkpoint.size} entries, but it ends before entry {self.size}: "
                f"entries were taken out of its end."
            )
        elif self.root_at(checkpoint.size) != checkpoint.root:
            self._fault(
                f"The checkpoint of {checkpoint.size} entries does not fit: an entry before entry {checkpoint.size} "
                f"was changed, taken out or put in after it was signed."
            )

    def add_absence(self, sentence: str) -> None:
        """Count as a fault that something which was asked for is not there."""
        self._fault(sentence)

    def verdict(self) -> Verdict:
        """Return what was found, with what is missing."""
        for level, digests in enumerate(self._levels):
            seen = self._nodes_seen[level] if level < len(self._nodes_seen) else 0
            missing = len(digests) // _DIGEST_BYTES - seen
            if missing > 0:
                self._fault(f"{missing} hashes of level {level} of the tree are missing.")
        if self._newest < self.size and self._checkpoints:
            last = self.size - 1
            span = f"Entry {last} is" if self._newest == last else f"Entries {self._newest} to {last} are"
            self._fault(f"{span} covered by no signed checkpoint.")
        faults = list(self._faults)
        if self._more_faults:
            faults.append(f"{self._more_faults} more faults are not listed.")
        return Verdict(self.size, self._tree.root(), tuple(faults), self._checkpoints, self._newest)

    def root_at(self, size: int) -> bytes:
        """Return the recomputed root over the first `size` entries."""
        digests = [self._digest(level, index) for level, index in merkle.frontier_addresses(size)]
        return merkle.fold(digests) if digests else merkle.EMPTY_ROOT

    def _add(self, row: LogRow) -> None:
        self._check_place(row.index)
        at = f"Entry {self.size}"
        canonical = str(row.canonical_json)
        data = canonical.encode("utf-8", "surrogateescape")
        if text_of({**vars(row), "format": FORMAT}) != row.canonical_json:
            self._find_columns(at, row, canonical)
        digests = {link(previous, data) for previous in self._previous}
        stored = _digest_of(row.entry_sha256)
        if stored not in digests:
            after = f", or it does not follow entry {self.size - 1}" if self.size else ""
            self._fault(f"{at}: its digest is not that of its content{after}.")
        self._previous = digests | ({stored} if stored else set())
        self._grow(merkle.leaf_hash(data))

    def _check_place(self, index: Any) -> None:
        if not isinstance(index, int) or index < self.size:
            self._fault(f"Entry {self.size}: its place says {index!r}; entries are twice there or out of order.")
        elif index > self.size:
            span = f"Entry {self.size} is" if index == self.size + 1 else f"Entries {self.size} to {index - 1} are"
            self._fault(f"{span} missing.")
            for _ in range(min(index - self.size, _GAP_MAX)):
                self._grow(bytes(_DIGEST_BYTES))
            self._previous = {FIRST_PREVIOUS}

    def _find_columns(self, at: str, row: LogRow, canonical: str) -> None:
        """Say in what columns and exact bytes differ; they do."""
        try:
            document = json.loads(canonical)
        except (ValueError, RecursionError):
            self._fault(f"{at}: its exact bytes are no JSON; they were changed.")
            return
        if not isinstance(document, dict) or document.keys() != _KEYS or document["format"] != FORMAT:
            self._fault(f"{at}: its exact bytes are not written as an entry of format {FORMAT} is; they were changed.")
            return
        found = False
        for name in _COLUMNS:
            stored, said = getattr(row, name), document[name]
            if stored != said or type(stored) is not type(said):
                self._fault(f"{at}: column {name} says {stored!r}, the entry itself says {said!r}.")
                found = True
        if not found:
            self._fault(f"{at}: column details, or the writing of the exact bytes, is not what it was.")

    def _grow(self, leaf: bytes) -> None:
        for node in self._tree.append(leaf):
            if node.level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[node.level] += node.digest
        self.size += 1

    def _check_node(self, node: TreeNode) -> None:
        level, index = node.level, node.index
        where = f"The tree's hash {index} of level {level}"
        if (level, index) <= self._node_before:
            self._fault(f"{where} is there twice or out of order.")
            return
        self._node_before = (level, index)
        if not 0 <= level < len(self._levels) or not 0 <= index < len(self._levels[level]) // _DIGEST_BYTES:
            self._fault(f"{where} belongs to entries that are not there.")
            return
        while len(self._nodes_seen) <= level:
            self._nodes_seen.append(0)
        self._nodes_seen[level] += 1
        if node.digest != self._digest(level, index):
            first, last = index << level, ((index + 1) << level) - 1
            over = f"entry {first}" if first == last else f"entries {first} to {last}"
            self._fault(f"{where} is not that of {over}.")

    def _digest(self, level: int, index: int) -> bytes:
        start = index * _DIGEST_BYTES
        return bytes(self._levels[level][start : start + _DIGEST_BYTES])

    def _fault(self, sentence: str) -> None:
        if len(self._faults) < FAULTS_MAX:
            self._faults.append(sentence.encode("utf-8", "backslashreplace").decode())
        else:
            self._more_faults += 1


def _digest_of(text: Any) -> bytes | None:
    """Return the digest of exactly 64 lower-case hexadecimal digits; any other writing is a changed one."""
    try:
        digest = bytes.fromhex(text)
    except (TypeError, ValueError):
        return None
    return digest if digest.hex() == text and len(digest) == _DIGEST_BYTES else None
