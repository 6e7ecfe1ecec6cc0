"""The update log of the fake database: real entries, links, tree nodes and checkpoints, in dictionaries."""

from collections.abc import Sequence
from typing import Any

from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.update_log import entry_of
from sopwith_controller.services.ports import Clock
from sopwith_controller.services.update_log_ports import LogSigner
from sopwith_formats import merkle
from sopwith_formats.log_entry import FIRST_PREVIOUS, LogRow, row_of
from sopwith_formats.merkle import TreeNode


class FakeUpdateLog:
    """Implements the `UpdateLog` port."""

    def __init__(
        self, entries: Any, nodes: Any, checkpoints: Any, clock: Clock, signer: LogSigner | None, *, settings: Any
    ) -> None:
        self._settings = settings
        self._entries = entries
        self._nodes = nodes
        self._checkpoints = checkpoints
        self._clock = clock
        self._signer = signer

    async def append(self, draft: LogDraft) -> int:
        index: int = self._entries.count()
        previous = bytes.fromhex(self._entries.get(index - 1).entry_sha256) if index else FIRST_PREVIOUS
        settings = self._settings.get(1)
        evaluation = settings is not None and settings.profile == "evaluation"
        row, _ = row_of(entry_of(draft, index, self._clock.now(), evaluation=evaluation), previous)
        self._entries.put(index, row)
        frontier = self._frontier(index)
        for node in frontier.append(merkle.leaf_hash(row.canonical_json.encode())):
            self._nodes.put((node.level, node.index), node)
        return index

    def sign(self) -> None:
        """Sign what the log is now, when something was appended."""
        if self._signer is not None and self._entries.changed:
            size = self._entries.count()
            self._checkpoints.put(size, self._signer.sign(size, self._frontier(size).root()))

    async def size(self) -> int:
        count: int = self._entries.count()
        return count

    async def entries(self, start: int, limit: int, *, rollout: str = "", computer: str = "") -> Sequence[LogRow]:
        rows = sorted(self._entries.all(), key=lambda row: row.index)
        return [row for row in rows[start:] if rollout in {"", row.rollout} and computer in {"", row.computer}][:limit]

    async def nodes(self, after: tuple[int, int] | None, limit: int) -> Sequence[TreeNode]:
        nodes = sorted(self._nodes.all(), key=lambda node: (node.level, node.index))
        return [node for node in nodes if after is None or (node.level, node.index) > after][:limit]

    async def checkpoints(self) -> Sequence[str]:
        size = self._entries.count()
        return [text for text in map(self._checkpoints.get, range(size + 1)) if text is not None]

    async def newest_checkpoint(self) -> str:
        return next(iter((await self.checkpoints())[::-1]), "")

    async def consistency_proof(self, old: int, new: int) -> Sequence[bytes]:
        return merkle.proof(merkle.consistency_ranges(old, new), self._digest)

    async def inclusion_proof(self, index: int, size: int) -> Sequence[bytes]:
        return merkle.proof(merkle.inclusion_ranges(index, size), self._digest)

    def _frontier(self, size: int) -> merkle.Frontier:
        return merkle.Frontier(size, [self._digest(*address) for address in merkle.frontier_addresses(size)])

    def _digest(self, level: int, index: int) -> bytes:
        node: TreeNode = self._nodes.get((level, index))
        return node.digest
