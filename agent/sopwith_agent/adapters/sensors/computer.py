"""All sensors together: one measurement of this computer.

Decides only in which order the questions are asked and that a sensor that cannot answer costs nobody the other answers:
its value is None. The slow ones (source, metered link) are bounded by their own modules; together everything takes less
than ten seconds.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import psutil

from sopwith_agent.adapters.package_lock import lock_holder
from sopwith_agent.adapters.proxies import ProxyChoice
from sopwith_agent.adapters.sensors.blocking_processes import blocking_processes
from sopwith_agent.adapters.sensors.disk import disk_free
from sopwith_agent.adapters.sensors.do_not_disturb import do_not_disturb
from sopwith_agent.adapters.sensors.facts import facts
from sopwith_agent.adapters.sensors.load import load_percent
from sopwith_agent.adapters.sensors.memory import memory_available
from sopwith_agent.adapters.sensors.metered import metered
from sopwith_agent.adapters.sensors.pending_reboot import pending_reboot
from sopwith_agent.adapters.sensors.pending_updates import PendingUpdates
from sopwith_agent.adapters.sensors.power import power
from sopwith_agent.adapters.sensors.source_reach import source_reach
from sopwith_agent.adapters.sensors.user_sessions import logged_in_names, user_sessions
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.measurements import Measurements
from sopwith_agent.steps.sensor_port import Question

_Answer = TypeVar("_Answer")


class ComputerSensors:
    """Measures the computer that the agent runs on."""

    def __init__(
        self,
        root: Path,
        installers: Iterable[str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        proxies: ProxyChoice | None = None,
        *,
        user_names: bool = False,
    ) -> None:
        self._root = root
        self._installers = tuple(installers)
        self._now = now
        self._user_names = user_names
        self._proxies = proxies or ProxyChoice()
        self._pending_updates = PendingUpdates(root)

    def measure(self, question: Question) -> Measurements:
        """Return everything measured now."""
        return Measurements(
            measured_time=self._now(),
            disks=_answer(lambda: disk_free(question.root, question.staging)) or (),
            memory_available_bytes=_answer(memory_available),
            load_percent=_answer(load_percent),
            power=_answer(power),
            pending_reboot=_answer(lambda: pending_reboot(question.root)),
            package_lock_holder=_answer(lambda: lock_holder(question.root)),
            blocking_processes=_answer(lambda: blocking_processes(question.blocking_processes)) or (),
            user_sessions=_answer(lambda: user_sessions(question.root)),
            controller_ahead_seconds=question.controller_ahead_seconds,
            metered=_answer(metered),
            do_not_disturb=do_not_disturb(question.labels),
            controller_connected=question.controller_connected,
            source_designated=question.source_designated,
            source=_answer(lambda: source_reach(question.source_url, question.source_ca_file, self._proxies)),
            throughput_bytes_per_second=question.throughput_bytes_per_second,
        )

    def facts(self) -> dict[str, Any]:
        """Return the inventory; who is logged in only where the computer's own settings say so."""
        names = _answer(lambda: logged_in_names(self._root)) if self._user_names else None
        told = {} if names is None else {"users": names}
        return {**facts(self._root, self._installers), **self._pending_updates.facts(), **told}


def _answer(ask: Callable[[], _Answer]) -> _Answer | None:
    try:
        return ask()
    except (OSError, ValueError, psutil.Error, StepError, StopIteration):
        return None
