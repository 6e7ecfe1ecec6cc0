"""The warrant: what the controller signs for one assignment, and what the agent, the last gate, reads.

The payload is canonical JSON with exactly these keys; the agent refuses a payload with others. The signature (ECDSA
P-256 over SHA-256, by the controller's warrant key) is made over `PREFIX + payload`. A warrant authorises *when* and
*under which SOP* a signed release may be installed; *what* may be installed only the signed source can say. It carries
the evidence of its change class: who asked, and the approvals of the plan as their givers signed them, so that the
agent believes no controller that forgot to look. All warrants of a rollout share the evidence.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError
from sopwith_formats.units import format_time, parse_time

FORMAT = 1
EVIDENCE_MAX = 16
"""More approvals than this are not carried."""
PREFIX = b"sopwith-warrant-v1\n"


@dataclass(frozen=True)
class Warrant:
    """One assignment's instruction. Times are UTC; digests 64 hexadecimal digits; durations whole seconds."""

    assignment_id: str
    generation: int
    """Counts re-issues after a retry; a lower one than known is refused."""
    computer_id: str
    computer_name: str
    rollout_id: str
    release: str
    """The release's name; with `version` it names the target `<release>/<version>/release.json`."""
    version: str
    manifest_sha256: str
    sop_id: str
    sop_revision: int
    policy_sha256: str
    plan_sha256: str
    change_class: str
    emergency: bool
    attempts_max: int
    deadline_time: datetime
    """When the assignment must have ended."""
    start_until_time: datetime | None
    """Latest start of the install, the first lease; None means: prepare and stage, wait for a LeaseRenewal."""
    issued_time: datetime
    policy: dict[str, Any]
    """Agent-side parameters of the SOP: readiness and connectivity thresholds, backup, reboot (see agent policy)."""
    requester: str = ""
    """Id of the person who asked for the rollout, as it stands in their certificate; never one of the approvers."""
    approvals_needed: int = 0
    approvals: list[dict[str, str]] = field(default_factory=list)
    """The evidence: `envelope` (DSSE, JSON) and `certificate` (PEM) of each approval."""
    despite_freeze: str = ""
    """Id of the deviation by which no freeze holds this assignment under its first lease; empty: none."""

    def payload(self) -> bytes:
        """Return the canonical bytes that are signed."""
        document = dict(vars(self))  # flat but for the policy, which every warrant of a rollout shares
        for key in ("deadline_time", "start_until_time", "issued_time"):
            document[key] = format_time(document[key]) if document[key] else None
        return canonical_json.encode({"format": FORMAT, **document})


def read_warrant(payload: bytes) -> Warrant:
    """Return the warrant of signed bytes; raise FormatError when a key is missing, unknown or of the wrong type."""
    document = canonical_json.decode_canonical(payload, size_max=256 * 2**10)
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise FormatError("is no warrant of a known format")
    fields = Warrant.__dataclass_fields__
    if document.keys() != fields.keys():
        odd = sorted(document.keys() ^ fields.keys())
        raise FormatError(f"lacks or adds the keys {', '.join(odd)}")
    kinds: dict[str, type] = {
        "generation": int,
        "sop_revision": int,
        "attempts_max": int,
        "emergency": bool,
        "policy": dict,
        "approvals_needed": int,
        "approvals": list,
    }
    for key, value in document.items():
        if key == "start_until_time" and value is None:
            continue
        if type(value) is not kinds.get(key, str):
            raise FormatError(f"has a value of type {type(value).__name__}", where=key)
    _check_evidence(document["approvals"])
    for key in ("deadline_time", "start_until_time", "issued_time"):
        document[key] = parse_time(document[key]) if document[key] else None
    return Warrant(**document)


def _check_evidence(approvals: list[Any]) -> None:
    if len(approvals) > EVIDENCE_MAX:
        raise FormatError(f"holds more than {EVIDENCE_MAX} approvals", where="approvals")
    for one in approvals:
        whole = isinstance(one, dict) and one.keys() == {"envelope", "certificate"}
        if not whole or not all(isinstance(text, str) for text in one.values()):
            raise FormatError("holds what is no approval with its certificate", where="approvals")
