"""The fault list: malicious content, and words that are commands elsewhere."""

from tests.faults.rows import Row, Section, within

_A = "agent/test_hostile_archives"
_H = "faults/test_hostile_words"

CONTENT = Section(
    "Malicious content and injection",
    (
        Row(
            78,
            "a signed archive with names that climb out, are absolute, hold a NUL, are too long, or share a place",
            "refused before anything is written outside the staging folder",
            within(
                _A,
                "hostile_name_is_refused",
                "nul_in_an_extended_name_is_refused",
                "bytes_hidden_behind_the_nul_of_a_name_are_refused",
                "name_that_is_not_utf8_is_refused",
                "two_names_for_one_place_are_refused",
                "nul_in_a_zip_name_is_refused_not_cut_off",
            ),
        ),
        Row(
            79,
            "links out of the tree, chains of them, files through them, hard links, devices, special mode bits",
            "refused, never adapted",
            within(
                _A,
                "link_out_of_the_tree_is_refused",
                "absolute_link_is_refused",
                "chain_of_links_out_of_the_tree_is_refused",
                "file_through_a_link_is_refused_in_either_order",
                "hard_link_to_anything_but_an_earlier_file_is_refused",
                "hard_link_to_a_link_that_points_deeper_is_refused",
                "device_fifo_or_unknown_member_is_refused",
                "special_mode_bits_are_refused_not_stripped",
                "whatever_tree_is_accepted_stays_inside_itself",
            ),
        ),
        Row(
            80,
            "bombs of zip, gzip and zstd, millions of members, headers in a loop, a giant window",
            "stops at the signed size, the ratio, the number of files or the deadline",
            within(
                _A,
                "bomb_stops_at_the_unpacked_size",
                "ratio_above_a_hundred_is_refused_whatever_the_release_allows",
                "release_that_says_its_size_is_held_to_it",
                "too_many_members_are_refused",
                "zstd_that_asks_for_a_giant_window_is_refused",
                "negative_size_is_refused",
                "reading_stops_at_the_deadline",
            ),
            gap="archives are read in the agent's own process within these bounds, not in a limited child",
        ),
        Row(
            81,
            "an archive that is cut short, has a second one behind it, or whose unpacked files were changed",
            "refused; every file is hashed again from the disk",
            within(
                _A,
                "archive_cut_short_is_refused",
                "second_archive_behind_the_end_is_refused",
                "zip_whose_entries_overlap_is_refused",
            )
            + within("agent/test_archive_installer", "changed_file_in_the_folder_of_an_earlier_try_is_noticed"),
        ),
        Row(
            82,
            "shell text, line breaks, options and paths in signed metadata, manifests, arguments of checks and scripts",
            "data: no shell, a clean environment, a time limit, output cut and escaped",
            within(
                _H,
                "case_82_custom_fields_of_signed_metadata_mean_nothing",
                "case_82_names_in_a_signed_manifest_are_names_or_refused",
            )
            + within(
                "agent/test_health_checks",
                "arguments_are_data_and_no_shell_reads_them",
                "environment_is_clean_and_tells_what_is_checked",
                "output_is_cut_and_made_harmless",
            )
            + within(
                "agent/test_script_installer",
                "script_sees_a_clean_environment_its_arguments_and_its_companions",
                "script_that_takes_too_long_is_ended_with_everything_it_started",
                "only_the_end_of_a_talkative_script_is_kept",
            ),
        ),
        Row(
            83,
            "names that begin with -, globs, SQL, format strings and terminal codes as arguments",
            "data: not found, or one message; nothing is done to a terminal, a table or a file",
            within(
                _H,
                "case_83_arguments_of_the_source_commands_are_data",
                "case_83_words_in_place_of_the_agents_command_are_told_in_one_message",
            )
            + within("system/test_clumsy_user", "unknown_names_are_data_and_not_found"),
        ),
        Row(
            84,
            "YAML, JSON and TOML with towers of brackets, anchors, double keys, giant numbers",
            "refused by the format, with the place",
            within(
                _H,
                "case_84_hostile_json_is_refused_by_its_format",
                "case_84_hostile_settings_are_told_as_such",
            )
            + within("formats/test_documents", "ambiguous_yaml_is_refused_with_its_place"),
        ),
    ),
)
