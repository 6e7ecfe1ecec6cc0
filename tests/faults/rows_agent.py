"""The fault list: crash points of the agent, and its environment."""

from tests.faults.rows import Row, Section, within

_KILLED = within("faults/test_crash_harness", "killed_agent_goes_on_from_what_it_wrote_down")
_CUT = within("faults/test_crash_harness", "power_cut_leaves_old_or_new_and_keeps_every_promise")
_UPDATE_KILLED = within(
    "contracts/test_installer_crashes", "killed_at_any_point_of_an_update_the_computer_has_old_or_new_and_goes_on"
)
_ROLLBACK_KILLED = within(
    "contracts/test_installer_crashes", "killed_at_any_point_of_a_rollback_the_next_one_ends_at_the_old_version"
)
_C = "agent/test_crash_points"
_O = "agent/test_one_update"

AGENT = Section(
    "Agent crash points",
    (
        Row(
            40,
            "killed, or the power cut, at every call of a refresh",
            "the next start refreshes; no accepted version goes down",
            _KILLED
            + _CUT
            + within("faults/test_source_refresh_kills", "case_40_killed_refresh_is_repeated_and_nothing_goes_back"),
        ),
        Row(
            41,
            "the same while downloading",
            "goes on or begins anew; no part is installed; what died leaves nothing behind",
            _KILLED + _CUT + within("faults/test_source_download", "broken_transfer_is_resumed_where_it_ended"),
        ),
        Row(
            42,
            "the same while unpacking",
            "the folder is finished or cleared away; what runs is untouched",
            _KILLED
            + _CUT
            + _UPDATE_KILLED
            + within("agent/test_archive_installer", "half_unpacked_folder_of_a_crash_is_swept"),
        ),
        Row(
            43,
            "killed while a release's script runs",
            "the script's end is known; it is not run twice",
            _UPDATE_KILLED
            + within("agent/test_script_installer", "script_outlives_a_killed_agent_and_its_end_is_known"),
        ),
        Row(
            44,
            "killed or cut off while the link is switched, or inside dpkg",
            "old or new, wholly; committed once",
            _KILLED
            + _CUT
            + _UPDATE_KILLED
            + within(_C, "cut_inside_the_install_leaves_the_old_or_the_new_version")
            + within("faults/test_dpkg_cut_off", "dpkg_killed_at_any_point_is_rolled_back_to_the_old_version"),
        ),
        Row(
            45,
            "the power fails after the switch, before the health check",
            "the check runs after the start; a sick version goes back",
            _CUT + within(_C, "cut_at_every_write_ends_in_one_outcome_with_one_commit"),
        ),
        Row(
            46,
            "a health check never returns",
            "ended in its time with all it started; then the way back",
            within("agent/test_health_checks", "program_that_never_returns_is_ended_with_everything_it_started")
            + within(_O, "unhealthy_release_rolls_back_after_one_more_check"),
        ),
        Row(
            47,
            "the rollback itself is killed or cut off, once or for ever",
            "goes on and ends at the old version; spent tries call a person, without a loop",
            _KILLED
            + _CUT
            + _ROLLBACK_KILLED
            + within(_C, "rollback_that_is_cut_off_goes_on", "rollback_that_is_cut_off_for_ever_needs_a_person")
            + within(
                "system/test_left_alone",
                "computer_whose_rollback_failed_is_held_apart_and_stays_connected_and_truthful",
            ),
        ),
        Row(
            48,
            "the new version crashes again and again",
            "within `settle` it goes back once, and is not offered again without a second person",
            within("agent/test_health_checks", "check_that_breaks_while_settling_counts_at_once")
            + within("contracts/test_database", "a_rolled_back_release_is_held_back_until_permitted"),
            gap="after SUCCEEDED nobody watches the release any more: `settle`, an hour at most, is the watch",
        ),
        Row(
            49,
            "killed before the outcome was reported; the controller is away for a day",
            "kept, delivered once, in order, chained",
            _KILLED
            + _CUT
            + within(
                _C,
                "controller_that_is_away_for_a_day_gets_the_outcome_once",
                "receipts_are_chained_and_counted_over_restarts",
            )
            + within(
                "system/test_left_alone",
                "what_happened_while_the_controller_was_away_is_told_once_though_the_agent_died_twice",
            ),
        ),
        Row(
            50,
            "the agent updates itself and dies at any step, or its new version cannot start",
            "the old agent runs again and says why; only a connected, confirmed version stays",
            within(
                "agent/test_self_update",
                "install_killed_at_any_point_is_old_or_tried_and_goes_on",
                "rollback_killed_at_any_point_ends_at_old",
                "watcher_killed_at_any_point_takes_a_confirmed_version_over",
                "watcher_killed_at_any_point_takes_a_crashing_version_back",
            )
            + within(
                "system/test_self_update",
                "version_that_crashes_at_start_is_taken_back_everywhere_and_says_why",
                "version_that_cannot_connect_is_taken_back_in_time",
                "canary_is_forced_and_saves_everybody_else",
            ),
        ),
        Row(
            51,
            "no room for the record that says `installing`",
            "the install does not begin",
            within(
                _C,
                "disk_that_takes_no_record_begins_no_install",
                "disk_that_fills_at_the_commit_point_commits_nothing",
                "outbox_that_takes_nothing_begins_no_install",
            )
            + within(
                "faults/test_disks_that_fail",
                "state_folder_that_takes_no_write_stops_everything_and_nothing_is_half_done",
            ),
        ),
    ),
)

ENVIRONMENT = Section(
    "Environment",
    (
        Row(
            52,
            "a disk that is too small, or fills up while a file comes or is unpacked",
            "seen before where it can be; else cleaned up and DISK_FULL; finished once there is room",
            within(
                "faults/test_disks_that_fail",
                "case_52_file_that_is_larger_than_the_disk_is_not_asked_for",
                "case_52_disk_that_fills_up_on_the_way_is_told_and_the_file_is_finished_later",
            )
            + within("faults/test_full_disk_while_unpacking", "full_disk_is_told_and_leaves_nothing_behind")
            + within(
                "faults/test_source_download",
                "case_52_file_that_does_not_fit_is_not_begun",
                "case_52_disk_that_fills_up_on_the_way_is_named",
            ),
        ),
        Row(
            53,
            "the controller's disk is full while reports come",
            "people are told before; nothing is acknowledged that is not durable; it goes on once there is room",
            within("faults/test_source_folder_kills", "full_disk_leaves_the_source_as_it_was_and_the_next_try_succeeds")
            + within("contracts/test_database", "a_unit_left_by_an_error_changes_nothing")
            + within(
                "system/test_full_disk",
                "case_53_full_disk_of_the_controller_acknowledges_nothing_and_loses_nothing",
            )
            + within(
                "controller/services/test_disk_watch",
                "little_room_is_told_once_until_there_was_plenty",
                "disk_that_does_not_take_the_alarm_is_asked_again",
            ),
        ),
        Row(
            54,
            "the state folder turns read-only at any write",
            "nothing half done; goes on once it can be written again",
            within(
                "faults/test_disks_that_fail",
                "state_folder_that_takes_no_write_stops_everything_and_nothing_is_half_done",
            ),
        ),
        Row(
            55,
            "a clock two years off either way, of 1970, or that jumps in the middle",
            "nothing expired is accepted; an install ends as it would have; nothing is done twice",
            within(
                "faults/test_clocks_that_lie",
                "case_55_clock_two_years_ahead_accepts_nothing_and_spoils_nothing",
                "case_55_clock_of_long_ago_is_named_before_anything_is_asked",
                "case_55_clock_that_went_back_does_not_revive_what_was_expired_at_the_last_refresh",
                "case_55_clock_that_jumps_during_an_install_changes_neither_its_end_nor_how_often",
                "case_55_jump_before_the_start_ends_by_the_deadline_and_touches_nothing",
            )
            + within("controller/test_clock_guard", "a_jump_holds_a_running_rollout_until_the_clock_returns"),
        ),
        Row(
            56,
            "the controller is cut off after the order, before the start",
            "starts within its lease where the SOP lets it, else waits; merged once when the line is back",
            within(
                "agent/test_lease_without_stream",
                "a_computer_without_a_stream_starts_while_its_lease_lasts",
                "a_computer_without_a_stream_starts_nothing_after_its_lease",
            ),
        ),
        Row(
            57,
            "only the source is cut off, from one computer or from many",
            "readiness says so; it spends no try; others go on; many suspend the rollout",
            within(_O, "source_that_is_out_of_reach_spends_no_try")
            + within("controller/test_running_rollouts", "a_bad_canary_suspends_the_rollout_and_touches_nobody_else"),
        ),
        Row(
            58,
            "a captive portal, a wrong host, an inspecting proxy",
            "nothing is believed; named for what it is, and no attack is reported where none is",
            within("faults/test_source_ways", "case_58_captive_portal_is_named_and_is_nobodys_attack")
            + within("faults/test_source_proxies", "proxy_that_puts_itself_in_the_middle_is_not_believed")
            + within("faults/test_source_metadata", "case_58_answer_that_is_no_metadata_is_refused")
            + within("agent/test_sensors", "source_of_a_strange_authority_fails_at_tls"),
        ),
    ),
)
