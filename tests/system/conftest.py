"""Fleets of real processes; each ends what it started."""

from collections.abc import Iterator

import pytest

from tests.system.fleet import Fleet

pytestmark = pytest.mark.system


@pytest.fixture
def fleet(tmp_path) -> Iterator[Fleet]:
    """Return an empty fleet: nothing is initialised or started."""
    made = Fleet(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def governed_fleet(fleet) -> Fleet:
    """Return a fleet with a running controller, an effective SOP and a designated source, without computers."""
    fleet.init()
    fleet.serve()
    fleet.sign_sop()
    fleet.designate_source()
    return fleet
