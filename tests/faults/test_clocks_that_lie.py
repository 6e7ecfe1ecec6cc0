"""Clocks that are years off or jump in the middle (fault case 55): nothing expired is accepted or done twice."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sopwith_agent.adapters.source_folder import SourceFolder
from sopwith_agent.adapters.source_metadata import SourceMetadata
from sopwith_agent.adapters.source_transport import Transport
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.installer_port import InstallWork
from sopwith_formats.vocabulary import Symptom
from tests.agent.workshop import Workshop
from tests.faults.hostile_source import HostileServer, SourceRepository, serving

TWO_YEARS = timedelta(days=731)


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with serving(SourceRepository()) as running:
        yield running


def refresh(server: HostileServer, folder: Path, now: datetime) -> dict[str, int]:
    trust = SourceFolder(folder)
    trust.trust(server.repository.files["/metadata/1.root.json"])
    with Transport() as transport:
        return SourceMetadata(trust, server.metadata_url, transport, lambda: now).refresh().versions


def test_case_55_clock_two_years_ahead_accepts_nothing_and_spoils_nothing(server, tmp_path):
    now = datetime.now(UTC)
    refresh(server, tmp_path, now)

    with pytest.raises(StepError) as caught:
        refresh(server, tmp_path, now + TWO_YEARS)

    assert caught.value.symptom is Symptom.METADATA_EXPIRED
    assert refresh(server, tmp_path, now + timedelta(hours=1))["timestamp"] == 1


@pytest.mark.parametrize("year", [1970, 2024])
def test_case_55_clock_of_long_ago_is_named_before_anything_is_asked(server, tmp_path, year):
    with pytest.raises(StepError) as caught:
        refresh(server, tmp_path, datetime(year, 1, 1, tzinfo=UTC))

    assert caught.value.symptom is Symptom.CLOCK_SKEWED
    assert server.requests == []


def test_case_55_clock_that_went_back_does_not_revive_what_was_expired_at_the_last_refresh(server, tmp_path):
    now = datetime.now(UTC)
    late = now + timedelta(days=20)
    refresh(server, tmp_path, late)
    server.repository.timestamp.expires = (now + timedelta(days=10)).replace(microsecond=0)
    server.repository.publish_timestamp()

    with pytest.raises(StepError) as caught:
        refresh(server, tmp_path, now)

    assert caught.value.symptom is Symptom.METADATA_EXPIRED


@pytest.mark.parametrize("jump", [TWO_YEARS, -TWO_YEARS, timedelta(hours=-3)])
@pytest.mark.parametrize("sick", [False, True])
def test_case_55_clock_that_jumps_during_an_install_changes_neither_its_end_nor_how_often(
    tmp_path: Path, jump: timedelta, sick: bool
) -> None:
    shop = Workshop(tmp_path)
    shop.install("1")
    apply = shop.installer.apply

    def jumping(work: InstallWork, on_commit: Callable[[], None]) -> None:
        apply(work, on_commit)
        shop.clock.time += jump

    shop.installer.apply = jumping  # type: ignore[method-assign]
    shop.health.sick = {"2"} if sick else set()
    shop.offer(shop.warrant(shop.publish("2")))

    shop.run()

    receipt = shop.receipt()
    assert receipt.outcome == ("ROLLED_BACK" if sick else "SUCCEEDED")
    assert (shop.installed(), shop.installer.commits) == ("1" if sick else "2", 1)
    assert receipt.boot_seconds == int(shop.clock.seconds)


def test_case_55_jump_before_the_start_ends_by_the_deadline_and_touches_nothing(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    shop.install("1")
    shop.source.on_download = lambda: setattr(shop.clock, "time", shop.clock.time + TWO_YEARS)

    shop.offer(shop.warrant(shop.publish("2")))
    shop.run()

    assert shop.receipt().outcome == "NOT_STARTED"
    assert (shop.installed(), shop.installer.commits) == ("1", 0)
