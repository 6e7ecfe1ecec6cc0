"""Measures readiness and remembers the newest answer.

Decides when a measurement is young enough to be used again; what is measured is the sensors', what it means is
`domain.readiness`'s. Measurements are made one at a time, whoever asks; each new one is told to a listener, who carries
it to the controller.
"""

import threading
from collections.abc import Callable

from sopwith_agent.domain.readiness import Need, Readiness, assess
from sopwith_agent.steps.ports import Clock
from sopwith_agent.steps.sensor_port import Question, Sensors
from sopwith_formats.agent_policy import AgentPolicy

AskedFor = tuple[AgentPolicy, Need, tuple[str, ...]]


class Meter:
    """Measures on request; safe to use from several threads."""

    def __init__(
        self, sensors: Sensors, clock: Clock, question: Callable[[], Question], tell: Callable[[Readiness], None]
    ) -> None:
        """Measure with what `question` answers at that moment; `tell` is called from the measuring thread."""
        self._sensors = sensors
        self._clock = clock
        self._question = question
        self._tell = tell
        self._lock = threading.Lock()
        self._last: tuple[float, AskedFor, Readiness] | None = None

    def measure(
        self,
        policy: AgentPolicy,
        need: Need,
        blocking_processes: tuple[str, ...] = (),
        *,
        fresh_within_seconds: float = 0,
    ) -> Readiness:
        """Return readiness, measured now or at most so long ago for the same need."""
        asked = (policy, need, blocking_processes)
        with self._lock:
            last = self._last
            if last and last[1] == asked and self._clock.monotonic() - last[0] <= fresh_within_seconds:
                return last[2]
            general = self._question()
            question = Question(**{**general.__dict__, "blocking_processes": blocking_processes})
            readiness = assess(self._sensors.measure(question), policy, need)
            self._last = (self._clock.monotonic(), asked, readiness)
        self._tell(readiness)
        return readiness

    def forget(self) -> None:
        """Use the last measurement no more: something changed."""
        with self._lock:
            self._last = None
