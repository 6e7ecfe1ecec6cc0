"""Computers that come at once share one transaction: after an outage the whole fleet dials within seconds.

While one group is being written down the next one gathers; a single computer waits for nobody. What an arrival means is
`services.dispatch`' to say.
"""

import asyncio

from sopwith_controller.domain.errors import SopwithError
from sopwith_controller.services.agent_reports import Arrival
from sopwith_controller.services.dispatch import Dispatch, Reconciliation

GROUP_MAX = 200

_Waiting = tuple[Arrival, "asyncio.Future[Reconciliation]"]


class Arrivals:
    """Gathers arrivals and hands each its own answer."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._waiting: list[_Waiting] = []
        self._work: asyncio.Task[None] | None = None

    async def arrive(self, arrival: Arrival) -> Reconciliation:
        """Return what the comparison found; raise SopwithError for a computer that is turned away."""
        answer: asyncio.Future[Reconciliation] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, answer))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._write(), name="arrivals")
        return await answer

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
            try:
                found = await self._dispatch.arrive_together([arrival for arrival, _ in group])
            except Exception as error:  # noqa: BLE001  every computer of the group is told, and dials again
                _answer_all(group, error)
                continue
            for (_, answer), result in zip(group, found, strict=True):
                if answer.done():
                    continue
                if isinstance(result, SopwithError):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)


def _answer_all(group: list[_Waiting], error: Exception) -> None:
    for _, answer in group:
        if not answer.done():
            answer.set_exception(error)
