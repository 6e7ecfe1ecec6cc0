"""Fleets of real processes; each ends what it started."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.fleet import Fleet

pytestmark = pytest.mark.system


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Return an empty fleet: nothing is initialised or started."""
    made = Fleet(tmp_path)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def governed_template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Return the files of a stopped fleet with an effective SOP and a designated source, and where its mail went."""
    made = Fleet(tmp_path_factory.mktemp("governed"))
    try:
        made.init()
        made.serve()
        made.sign_sop()
        made.designate_source()
        return made.folder, made.mailbox.port
    finally:
        made.stop()


@pytest.fixture(scope="module")
def governed_fleet(tmp_path_factory: pytest.TempPathFactory, governed_template: tuple[Path, int]) -> Iterator[Fleet]:
    """Return a fleet with a running controller, an effective SOP and a designated source; one for a whole module.

    Tests of a module bring computers and releases of their own names, so that they do not meet.
    """
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        made.copy_of(*governed_template)
        made.serve()
        yield made
    finally:
        made.stop()
