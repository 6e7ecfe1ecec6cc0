"""What the controller told, kept in the state folder: the computer's name and labels, the SOP in force, the checkpoint.

Decides when a checkpoint is believed: signed by the log key that enrolment named, and proved to hold everything that
the one before held; a controller that shows a shorter or another log is told to the agent's log, and the older
checkpoint stays, as a witness. One exception: a log that was restored from a backup, which has to show the entry by
which it went on, with its proof. Each such entry is believed once, and the checkpoint of the log that is no more is
kept for good in `abandoned/`, because it is the evidence of what was lost.

An agent policy that this agent cannot read leaves the last good one in force. Which policies of the SOP were told stays
in mind, so that a warrant cannot bring another one under a known revision.
"""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from sopwith_agent.adapters.identity_store import IdentityStore
from sopwith_agent.domain.messages import CheckpointTold, RecoveryShown, SopInForce, Welcome
from sopwith_formats import canonical_json
from sopwith_formats.agent_policy import AgentPolicy, read_agent_policy
from sopwith_formats.durable import durable_replace, make_private_folder
from sopwith_formats.errors import FormatError

if TYPE_CHECKING:
    from sopwith_formats.checkpoint import Checkpoint

_log = structlog.get_logger()
_FLEET_FILE = "fleet.json"
_CHECKPOINT_FILE = "checkpoint"
_HELD_MAX = 64
_ABANDONED = "abandoned"
_RECOVERED = "LOG_RECOVERED"


def _name_of(shown: RecoveryShown) -> str:
    return hashlib.sha256(shown.entry_json.encode()).hexdigest()


class FileMemory:
    """Kept in two files of the state folder."""

    def __init__(self, state: Path, identity: IdentityStore) -> None:
        self._state = state
        self._identity = identity
        self.name = identity.trust().name
        self.labels: dict[str, str] = {}
        self.sop: SopInForce | None = None
        self.checkpoint = ""
        self._policy = AgentPolicy()
        self._held: list[tuple[str, int, str]] = []
        self._read()

    @property
    def policy(self) -> AgentPolicy:
        """The effective SOP's word to computers; the shipped one's before any."""
        return self._policy

    def digests(self, sop_id: str) -> dict[int, str]:
        """Return revision to policy digest of a SOP, as far as this computer was told; what was told first stands."""
        return {revision: digest for held_id, revision, digest in reversed(self._held) if held_id == sop_id}

    def welcomed(self, welcome: Welcome) -> None:
        """Keep the computer's name and the SOP."""
        self.name = welcome.name or self.name
        self.labels = dict(welcome.labels)
        self._take_sop(welcome.sop)

    def labels_told(self, labels: dict[str, str]) -> None:
        """Keep what people say about this computer."""
        self.labels = dict(labels)
        self._write()
        _log.info("labels_changed", labels=self.labels)

    def sop_changed(self, sop: SopInForce) -> None:
        """Keep the SOP."""
        self._take_sop(sop)
        _log.info("sop_changed", sop=sop.id, revision=sop.revision)

    def checkpoint_told(self, told: CheckpointTold) -> None:
        """Keep a newer checkpoint that holds all of the older log; refuse any other."""
        try:
            newer = self._check(told)
        except FormatError as error:
            _log.error("checkpoint_refused", error=str(error), symptom="LOG_INTEGRITY")
            return
        if newer and told.recovery is not None and self.checkpoint:
            self._abandon(told.recovery)
        if newer:
            durable_replace(self._state / _CHECKPOINT_FILE, told.checkpoint.encode(), 0o600)
            self.checkpoint = told.checkpoint

    def _check(self, told: CheckpointTold) -> bool:
        from sopwith_agent.adapters.checkpoint_signatures import verify
        from sopwith_formats.checkpoint import read_checkpoint, read_verifier_key
        from sopwith_formats.merkle import verify_consistency

        log_key = self._identity.trust().log_key
        if not log_key:
            raise FormatError("no log key is known")
        checkpoint = read_checkpoint(told.checkpoint)
        if not checkpoint.is_signed_by(read_verifier_key(log_key), verify):
            raise FormatError("the checkpoint is not signed by the fleet's log key")
        if not self.checkpoint:
            return True
        known = read_checkpoint(self.checkpoint)
        if told.recovery is not None:
            return self._check_recovery(told.recovery, checkpoint, known)
        if checkpoint.size == known.size and checkpoint.root == known.root:
            return False
        if checkpoint.size <= known.size:
            raise FormatError(f"the log of {checkpoint.size} entries contradicts the known one of {known.size}")
        if known.size and not verify_consistency(
            known.size, checkpoint.size, known.root, checkpoint.root, told.consistency_proof
        ):
            raise FormatError("the newer log does not hold all of the known one")
        return True

    def _check_recovery(self, shown: RecoveryShown, checkpoint: "Checkpoint", known: "Checkpoint") -> bool:
        """Believe a recovery that goes back behind what is known, whose entry is proved, and which is news."""
        from sopwith_formats.merkle import leaf_hash, verify_inclusion

        entry = canonical_json.decode(shown.entry_json.encode())
        if not isinstance(entry, dict) or (entry.get("kind"), entry.get("index")) != (_RECOVERED, shown.index):
            raise FormatError("the entry that should explain another log is no recovery")
        leaf = leaf_hash(shown.entry_json.encode())
        if not verify_inclusion(shown.index, checkpoint.size, leaf, shown.inclusion_proof, checkpoint.root):
            raise FormatError("the recovery does not stand in the log that it should explain")
        if shown.index >= known.size:
            raise FormatError(f"the recovery at {shown.index} explains nothing about a log of {known.size} entries")
        if (self._state / _ABANDONED / _name_of(shown)).exists():
            raise FormatError("this recovery was believed once already; it explains no second other log")
        return True

    def _abandon(self, shown: RecoveryShown) -> None:
        """Keep the evidence of the log that is no more, under the recovery that ended it."""
        make_private_folder(self._state / _ABANDONED)
        durable_replace(self._state / _ABANDONED / _name_of(shown), self.checkpoint.encode(), 0o600)
        _log.error("log_recovered", index=shown.index, entry=shown.entry_json[:1000])

    def _take_sop(self, sop: SopInForce | None) -> None:
        if sop is not None:
            try:
                self._policy = read_agent_policy(sop.agent_policy_json.encode())
            except FormatError as error:
                _log.error("agent_policy_refused", error=str(error))
            held = (sop.id, sop.revision, sop.policy_sha256)
            if held not in self._held:
                self._held = [*self._held, held][-_HELD_MAX:]
        self.sop = sop
        self._write()

    def _write(self) -> None:
        sop = asdict(self.sop) if self.sop else None
        document = {"name": self.name, "labels": self.labels, "sop": sop, "held": self._held}
        data = canonical_json.encode(document)
        path = self._state / _FLEET_FILE
        if not path.exists() or path.read_bytes() != data:
            durable_replace(path, data, 0o600)

    def _read(self) -> None:
        try:
            document: dict[str, Any] = canonical_json.decode((self._state / _FLEET_FILE).read_bytes())
            self.name = str(document["name"])
            self.labels = {str(key): str(value) for key, value in document.get("labels", {}).items()}
            self.sop = SopInForce(**document["sop"]) if document["sop"] else None
            if self.sop:
                self._policy = read_agent_policy(self.sop.agent_policy_json.encode())
            self._held = [(str(held[0]), int(held[1]), str(held[2])) for held in document.get("held", [])]
        except FileNotFoundError:
            pass
        except (FormatError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            _log.error("fleet_memory_broken", error=str(error))
        try:
            self.checkpoint = (self._state / _CHECKPOINT_FILE).read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            self.checkpoint = ""
