"""A computer that lost its stream may start until its lease ends, by the controller's clock, and not after.

That is so where the SOP allows a start off the network (`offline_start`); else only what was measured a moment before
the stream broke may start, and nothing after it.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sopwith_formats.vocabulary import AssignmentState
from tests.agent.fakes import START
from tests.agent.workshop import Workshop

LEASE = timedelta(minutes=5)


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """Return a computer that has the files and five minutes to start."""
    return staged(Workshop(tmp_path), {"offline_start": True, "clock_skew_seconds": 3600})


def staged(shop: Workshop, policy: dict[str, Any]) -> Workshop:
    """Let a computer fetch the files, give it a lease and take its stream away."""
    shop.offer(shop.warrant(shop.publish("2"), start_until_time=None, policy=policy))
    shop.run(rounds=2, seconds=0)
    assert shop.record().state is AssignmentState.STAGED
    shop.orders.lease("a-1", START + LEASE)
    shop.connected = False
    return shop


def passes(shop: Workshop, time: timedelta) -> None:
    """Let time pass, and let the worker look again."""
    shop.clock.advance(time.total_seconds())
    shop.worker.wake()
    shop.worker.run_until_idle()


@pytest.mark.parametrize("after", [timedelta(0), LEASE / 2, LEASE])
def test_a_computer_without_a_stream_starts_while_its_lease_lasts(shop: Workshop, after: timedelta) -> None:
    passes(shop, after)
    shop.run()

    assert shop.receipt().outcome == "SUCCEEDED"
    assert shop.installed() == "2"


@pytest.mark.parametrize("after", [LEASE + timedelta(seconds=1), timedelta(hours=8)])
def test_a_computer_without_a_stream_starts_nothing_after_its_lease(shop: Workshop, after: timedelta) -> None:
    passes(shop, after)
    shop.run(rounds=5)

    assert shop.record().state is AssignmentState.STAGED
    assert "lease has run out" in shop.record().detail
    assert shop.installer.commits == 0


def test_an_agent_that_starts_again_without_a_stream_keeps_to_its_lease(shop: Workshop) -> None:
    shop.clock.advance(LEASE.total_seconds() + 1)

    shop.start()
    shop.run(rounds=5)

    assert shop.record().state is AssignmentState.STAGED
    assert shop.installer.commits == 0


@pytest.mark.parametrize(("ahead", "starts"), [(timedelta(minutes=10), False), (-timedelta(minutes=10), True)])
def test_the_lease_counts_by_the_controllers_clock(shop: Workshop, ahead: timedelta, starts: bool) -> None:
    shop.clock.fleet_ahead = ahead

    passes(shop, timedelta(minutes=1))
    shop.run(rounds=5)

    assert (shop.installer.commits == 1) is starts


def test_a_lease_that_comes_with_a_new_stream_lets_it_go_on(shop: Workshop) -> None:
    passes(shop, timedelta(hours=8))
    shop.connected = True

    shop.orders.lease("a-1", shop.clock.now() + LEASE)
    shop.run()

    assert shop.receipt().outcome == "SUCCEEDED"


def test_without_leave_to_start_off_the_network_nothing_starts_though_the_lease_lasts(tmp_path: Path) -> None:
    shop = staged(Workshop(tmp_path), {})

    passes(shop, timedelta(minutes=1))
    shop.run(rounds=5)

    assert shop.record().symptom == "CONTROLLER_UNREACHABLE"
    assert shop.installer.commits == 0
