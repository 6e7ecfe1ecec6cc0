"""The fault list: rows of the wire, the controller and its log that have tests; not all that there could be."""

from tests.faults.rows import Row, Section, within

_S = "certs/test_handshakes"
_L = "faults/test_log_tampering"

WIRE = Section(
    "Transport and enrolment (rows that have tests)",
    (
        Row(
            20,
            "certificates that are expired, a stranger's, for serving only, or missing",
            "no connection",
            within(
                _S,
                "nobody_gets_in_without_a_certificate",
                "strangers_certificate_stays_out",
                "same_names_under_a_strangers_authority_stay_out",
                "expired_certificate_stays_out",
                "certificate_for_serving_only_opens_no_connection",
            ),
        ),
        Row(
            22,
            "a computer's certificate at every call of people",
            "refused; a call without a rule is refused to everybody",
            within(
                "controller/test_roles",
                "every_call_of_the_wire_has_a_row",
                "a_call_without_a_row_is_refused_to_everybody",
                "computers_reach_nothing_but_their_own_service",
            )
            + within("system/test_refusals", "a_computer_reaches_no_call_of_people_and_each_try_is_logged"),
        ),
        Row(
            23,
            "a viewer starts a rollout",
            "refused, with the reason",
            within("controller/test_access", "a_viewer_starts_no_rollout_and_learns_why"),
        ),
        Row(
            24,
            "somebody is revoked while a stream is open",
            "the stream ends; the next call is refused",
            within("controller/test_access", "a_revoked_person_is_out_at_once_and_the_live_stream_ends"),
        ),
        Row(
            25,
            "a one-time token used twice, by many at once, too late",
            "one success",
            within(
                "controller/test_enrolment",
                "used_token_is_refused",
                "last_use_of_a_token_is_spent_once_on_the_real_database",
                "token_that_is_over_is_refused",
            ),
        ),
        Row(
            26,
            "a renewal or an enrolment whose answer is lost, or whose agent dies",
            "the old pair works; it is renewed again; no lock-out",
            within("faults/test_crash_harness", "killed_agent_goes_on_from_what_it_wrote_down")
            + within("controller/test_enrolment", "lost_answer_is_given_again_without_spending_the_token"),
        ),
        Row(
            27,
            "two processes renew at once",
            "they take turns; key and certificate always match",
            within("certs/test_renewal", "writers_take_turns", "reader_never_sees_a_key_with_a_strange_certificate"),
        ),
        Row(
            28,
            "a computer asleep past its certificate's end",
            "comes back by itself with its old key",
            within("system/test_long_sleep", "a_computer_that_slept_for_sixty_days_comes_back"),
        ),
    ),
)

CONTROLLER = Section(
    "Controller and log (rows that have tests)",
    (
        Row(
            35,
            "reports that come twice",
            "counted once",
            within("controller/test_running_rollouts", "reports_that_come_twice_change_nothing"),
        ),
        Row(
            59,
            "the controller dies before or after any transaction of a rollout",
            "nothing is forgotten or done twice",
            within(
                "faults/test_controller_kills",
                "a_controller_that_dies_at_any_moment_forgets_nothing_and_does_nothing_twice",
                "nothing_is_forgotten_or_done_twice_on_sqlite_either",
            )
            + within("system/test_kills", "controller_killed_ten_times_in_one_rollout"),
        ),
        Row(
            62,
            "timers due while the controller was down",
            "run once, or not at all",
            within("controller/test_timers_after_downtime", "every_timer_runs_once_or_not_at_all_after_a_downtime"),
        ),
        Row(
            63,
            "one request sent twice",
            "one effect, one answer",
            within("controller/test_repeated_requests", "a_request_that_is_sent_twice_has_one_effect_and_one_answer"),
        ),
        Row(
            64,
            "days on which clocks change",
            "each intended start happens once",
            within(
                "controller/domain/test_clock_changes",
                "each_intended_occurrence_happens_exactly_once_around_every_change_of_every_clock",
            ),
        ),
        Row(
            65,
            "a window closes in the middle of an install",
            "the install ends well; nobody else starts",
            within("system/test_windows", "what_runs_when_the_window_closes_ends_well_and_nobody_else_starts"),
        ),
        Row(
            68,
            "one character of any column of the log is changed, its hashes with it",
            "found; against a saved checkpoint also when everything was written anew",
            within(
                _L,
                "one_changed_character_of_any_column_is_found",
                "an_entry_changed_with_its_digest_and_leaf_is_found_by_the_tree_above",
                "a_whole_log_rewritten_without_checkpoints_fails_against_the_published_ones",
            ),
        ),
        Row(
            69,
            "entries are removed, swapped, inserted; an old database is put back",
            "found; nothing is signed for it",
            within(
                _L,
                "a_deleted_entry_is_found_also_after_the_log_went_on",
                "swapped_entries_are_found",
                "an_inserted_entry_is_found",
                "a_restored_old_database_is_found_and_nothing_is_signed_for_it",
            ),
        ),
        Row(
            73,
            "a checkpoint file is torn",
            "named and replaced; never a smaller size than published",
            within(
                _L,
                "a_torn_checkpoint_file_is_named_and_the_next_one_replaces_it",
                "a_smaller_size_than_published_is_never_published",
            ),
        ),
        Row(
            74,
            "mail that is down, refuses, hangs, or has a bad certificate",
            "kept, tried again, told by the second channel",
            within(
                "contracts/test_notifiers", "a_server_that_hangs_is_left_in_time", "an_offered_certificate_must_hold"
            )
            + within(
                "controller/services/test_notifying",
                "a_refused_message_waits_longer_each_time_and_is_never_given_up",
                "the_second_channel_gets_the_words_when_the_first_fails",
            ),
        ),
        Row(
            76,
            "secrets in every place where they might slip out",
            "none is found",
            within("system/test_secrets", "no_secret_leaves_its_place"),
        ),
        Row(
            77,
            "terminal codes and line breaks in what computers say",
            "one printable line per entry",
            within("formats/test_log_entry", "escaped_text_is_one_printable_line"),
        ),
    ),
)
