"""The update log's witness on a computer: what it believes after a restore, and what it keeps for good."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sopwith_agent.adapters.fleet_memory import FileMemory
from sopwith_agent.domain.messages import CheckpointTold, RecoveryShown
from sopwith_certs.log_key import LogKey, make_log_key
from sopwith_formats import canonical_json, merkle
from sopwith_formats.merkle import Frontier

KEY = make_log_key("example.test")


class Identity:
    """Knows the log key and a name."""

    class _Trust:
        name = "pc1"
        log_key = KEY.verifier.text()

    def trust(self) -> Any:
        return self._Trust()


class Log:
    """A log that grows, and can show anything about itself."""

    def __init__(self, *entries: str) -> None:
        self.entries = list(entries)

    def root(self, size: int) -> bytes:
        tree = Frontier()
        for entry in self.entries[:size]:
            tree.append(merkle.leaf_hash(entry.encode()))
        return tree.root()

    def _digest(self, level: int, index: int) -> bytes:
        tree, found = Frontier(), b""
        for entry in self.entries:
            for node in tree.append(merkle.leaf_hash(entry.encode())):
                if (node.level, node.index) == (level, index):
                    found = node.digest
        return found

    def told(self, known: int = 0, recovery: int | None = None, key: LogKey = KEY) -> CheckpointTold:
        size = len(self.entries)
        proof = merkle.proof(merkle.consistency_ranges(known, size), self._digest) if 0 < known < size else []
        shown = None
        if recovery is not None:
            inclusion = merkle.proof(merkle.inclusion_ranges(recovery, size), self._digest)
            shown = RecoveryShown(recovery, self.entries[recovery], tuple(inclusion))
        return CheckpointTold(key.sign(size, self.root(size)), tuple(proof), shown)


def recovered(index: int, kind: str = "LOG_RECOVERED", reason: str = "disk") -> str:
    return canonical_json.encode({"index": index, "kind": kind, "reason": reason}).decode()


@pytest.fixture
def memory(tmp_path: Path) -> FileMemory:
    made = FileMemory(tmp_path, Identity())  # type: ignore[arg-type]
    made.checkpoint_told(Log("a", "b", "c", "d", "e").told())
    return made


def size(memory: FileMemory) -> int:
    return int(memory.checkpoint.splitlines()[1])


def test_restored_log_is_believed_with_its_recovery_and_the_old_checkpoint_stays(
    memory: FileMemory, tmp_path: Path
) -> None:
    before = memory.checkpoint
    log = Log("a", "b", recovered(2), "f")

    memory.checkpoint_told(log.told(recovery=2))

    assert size(memory) == 4
    assert [path.read_text() for path in (tmp_path / "abandoned").iterdir()] == [before]
    log.entries += ["g", "h"]
    memory.checkpoint_told(log.told(known=4))
    assert size(memory) == 6
    assert FileMemory(tmp_path, Identity()).checkpoint == memory.checkpoint  # type: ignore[arg-type]


def test_restored_log_that_has_outgrown_the_lost_one_needs_its_recovery_too(memory: FileMemory) -> None:
    log = Log("a", "b", recovered(2), "f", "g", "h", "i")

    memory.checkpoint_told(log.told(known=5))
    assert size(memory) == 5
    memory.checkpoint_told(log.told(recovery=2))

    assert size(memory) == 7


def _forged(told: CheckpointTold) -> CheckpointTold:
    assert told.recovery is not None
    return replace(told, recovery=replace(told.recovery, entry_json=recovered(2, reason="another")))


@pytest.mark.parametrize(
    "show",
    [
        pytest.param(lambda: Log("a", "b", recovered(2)).told(), id="no recovery"),
        pytest.param(lambda: Log("a", "b", recovered(2, "ROLLOUT_STARTED")).told(recovery=2), id="another kind"),
        pytest.param(lambda: Log("a", "b", recovered(1)).told(recovery=2), id="another index"),
        pytest.param(lambda: Log("a", "b", "no json").told(recovery=2), id="no entry"),
        pytest.param(lambda: _forged(Log("a", "b", recovered(2)).told(recovery=2)), id="not in the log"),
        pytest.param(
            lambda: Log("a", "b", recovered(2)).told(recovery=2, key=make_log_key("example.test")), id="other key"
        ),
        pytest.param(
            lambda: Log("a", "b", "x", "y", "z", recovered(5)).told(recovery=5), id="behind what is remembered"
        ),
    ],
)
def test_other_log_without_a_proved_recovery_is_refused(
    memory: FileMemory, tmp_path: Path, show: Callable[[], CheckpointTold]
) -> None:
    before = memory.checkpoint

    memory.checkpoint_told(show())

    assert memory.checkpoint == before
    assert not (tmp_path / "abandoned").exists()


def test_one_recovery_explains_one_other_log_only(memory: FileMemory) -> None:
    memory.checkpoint_told(Log("a", "b", recovered(2), "f", "g").told(recovery=2))
    before = memory.checkpoint

    memory.checkpoint_told(Log("a", "b", recovered(2), "falsified", "g", "h").told(recovery=2))

    assert memory.checkpoint == before
