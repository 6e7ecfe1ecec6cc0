"""What every timer does after a downtime, as docs/guides/timers.md says: it runs once or not at all, never in a burst.

The first life of the controller is lived in the past, so that the second one finds everything due that fell due
meanwhile. Names are collected from the scheduler at run time: a timer without its row on the page fails here.
"""

import asyncio
import collections
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sopwith_controller.adapters import scheduler as timers
from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.config import read_config, write_settings
from sopwith_controller.domain.patch_day import due_days
from sopwith_controller.domain.rollout_entities import PATCH_DAY
from sopwith_controller.services.access import Caller
from sopwith_formats.vocabulary import Symptom
from tests.controller.house import House, found_once, free_port, serving

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "timers.md"
BOSS = Caller("person", "p-boss", "boss", frozenset({"owner"}))
AT_THE_START = {"disk/look_first", "source/renew_first", "update_log/verify_first", "newcomers/noticed"}
"""Timers that are due at once; everything else waits for its interval, or its work ran before the ports opened."""


@dataclass
class Seen:
    """Names that were set, and how often the work of each ran."""

    names: set[str]
    runs: collections.Counter[str]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    found = Seen(set(), collections.Counter())
    at, every, guarded = timers.Scheduler.at, timers.Scheduler.every, timers._guarded

    def set_once(self: Any, name: str, *rest: Any) -> None:
        found.names.add(_on_page(name))
        at(self, name, *rest)

    def set_again(self: Any, name: str, *rest: Any) -> None:
        found.names.add(_on_page(name))
        every(self, name, *rest)

    async def run(name: str, work: Any) -> None:
        found.runs[_on_page(name)] += 1
        await guarded(name, work)

    monkeypatch.setattr(timers.Scheduler, "at", set_once)
    monkeypatch.setattr(timers.Scheduler, "every", set_again)
    monkeypatch.setattr(timers, "_guarded", run)
    return found


def _on_page(name: str) -> str:
    return re.sub(r"^advance/r-.*", "advance/<rollout>", name)


def rows() -> dict[str, str]:
    """Return timer to what the page says of it after a downtime."""
    lines = [line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return {name: line[3].strip() for line in lines for name in re.findall(r"`([^`]+)`", line[1])}


@contextmanager
def living_in_the_past(by: timedelta) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SystemClock, "now", lambda _: datetime.now(UTC) - by)
        yield


async def _live(house: House, away: timedelta) -> tuple[str, int]:
    """Leave something to fall due for every timer; return the rollout that repeats, and its days that are due."""
    parts = house.parts
    await house.make_sop_effective()
    await house.designate_source()
    await house.publish("hello", "1")
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    await agent.connect()
    rollout_id = await operator.started("1", repeat="FREQ=DAILY")
    await operator.until(rollout_id, "COMPLETED")
    agent.works = False
    await house.publish("hello", "2")
    await operator.started("2")
    await agent.until_warrant(2)
    await parts.freezes.start(BOSS, "stocktaking", parts.clock.now() + away / 2)
    async with parts.database.write() as unit:
        await parts.incidents.raise_in(unit, symptom=Symptom.SOURCE_EXPIRING, severity=1, summary="it ends soon")
        await unit.commit()
    await parts.incidents.after_commit()
    async with parts.database.read() as unit:
        repetition = await unit.repetitions.get(rollout_id)
    assert repetition is not None
    return rollout_id, len(due_days(repetition, datetime.now(UTC)))


@pytest.mark.parametrize("away", [timedelta(minutes=5), timedelta(days=5)])
async def test_every_timer_runs_once_or_not_at_all_after_a_downtime(tmp_path: Path, seen: Seen, away: timedelta):
    with living_in_the_past(away):
        data = await asyncio.to_thread(found_once, tmp_path)
        config = read_config(data).model_copy(update={"fleet_port": free_port(), "web_port": free_port()})
        (data / "sopwith.toml").write_text(write_settings(config), encoding="utf-8")
        async with serving(data, config) as house:
            rollout_id, days = await _live(house, away)
            before = collections.Counter(await house.log_kinds())
    seen.runs.clear()

    async with serving(data, config) as house:
        async with asyncio.timeout(20):
            while set(seen.runs) < AT_THE_START:  # noqa: ASYNC110  the counter is all there is to ask
                await asyncio.sleep(0.05)
        runs = dict(seen.runs)
        after = collections.Counter(await house.log_kinds())
        drafts = await _drafts(house, rollout_id)
        frozen = await house.parts.freezes.active()

    assert seen.names == set(rows())
    assert all(rows().values())
    assert runs == dict.fromkeys(AT_THE_START, 1)
    assert frozen == []
    new = after - before
    assert (new["PATCH_DAY_DRAFTED"], new["PATCH_DAY_SKIPPED"]) == (min(days, 1), max(0, days - 1))
    assert drafts == min(days, 1)
    assert new["INCIDENT_CLIMBED"] == (away > timedelta(hours=1))


async def _drafts(house: House, rollout_id: str) -> int:
    async with house.parts.database.read() as unit:
        return sum(one.origin == PATCH_DAY and one.origin_id == rollout_id for one in await unit.rollouts.all())
