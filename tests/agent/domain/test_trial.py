"""What the watching old agent does next, for everything it may see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopwith_agent.domain import limits
from sopwith_agent.domain.trial import Act, Seen, Trial, Verdict, next_act, read_trial
from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError

TRIAL = Trial("/opt/sopwith-agent", "1.0", "2.0", within_seconds=30)
IDLE = Seen(running=False)


@pytest.mark.parametrize("seen", [IDLE, Seen(running=True), Seen(running=True, elapsed_seconds=99)])
def test_verdict_stands_whatever_the_process_does(seen: Seen):
    assert next_act(TRIAL.judged(Verdict.CONFIRMED), seen) == (Act.TAKE_OVER, "")
    assert next_act(TRIAL.judged(Verdict.FELL_BACK, "because"), seen) == (Act.GO_BACK, "")


def test_new_version_is_started_a_few_times_and_then_taken_back_with_its_last_words():
    trial, crashed, acts = TRIAL, Seen(running=False, ended="exit code 3 after 0.1 s"), []
    for _ in range(limits.trial_starts_max):
        acts.append(next_act(trial, crashed)[0])
        trial = trial.started()

    act, why = next_act(trial, crashed)

    assert acts == [Act.START] * limits.trial_starts_max
    assert act is Act.FALL_BACK
    assert why == "Agent 2.0 did not stay up in 3 starts (exit code 3 after 0.1 s); agent 1.0 runs again."


def test_starts_that_nobody_saw_end_count_too():
    trial = Trial("/f", "1", "2", 30, starts=limits.trial_starts_max)

    act, why = next_act(trial, IDLE)

    assert act is Act.FALL_BACK
    assert "went down each time" in why


def test_running_version_has_its_time_and_no_more():
    assert next_act(TRIAL.started(), Seen(running=True, elapsed_seconds=29.9)) == (Act.WAIT, "")

    act, why = next_act(TRIAL.started(), Seen(running=True, elapsed_seconds=30))

    assert act is Act.FALL_BACK
    assert "not connected and confirmed within 30 s" in why


def test_first_verdict_stands_and_a_watcher_that_was_stopped_costs_no_start():
    confirmed = TRIAL.judged(Verdict.CONFIRMED)

    assert confirmed.judged(Verdict.FELL_BACK, "late") is confirmed
    assert TRIAL.started().interrupted() == TRIAL
    assert TRIAL.interrupted() == TRIAL
    assert len(TRIAL.judged(Verdict.FELL_BACK, "x" * 10_000).why) == limits.detail_max_characters


@given(st.lists(st.sampled_from(["crash", "late", "confirm", "power"]), max_size=12))
def test_every_trial_ends_after_a_bounded_number_of_starts(story: list[str]):
    trial, seen, starts = TRIAL, IDLE, 0
    for happens in [*story, *["crash"] * 10]:
        act, why = next_act(trial, seen)
        if act in {Act.TAKE_OVER, Act.GO_BACK}:
            return
        if act is Act.FALL_BACK:
            trial = trial.judged(Verdict.FELL_BACK, why)
        if act is Act.START:
            trial, starts = trial.started(), starts + 1
            seen = Seen(running=True, elapsed_seconds=1)
        elif happens == "confirm":
            trial = trial.judged(Verdict.CONFIRMED)
        elif happens == "late":
            seen = Seen(running=True, elapsed_seconds=31)
        else:
            seen = Seen(running=False, ended="crash" if happens == "crash" else "")
        assert starts <= limits.trial_starts_max
    assert trial.verdict is not Verdict.PENDING


def test_trial_comes_back_from_disk_as_it_was_and_anything_else_is_refused():
    trial = TRIAL.started().judged(Verdict.FELL_BACK, "why ü")
    assert read_trial(trial.to_json()) == trial

    good = canonical_json.decode(trial.to_json())
    broken: object
    for broken in (
        [],
        {},
        {**good, "verdict": "PERHAPS"},
        {**good, "more": 1},
        {**good, "starts": "3"},
        {**good, "starts": True},
        {**good, "why": 3},
    ):
        with pytest.raises(FormatError):
            read_trial(canonical_json.encode(broken))
