"""The fault list: attacks on the update source."""

from tests.faults.rows import Row, Section, within

_M = "faults/test_source_metadata"
_D = "faults/test_source_download"
_W = "faults/test_source_ways"
_ATTACKED = within("system/test_source_attacks", "nothing_is_installed_from_a_source_under_attack")

SOURCE = Section(
    "Update source",
    (
        Row(
            1,
            "an older timestamp, rightly signed, is served to a computer that knows a newer one",
            "refused; the newer one stays, also where a file of the trust folder was lost",
            within(
                _M,
                "case_1_older_timestamp_is_refused_and_the_newer_kept",
                "case_1_older_timestamp_is_refused_even_after_the_kept_one_was_lost",
            ),
        ),
        Row(
            2,
            "a new snapshot lists an older targets file, or forgets a role",
            "refused as a rollback",
            within(
                _M,
                "case_2_snapshot_that_lists_older_targets_is_refused",
                "case_2_snapshot_that_forgets_a_role_is_refused",
            ),
        ),
        Row(
            3,
            "any role's metadata has expired",
            "refused as a freeze; what is installed goes on; the controller warns ahead of the end",
            within(_M, "case_3_expired_metadata_is_refused_as_a_freeze")
            + within(
                "controller/domain/test_source_expiry",
                "signatures_of_people_are_asked_for_30_14_and_7_days_before_their_end",
            ),
        ),
        Row(
            4,
            "the same valid timestamp is replayed until it expires; the clock is set back to make it valid again",
            "told by any computer that starts an update half its life before, refused at its expiry; "
            "a clock set back revives nothing",
            within(_M, "case_4_clock_set_back_does_not_revive_expired_metadata")
            + within("agent/test_signed_decisions", "case_4_source_that_was_long_not_renewed_is_told_with_the_start")
            + within(
                "controller/test_signed_records",
                "case_4_source_whose_renewals_do_not_reach_a_computer_is_told_once",
            ),
        ),
        Row(
            5,
            "a snapshot's version with the body of another targets file",
            "refused, nothing mixed is believed",
            within(_M, "case_5_snapshot_with_the_body_of_other_targets_is_refused"),
        ),
        Row(
            6,
            "one of two signatures; one key that signs twice; one key under two key ids",
            "all three refused",
            within(
                _M,
                "case_6_one_of_two_signatures_is_refused",
                "case_6_one_key_that_signs_twice_is_refused",
                "case_6_one_key_under_two_key_ids_is_refused",
            ),
        ),
        Row(
            7,
            "a new root signed by the old keys only, or by the new ones only",
            "refused; both thresholds count",
            within(_M, "case_7_root_signed_by_old_or_new_keys_only_is_refused"),
        ),
        Row(
            8,
            "the root was rotated forty times while the computer was off; the agent is killed half way through them",
            "all are walked in order and kept; a walk that was cut off goes on",
            within(
                _M,
                "case_8_forty_rotations_of_the_root_are_walked_and_kept",
                "case_8_walk_that_broke_off_goes_on_where_it_stopped",
            )
            + within("faults/test_crash_harness", "case_8_walk_over_forty_roots_that_was_killed_half_way_goes_on"),
        ),
        Row(
            9,
            "metadata without an end",
            "cut at the limit of its role",
            within(_M, "case_9_endless_metadata_is_cut_at_the_limit_of_its_role"),
        ),
        Row(
            10,
            "a file longer or shorter than signed, without an end, or of other bytes",
            "refused at the signed length; nothing of it stays; fetched once more at most",
            within(
                _D,
                "case_10_wrong_length_or_digest_is_refused_and_leaves_nothing",
                "case_10_length_that_is_not_announced_is_still_held_to",
                "case_10_endless_body_is_cut_at_the_signed_length",
            )
            + within("agent/test_one_update", "wrong_digest_is_fetched_once_more_and_then_fails"),
        ),
        Row(
            11,
            "metadata or a file at one byte now and then, headers too",
            "broken off by floor rate or deadline; the part stays; other work goes on",
            within(_M, "case_11_dripping_metadata_is_broken_off")
            + within(_D, "case_11_dripping_body_is_broken_off_and_the_part_kept"),
        ),
        Row(
            12,
            "206 with another range or ETag, 200 to a Range request, 416, compressed bytes, a poisoned part",
            "starts over once or fails; the whole file's digest decides; a broken line costs at most a chunk",
            within(
                _D,
                "case_12_200_to_a_range_request_starts_over_in_the_same_answer",
                "case_12_wrong_answer_to_a_range_request_leads_to_one_fresh_get",
                "case_12_poisoned_part_is_fetched_anew_once",
                "case_12_wrong_content_after_a_fresh_get_is_refused_without_a_loop",
                "case_12_compressed_body_is_refused",
            )
            + within(_W, "broken_line_costs_at_most_one_chunk_more_than_the_file"),
        ),
        Row(
            13,
            "a verified file is swapped before it is installed",
            "noticed before anything is changed; the file is fetched again or the release refused",
            within("agent/test_one_update", "staged_file_that_was_swapped_is_fetched_again")
            + within("agent/test_hostile_archives", "file_swapped_after_verification_is_refused"),
        ),
        Row(
            14,
            "redirects to another host, to plain http, to a file",
            "not followed, for metadata and files alike",
            within(_M, "case_14_redirect_to_another_origin_is_refused")
            + within(_D, "case_14_redirect_to_another_origin_is_refused"),
        ),
        Row(
            15,
            "unknown signature schemes, digests that nobody can compute, fields that nobody knows",
            "the first two count for nothing; the last are kept byte for byte and mean nothing",
            within(
                _M,
                "case_15_unknown_fields_are_kept_but_mean_nothing",
                "case_15_unknown_signature_scheme_counts_for_nothing",
                "case_15_snapshot_with_an_unknown_digest_only_is_refused",
            )
            + within(_D, "case_15_unknown_digest_only_is_refused_without_asking"),
        ),
        Row(
            16,
            "the controller orders what the source does not list, or lists otherwise",
            "the computer refuses: NOT_AUTHORISED_BY_SOURCE",
            within(
                "agent/test_one_update",
                "release_that_the_source_does_not_list_is_not_authorised",
                "release_with_another_content_than_the_warrant_names_is_not_authorised",
            )
            + _ATTACKED,
        ),
        Row(
            17,
            "the controller orders an older version, rightly signed",
            "refused unless the release itself allows it",
            within("agent/test_one_update", "older_release_is_refused_unless_its_manifest_allows_a_downgrade"),
        ),
        Row(
            18,
            "a role signed for one delegator is looked up through another",
            "refused",
            within(_M, "case_18_role_signed_for_one_delegator_is_refused_under_another"),
        ),
        Row(
            19,
            "the root in the trust folder is replaced or spoiled",
            "the pinned root overrules it; a pinned root that is not the enrolled one is refused",
            within(
                _M,
                "case_19_replaced_root_in_the_folder_is_overruled_by_the_pinned_one",
                "case_19_spoiled_pinned_root_is_refused",
                "case_19_pinned_root_that_is_not_the_named_one_is_refused",
            ),
        ),
    ),
)
