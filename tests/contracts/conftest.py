"""Which implementations each contract suite runs on."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from sopwith_certs.log_key import LogKey, make_log_key
from sopwith_controller.adapters.database.engine import open_database
from sopwith_controller.services.ports import Database
from tests import postgresql
from tests.builders import FixedClock
from tests.contracts.installer_benches import BENCHES, NEEDED, Bench
from tests.fakes.database import FakeDatabase


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(scope="session")
def log_key() -> LogKey:
    return make_log_key("log.example.test")


@pytest.fixture(scope="session")
def postgresql_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgresql.server(tmp_path_factory.mktemp("postgresql")) as address:
        yield address


@pytest.fixture(
    params=[
        "fake",
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql")),
    ]
)
async def database(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock, log_key: LogKey
) -> AsyncIterator[Database]:
    if request.param == "fake":
        yield FakeDatabase(clock, log_key)
        return
    address: Any = tmp_path / "sopwith.db"
    if request.param == "postgresql":
        address = request.getfixturevalue("postgresql_address")
        await postgresql.empty(address)
    opened = await open_database(address, clock=clock, signer=log_key, checkpoints=tmp_path / "checkpoints")
    yield opened
    await opened.close()


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.needs_tool(*NEEDED.get(name, ()))) for name in BENCHES])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "rpm" and os.geteuid() != 0:
        pytest.skip("rpm changes its root folder, which only root may")
    return BENCHES[request.param](tmp_path)
