"""The update log in the database: append in the caller's transaction, read what lies there, sign what was appended.

Rules: an index is never used twice, even where entries were taken out by force: the next one follows the largest that
the entries, the tree or a checkpoint know, so that a hole stays visible. Rows wait in memory until something reads the
log or the unit commits, so that a thousand entries cost one statement. A checkpoint is signed in the transaction of its
entries, and only when the tree still is what the newest checkpoint, stored or published, said: a log that was tampered
with is recorded further, but nothing is signed for it. The tree's right edge is kept from commit to commit, so that an
append reads one row; it is read anew whenever the store's size is not the one that was committed last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import func, or_, select

from sopwith_controller.adapters.database.checkpoint_files import BLOCK
from sopwith_controller.adapters.database.log_tables import update_log, update_log_checkpoints, update_log_nodes
from sopwith_controller.adapters.database.tables import settings
from sopwith_controller.adapters.database.transaction import Transaction, pieces
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.evaluation import PROFILE
from sopwith_controller.domain.update_log import entry_of
from sopwith_controller.services.ports import Clock
from sopwith_controller.services.update_log_ports import LogSigner
from sopwith_formats import merkle
from sopwith_formats.checkpoint import Checkpoint, read_checkpoint
from sopwith_formats.errors import FormatError
from sopwith_formats.log_entry import FIRST_PREVIOUS, LogRow, row_of
from sopwith_formats.merkle import Frontier, TreeNode

_log = structlog.get_logger()
_UNKNOWN = bytes(32)
"""Stands for a node that somebody took out: any root over it is wrong, and nothing is signed."""


@dataclass(frozen=True)
class Edge:
    """Where the log ended when it was committed last."""

    size: int
    digests: tuple[bytes, ...]
    previous: bytes
    signed_size: int
    may_sign: bool


class SqlUpdateLog:
    """Implements the `UpdateLog` port."""

    def __init__(
        self,
        transaction: Transaction,
        clock: Clock,
        signer: LogSigner | None,
        *,
        published: Checkpoint | None,
        edge: Edge | None,
    ) -> None:
        self._transaction = transaction
        self._clock = clock
        self._signer = signer
        self._published = published
        self._edge = edge
        self._tree: Frontier | None = None
        self._previous = FIRST_PREVIOUS
        self._may_sign = False
        self._signed_before = 0
        self._new_rows: list[dict[str, Any]] = []
        self._new_nodes: dict[tuple[int, int], TreeNode] = {}
        self._evaluation: bool | None = None
        self.appended = False
        self.signed = ""

    async def append(self, draft: LogDraft) -> int:
        """Append one entry; return its index."""
        self._transaction.check_writable()
        tree = self._tree or await self._load_edge()
        index = tree.size
        evaluation = await self._is_evaluation()
        row, self._previous = row_of(entry_of(draft, index, self._clock.now(), evaluation=evaluation), self._previous)
        values = dict(vars(row))
        values["entry_index"] = values.pop("index")
        self._new_rows.append(values)
        for node in tree.append(merkle.leaf_hash(row.canonical_json.encode())):
            self._new_nodes[node.level, node.index] = node
        self.appended = True
        return index

    async def _is_evaluation(self) -> bool:
        """Tell whether an evaluation lasts, asked once in each transaction that records."""
        if self._evaluation is None:
            rows = await self._transaction.rows(select(settings.c.profile))
            self._evaluation = bool(rows) and rows[0].profile == PROFILE
        return self._evaluation

    async def finish(self) -> None:
        """Write what waits and sign the new size; called once, before the commit."""
        await self._flush()
        if not self.appended or self._signer is None or self._tree is None:
            return
        if not self._may_sign:
            _log.error("checkpoint_withheld", size=self._tree.size, reason="the stored log is not what was signed")
            return
        size = self._tree.size
        self.signed = self._signer.sign(size, self._tree.root())
        row = {"block": size // BLOCK, "size": size, "checkpoint": self.signed}
        await self._transaction.put(update_log_checkpoints, [row])

    def edge(self) -> Edge | None:
        """Return where the log ends, to be kept once this transaction is committed; None when nobody looked."""
        if self._tree is None:
            return self._edge
        signed = self._tree.size if self.signed else self._signed_before
        return Edge(self._tree.size, self._tree.edge(), self._previous, signed, self._may_sign)

    async def size(self) -> int:
        """Return the number of entries."""
        await self._flush()
        rows = await self._transaction.rows(select(func.count()).select_from(update_log))
        return int(rows[0][0])

    async def entries(self, start: int, limit: int, *, rollout: str = "", computer: str = "") -> Sequence[LogRow]:
        """Return entries from an index on."""
        await self._flush()
        wanted = select(update_log).where(update_log.c.entry_index >= start)
        if rollout:
            wanted = wanted.where(update_log.c.rollout == rollout)
        if computer:
            wanted = wanted.where(update_log.c.computer == computer)
        rows = await self._raw_rows(wanted.order_by(update_log.c.entry_index).limit(limit))
        return [LogRow(*row) for row in rows]

    async def nodes(self, after: tuple[int, int] | None, limit: int) -> Sequence[TreeNode]:
        """Return stored tree nodes after an address."""
        await self._flush()
        table = update_log_nodes.c
        wanted = select(table.level, table.node_index, table.digest)
        if after is not None:
            level, index = after
            wanted = wanted.where(or_(table.level > level, (table.level == level) & (table.node_index > index)))
        rows = await self._raw_rows(wanted.order_by(table.level, table.node_index).limit(limit))
        return [TreeNode(level, index, _bytes(digest)) for level, index, digest in rows]

    async def checkpoints(self) -> Sequence[str]:
        """Return the stored signed checkpoints, smallest first."""
        table = update_log_checkpoints.c
        rows = await self._raw_rows(select(table.checkpoint).order_by(table.size))
        return [str(row.checkpoint) for row in rows]

    async def newest_checkpoint(self) -> str:
        """Return the signed checkpoint of the largest size."""
        table = update_log_checkpoints.c
        rows = await self._raw_rows(select(table.checkpoint).order_by(table.size.desc()).limit(1))
        return str(rows[0].checkpoint) if rows else ""

    async def consistency_proof(self, old: int, new: int) -> Sequence[bytes]:
        """Return the hashes that prove that the log only grew."""
        return await self._proof(merkle.consistency_ranges(old, new))

    async def inclusion_proof(self, index: int, size: int) -> Sequence[bytes]:
        """Return the hashes that prove that an entry is in the log."""
        return await self._proof(merkle.inclusion_ranges(index, size))

    async def _proof(self, ranges: list[tuple[int, int]]) -> list[bytes]:
        await self._flush()
        digests = await self._digests([one for part in ranges for one in merkle.range_addresses(*part)])
        return merkle.proof(ranges, lambda level, index: digests.get((level, index), _UNKNOWN))

    async def _load_edge(self) -> Frontier:
        """Take up the log's end, from memory when the store still ends there; decide whether it may be signed."""
        entry, leaf, signed = (await self._transaction.rows(_FURTHEST))[0]
        size = max((-1 if number is None else number) + 1 for number in (entry, leaf))
        edge = self._edge
        if edge is not None and (edge.size, edge.size, edge.signed_size) == ((entry or 0) + 1, size, signed or 0):
            self._previous, self._may_sign, self._signed_before = edge.previous, edge.may_sign, edge.signed_size
            self._tree = Frontier(size, edge.digests)
            return self._tree
        promised = _newest(await self.newest_checkpoint(), self._published)
        size = max(size, promised.size if promised else 0)
        if size:
            last = select(update_log.c.entry_sha256).where(update_log.c.entry_index == size - 1)
            rows = await self._raw_rows(last)
            self._previous = _digest_of(rows[0].entry_sha256) if rows else _UNKNOWN
        self._tree = Frontier(size, await self._at(merkle.frontier_addresses(size)))
        self._may_sign = promised is None or await self._grew_from(promised, self._tree)
        self._signed_before = signed or 0
        return self._tree

    async def _grew_from(self, promised: Checkpoint, tree: Frontier) -> bool:
        if promised.size == tree.size:
            return promised.root == tree.root()
        if not promised.size:
            return True
        hashes = await self.consistency_proof(promised.size, tree.size)
        return merkle.verify_consistency(promised.size, tree.size, promised.root, tree.root(), hashes)

    async def _at(self, addresses: list[tuple[int, int]]) -> list[bytes]:
        digests = await self._digests(addresses)
        return [digests.get(address, _UNKNOWN) for address in addresses]

    async def _digests(self, addresses: list[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        table = update_log_nodes.c
        found: dict[tuple[int, int], bytes] = {}
        for some in pieces(addresses):
            places = [(table.level == level) & (table.node_index == index) for level, index in some]
            rows = await self._raw_rows(select(table.level, table.node_index, table.digest).where(or_(*places)))
            found.update({(level, index): _bytes(digest) for level, index, digest in rows})
        return found

    async def _flush(self) -> None:
        rows, nodes = self._new_rows, list(self._new_nodes.values())
        self._new_rows, self._new_nodes = [], {}
        if rows:
            await self._transaction.write(update_log.insert(), rows)
            values = [{"level": one.level, "node_index": one.index, "digest": one.digest} for one in nodes]
            await self._transaction.put(update_log_nodes, values)

    async def _raw_rows(self, statement: Any) -> Sequence[Any]:
        """Read rows as they lie: bytes that are no UTF-8, put there by force, must not hide behind an error."""
        if self._transaction.dialect != "sqlite":
            return await self._transaction.rows(statement)
        raw = await self._transaction.connection.get_raw_connection()
        connection: Any = raw.driver_connection
        connection.text_factory = _any_text
        try:
            return await self._transaction.rows(statement)
        finally:
            connection.text_factory = str


_FURTHEST = select(
    select(func.max(update_log.c.entry_index)).scalar_subquery(),
    select(func.max(update_log_nodes.c.node_index)).where(update_log_nodes.c.level == 0).scalar_subquery(),
    select(func.max(update_log_checkpoints.c.size)).scalar_subquery(),
)


def _newest(stored: str, published: Checkpoint | None) -> Checkpoint | None:
    try:
        known = read_checkpoint(stored) if stored else None
    except FormatError:
        known = None
    return max((one for one in (known, published) if one is not None), key=lambda one: one.size, default=None)


def _any_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(digest: Any) -> bytes:
    return digest if isinstance(digest, bytes) else str(digest).encode("utf-8", "surrogateescape")


def _digest_of(text: Any) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except (TypeError, ValueError):
        return _UNKNOWN
    return digest if len(digest) == len(_UNKNOWN) else _UNKNOWN
