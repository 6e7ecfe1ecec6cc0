"""How fast the source is, is told by downloads that moved enough over the network."""

import pytest

from sopwith_agent.adapters.source_handle import Throughput


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def test_the_rate_leaves_out_what_lay_there_already(clock):
    seen = []
    meter = Throughput(lambda done, total: seen.append((done, total)), clock)

    meter.progressed(5_000_000, 9_000_000)
    clock.seconds += 2
    meter.progressed(9_000_000, 9_000_000)

    assert meter.bytes_per_second() == 2_000_000
    assert seen == [(5_000_000, 9_000_000), (9_000_000, 9_000_000)]


@pytest.mark.parametrize(("moved", "seconds"), [(1000, 1.0), (10_000_000, 0.0)])
def test_too_little_to_tell_is_no_rate(clock, moved, seconds):
    meter = Throughput(lambda *_: None, clock)

    meter.progressed(0, moved)
    clock.seconds += seconds
    meter.progressed(moved, moved)

    assert meter.bytes_per_second() is None


def test_no_progress_is_no_rate(clock):
    assert Throughput(lambda *_: None, clock).bytes_per_second() is None
