"""What people add to a revision of a SOP: comments, announcements, signing links, and who holds it. Frozen records.

Which of these is allowed when is decided by `sop_comment`, `sop_announcement` and `signing_link`. Times are UTC, empty
text means absent, digests are 64 hexadecimal digits.
"""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class SopComment:
    """A reviewer's remark on one revision, as the document stood then."""

    id: str
    sop_id: str
    revision: int
    document_sha256: str
    question: str
    """accuracy, clarity or completeness."""
    clause: str
    """The clause that it is about; empty: the whole document."""
    text: str
    blocking: bool
    author: str
    created_time: datetime
    resolution: str = ""
    """What was done about it; empty: it is open."""
    resolved_by: str = ""
    resolved_time: datetime | None = None


@dataclass(frozen=True)
class SopAnnouncement:
    """How one revision was made known, and to whom."""

    id: str
    sop_id: str
    revision: int
    document_sha256: str
    channel: str
    """mail, meeting or training."""
    recipients: tuple[str, ...]
    """Names of those who were told or invited."""
    attendees: tuple[str, ...]
    """Names of those who came; only of a meeting or a training session."""
    note: str
    announced_by: str
    created_time: datetime
    held_time: datetime | None = None
    """When the meeting or the session was; None for mail."""


@dataclass(frozen=True)
class SigningLink:
    """Leave for one person to sign one revision once, by a page or by a code; the secret itself is never stored."""

    id: str
    secret_sha256: str
    kind: str
    """page: a link that a browser opens; code: what was sent to the person to sign anew with."""
    sop_id: str
    revision: int
    document_sha256: str
    person_id: str
    role: str
    created_by: str
    created_time: datetime
    expires_time: datetime
    payloads: dict[str, str] = field(default_factory=dict)
    """Statement to sign by its decision, as it was first handed out: a page signs what it showed."""
    used_time: datetime | None = None


@dataclass(frozen=True)
class SopReceipt:
    """One computer's word which revision it holds."""

    computer_id: str
    sop_id: str
    revision: int
    policy_sha256: str
    received_time: datetime
