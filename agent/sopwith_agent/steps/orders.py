"""What the controller allows at this moment: leases, withdrawals, freeze.

This module decides whether an install may start now, and is the one place where that question and a withdrawal meet:
`try_start` and `withdraw` hold one lock, so that exactly one of them wins. The session changes orders, the worker asks;
neither waits for the other.

Rules: no lease, no start; a lease is a time of the controller's clock; a freeze stops every start, whatever a lease
says, unless the lease itself says that a deviation lets it start (that word does not survive a restart); once an
install was started here, a withdrawal has no effect. Leave to reboot is another lease than leave to install, with the
same rules. Orders survive a restart: a frozen computer that starts again stays frozen until the controller says
otherwise.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError
from sopwith_formats.units import format_time, parse_time

SIZE_MAX_BYTES = 2**20


@dataclass(frozen=True)
class RebootLease:
    """Leave to reboot, by the controller's clock."""

    until: datetime | None
    """None: not now, for the reason."""
    reason: str = ""
    despite_freeze: bool = False
    """A deviation lets it reboot although a freeze is in force; does not survive a restart."""


class Orders:
    """Leases by assignment, withdrawals, and the freeze; safe to use from several threads."""

    def __init__(self, kept: bytes | None, keep: Callable[[bytes], None]) -> None:
        """Take up what was kept; `keep` makes the whole durable after each change and may raise OSError.

        Bytes that cannot be read count as: frozen, no lease. The controller's next word mends that.
        """
        self._lock = threading.Lock()
        self._keep = keep
        self._leases: dict[str, datetime | None] = {}
        self._reasons: dict[str, str] = {}
        self._despite_freeze: set[str] = set()
        self._reboots: dict[str, RebootLease] = {}
        self._marks: dict[str, int] = {}
        self._withdrawn: dict[str, str] = {}
        self._started: set[str] = set()
        self._frozen = False
        self._freeze_reason = ""
        if kept is not None:
            self._read(kept)

    @property
    def frozen(self) -> bool:
        """Tell whether no install may start."""
        with self._lock:
            return self._frozen

    def lease(
        self, assignment_id: str, start_until: datetime | None, reason: str = "", *, despite_freeze: bool = False
    ) -> None:
        """Set until when the assignment may start; None holds it, for the reason."""
        with self._lock:
            self._set(assignment_id, start_until, reason, despite_freeze=despite_freeze)

    def reboot_lease(self, assignment_id: str, lease: RebootLease) -> None:
        """Set until when the computer may reboot for the assignment."""
        with self._lock:
            self._reboots[assignment_id] = lease
            self._save()

    def reboot_hindrance(self, assignment_id: str, fleet_now: datetime) -> str:
        """Return why the computer may not reboot now, empty when it may."""
        with self._lock:
            lease = self._reboots.get(assignment_id, RebootLease(None))
            if self._frozen and not lease.despite_freeze:
                return self._freeze_reason or "a freeze is in force"
            if lease.until is None:
                return lease.reason or "the controller has not given leave to reboot yet"
            if fleet_now > lease.until:
                return "the leave to reboot has run out; the controller renews it over the live stream"
            return ""

    def hold_all(self, reason: str) -> None:
        """Take back every leave to start or to reboot: the time that they were given by does not hold any more."""
        with self._lock:
            self._leases = dict.fromkeys(self._leases)
            self._reasons = dict.fromkeys(self._leases, reason)
            self._reboots = {key: RebootLease(None, reason) for key in self._reboots}
            self._save()

    def mark(self, assignment_id: str) -> int:
        """Return how often the assignment's lease was set: what a warrant is compared with when it was verified."""
        with self._lock:
            return self._marks.get(assignment_id, 0)

    def first_lease(
        self, assignment_id: str, start_until: datetime | None, mark: int, *, despite_freeze: bool = False
    ) -> None:
        """Set the lease that a verified warrant brings, unless a newer word about it came since the mark."""
        with self._lock:
            if self._marks.get(assignment_id, 0) == mark:
                self._set(assignment_id, start_until, "", despite_freeze=despite_freeze)

    def withdraw(self, assignment_id: str, reason: str) -> bool:
        """Take the assignment back; False when its install has started and goes on."""
        with self._lock:
            if assignment_id in self._started:
                return False
            self._withdrawn[assignment_id] = reason
            self._save()
            return True

    def withdrawn(self, assignment_id: str) -> str | None:
        """Return why the assignment was withdrawn, None when it was not."""
        with self._lock:
            return self._withdrawn.get(assignment_id)

    def freeze(self, *, active: bool, reason: str) -> None:
        """Forbid every start, or allow them again."""
        with self._lock:
            if (active, reason) == (self._frozen, self._freeze_reason):
                return
            self._frozen, self._freeze_reason = active, reason
            self._save()

    def try_start(self, assignment_id: str, fleet_now: datetime) -> str:
        """Start the install: return empty text, from now on no withdrawal takes it back; or why it must wait."""
        with self._lock:
            hindrance = self._hindrance(assignment_id, fleet_now)
            if not hindrance:
                self._started.add(assignment_id)
            return hindrance

    def hindrance(self, assignment_id: str, fleet_now: datetime) -> str:
        """Return why the install would have to wait now, without starting it; empty: it could start."""
        with self._lock:
            return self._hindrance(assignment_id, fleet_now)

    def resume_start(self, assignment_id: str) -> None:
        """Take up an install that was started before the agent was."""
        with self._lock:
            self._started.add(assignment_id)

    def release_start(self, assignment_id: str) -> None:
        """Take a start back that changed nothing: the assignment can be withdrawn again."""
        with self._lock:
            self._started.discard(assignment_id)

    def forget(self, assignment_id: str) -> None:
        """Forget an assignment that has ended."""
        with self._lock:
            known = any(assignment_id in kept for kept in (self._leases, self._withdrawn, self._reboots))
            self._reboots.pop(assignment_id, None)
            self._leases.pop(assignment_id, None)
            self._reasons.pop(assignment_id, None)
            self._marks.pop(assignment_id, None)
            self._despite_freeze.discard(assignment_id)
            self._withdrawn.pop(assignment_id, None)
            self._started.discard(assignment_id)
            if known:
                self._save()

    def _set(self, assignment_id: str, start_until: datetime | None, reason: str, *, despite_freeze: bool) -> None:
        self._marks[assignment_id] = self._marks.get(assignment_id, 0) + 1
        self._leases[assignment_id] = start_until
        self._reasons[assignment_id] = reason
        if despite_freeze:
            self._despite_freeze.add(assignment_id)
        else:
            self._despite_freeze.discard(assignment_id)
        self._save()

    def _hindrance(self, assignment_id: str, fleet_now: datetime) -> str:
        if assignment_id in self._withdrawn:
            return "it was withdrawn"
        if self._frozen and assignment_id not in self._despite_freeze:
            return self._freeze_reason or "a freeze is in force"
        until = self._leases.get(assignment_id)
        if until is None:
            return self._reasons.get(assignment_id) or "the controller has not given the start yet"
        if fleet_now > until:
            return "the start lease has run out; the controller renews it over the live stream"
        return ""

    def _save(self) -> None:
        leases = {key: format_time(until) if until else None for key, until in self._leases.items()}
        document = {
            "frozen": self._frozen,
            "freeze_reason": self._freeze_reason,
            "leases": leases,
            "reasons": self._reasons,
            "withdrawn": self._withdrawn,
            "reboots": {key: format_time(lease.until) for key, lease in self._reboots.items() if lease.until},
        }
        self._keep(canonical_json.encode(document))

    def _read(self, kept: bytes) -> None:
        try:
            document: Any = canonical_json.decode(kept, size_max=SIZE_MAX_BYTES)
            self._leases = {key: parse_time(text) if text else None for key, text in document["leases"].items()}
            self._reasons = dict(document["reasons"])
            self._withdrawn = dict(document["withdrawn"])
            self._reboots = {key: RebootLease(parse_time(text)) for key, text in document.get("reboots", {}).items()}
            self._frozen, self._freeze_reason = bool(document["frozen"]), str(document["freeze_reason"])
        except (FormatError, KeyError, TypeError, ValueError, AttributeError):
            self._leases, self._reasons, self._withdrawn, self._reboots = {}, {}, {}, {}
            self._frozen, self._freeze_reason = True, "the kept orders cannot be read; waiting for the controller"
