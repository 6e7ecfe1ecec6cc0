"""How a plan in time looks on a terminal."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from sopwith.v1 import rollout_pb2, rollout_service_pb2
from sopwith_controller.cli.plan_view import print_plan

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def _stamp(hours: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(NOW + timedelta(hours=hours))
    return stamp


def _plan(**forecast) -> rollout_service_pb2.RolloutPlan:
    waves = [rollout_pb2.Wave(name="canary", size=1, soak_seconds=1800), rollout_pb2.Wave(name="rest", size=9)]
    return rollout_service_pb2.RolloutPlan(
        plan_sha256="a" * 64, forecast=rollout_service_pb2.PlanForecast(computers=10, waves=waves, **forecast)
    )


def test_fresh_plan_shows_when_each_wave_opens_and_ends(capsys):
    times = [
        rollout_service_pb2.WaveForecast(wave="canary", opens_time=_stamp(0), ends_time=_stamp(1)),
        rollout_service_pb2.WaveForecast(wave="rest", opens_time=_stamp(2)),
    ]

    print_plan(_plan(wave_times=times, install_seconds=600, projected_finish_time=_stamp(9), deadline_time=_stamp(24)))

    shown = capsys.readouterr().out
    assert "2026-11-23T19:00:00Z if it started now, at 10m an install (a guess)" in shown
    assert "2026-11-24T10:00:00Z" in shown
    canary, rest = (next(line for line in shown.splitlines() if line.startswith(name)) for name in ("canary", "rest"))
    assert canary.split() == ["canary", "1", "11-23", "10:00", "11-23", "11:00", "30m"]
    assert rest.split() == ["rest", "9", "11-23", "12:00", "never", "-"]


def test_measured_durations_are_called_measured_and_a_stored_plan_comes_without_times(capsys):
    print_plan(_plan(durations_measured=True, install_seconds=90, projected_finish_time=_stamp(1)))

    shown = capsys.readouterr().out
    assert "at 1m30s an install (measured)" in shown
    assert "WATCHED FOR" in shown
    assert "OPENS" not in shown
