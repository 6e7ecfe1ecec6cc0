"""What a simulated computer keeps when its agent dies: journal, outbox, receipts, orders, and what is installed.

Decides numbers and digests as the agent's own outbox does: sequences count from 1 without gaps, receipts are numbered,
chained and signed with a real key, made once per assignment and generation.
"""

import hashlib
from dataclasses import dataclass, field, replace

from sopwith_agent.domain.record import Record
from sopwith_certs.signing import PrivateKey, sign
from sopwith_controller.services.agent_reports import Content, ReceiptReported, Report
from sopwith_formats.receipt import PREFIX, Receipt


@dataclass
class Disk:
    """One computer's lasting state."""

    computer_id: str
    key: PrivateKey
    installed: dict[str, str] = field(default_factory=dict)
    journal: dict[str, Record] = field(default_factory=dict)
    orders: bytes | None = None
    waiting: list[Report] = field(default_factory=list)
    """Reliable messages that are not acknowledged, in order."""
    sequence: int = 0
    receipts: dict[tuple[str, int], ReceiptReported] = field(default_factory=dict)
    issued: dict[str, Receipt] = field(default_factory=dict)
    """Digest of its payload to receipt: the truth that the controller's word is compared with."""
    _newest: str = ""

    def put(self, content: Content) -> Report:
        """Keep a reliable message."""
        self.sequence += 1
        digest = hashlib.sha256(repr(content).encode()).hexdigest()
        report = Report(self.computer_id, self.sequence, digest, content)
        self.waiting.append(report)
        return report

    def end(self, receipt: Receipt) -> Report | None:
        """Number, chain, sign and keep a receipt; a second one of an assignment and generation is dropped."""
        key = (receipt.assignment_id, receipt.generation)
        if key in self.receipts:
            return None
        payload = replace(receipt, number=len(self.receipts) + 1, previous_sha256=self._newest).payload()
        self._newest = hashlib.sha256(payload).hexdigest()
        self.issued[self._newest] = receipt
        self.receipts[key] = ReceiptReported(payload, sign(self.key, PREFIX + payload))
        return self.put(self.receipts[key])

    def repeat(self, assignment_id: str, generation: int) -> Report | None:
        """Send a receipt that was acknowledged once more."""
        content = self.receipts.get((assignment_id, generation))
        if content is None or any(report.content is content for report in self.waiting):
            return None
        return self.put(content)

    def acknowledge(self, sequence: int) -> list[Report]:
        """Forget what is durable at the controller, and return it."""
        durable = [report for report in self.waiting if report.sequence <= sequence]
        if durable:
            self.waiting = [report for report in self.waiting if report.sequence > sequence]
        return durable
