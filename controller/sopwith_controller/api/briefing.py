"""What a computer is told when it comes, and when something of it changes: SOP in force, source, freeze, keys.

This module decides nothing; it reads the tables and the source and writes wire messages. Which revision is effective is
`services.sops`', what the source's root is was signed by people.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from sopwith.v1 import agent_service_pb2
from sopwith_controller.api.translate import to_timestamp
from sopwith_controller.domain.entities import Computer, SopRevision
from sopwith_controller.services.governing import told_of
from sopwith_controller.services.ports import Clock, Database, SourceStore
from sopwith_formats.agent_policy import read_agent_policy
from sopwith_formats.sop_policy import read_sop_policy

FIRST_ROOT = "1.root.json"


@dataclass(frozen=True)
class FleetKeys:
    """What every computer and person of the fleet trusts: public things only."""

    trust_bundle_pem: bytes
    warrant_keys_pem: bytes
    log_key: str


class Briefing:
    """Reads what there is to say."""

    def __init__(
        self, database: Database, clock: Clock, source: SourceStore, *, web_address: str, version: str, keys: FleetKeys
    ) -> None:
        self._database = database
        self._clock = clock
        self._source = source
        self._base = f"https://{web_address}/source"
        self._version = version
        self._keys = keys

    @property
    def metadata_url(self) -> str:
        """Where the source's metadata is served."""
        return f"{self._base}/metadata/"

    @property
    def files_url(self) -> str:
        """Where the source's files are served."""
        return f"{self._base}/targets/"

    async def welcome(self, computer: Computer, heartbeat: timedelta) -> agent_service_pb2.Welcome:
        """Return the answer to a Hello."""
        now = self._clock.now()
        async with self._database.read() as unit:
            revision = await told_of(unit, computer)
            freezes = await unit.freezes.active(now)
        return agent_service_pb2.Welcome(
            computer_id=computer.id,
            name=computer.name,
            heartbeat_seconds=round(heartbeat.total_seconds()),
            acknowledged_sequence=computer.acknowledged_sequence,
            sop=sop_update(revision) if revision is not None else None,
            controller_time=to_timestamp(now),
            version=self._version,
            frozen=bool(freezes),
            newest_receipt=agent_service_pb2.ReceiptPlace(
                number=computer.receipts_seen, payload_sha256=computer.newest_receipt_sha256
            ),
            labels=computer.labels,
        )

    async def source_designation(self) -> agent_service_pb2.SourceDesignation | None:
        """Return how a computer is told of the source; None before there is one."""
        view = await self._source.view()
        if view is None or FIRST_ROOT not in view.metadata:
            return None
        return agent_service_pb2.SourceDesignation(
            root_json=view.metadata[FIRST_ROOT], metadata_url=self.metadata_url, files_url=self.files_url
        )

    def trust(self) -> agent_service_pb2.TrustBundleUpdate:
        """Return the authorities and keys that the fleet trusts."""
        return agent_service_pb2.TrustBundleUpdate(
            trust_bundle_pem=self._keys.trust_bundle_pem,
            warrant_keys_pem=self._keys.warrant_keys_pem,
            log_key=self._keys.log_key,
        )


def sop_update(revision: SopRevision) -> agent_service_pb2.SopUpdate:
    """Return how a computer is told which SOP is effective."""
    return agent_service_pb2.SopUpdate(
        id=revision.id,
        revision=revision.revision,
        policy_sha256=revision.policy_sha256,
        agent_policy_json=_agent_policy_json(revision.policy_json),
    )


@lru_cache(maxsize=4)
def _agent_policy_json(policy_json: str) -> str:
    """Return the agent's part of a policy; kept, because every computer that comes is told the same."""
    return read_agent_policy(read_sop_policy(policy_json).readiness).to_json().decode()
