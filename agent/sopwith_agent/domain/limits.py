"""Every bound that the agent keeps for itself, unit last; what the SOP bounds comes with the warrant instead.

A number that limits time, space or tries stands here and nowhere else in the agent, so that one page answers "how long
can that take, how much can it fill".
"""

# The stream to the controller.
redial_first_seconds = 1
"""Upper end of the first full-jitter pause after a stream broke."""
redial_cap_seconds = 60
controller_clock_set_beyond_seconds = 300
"""A Welcome whose time is further off than this from the known one says that the controller's clock was set."""
open_timeout_seconds = 20
"""From dialling to Welcome; a stream that does not open by then is given up and dialled anew."""
probe_timeout_seconds = 5
keepalive_seconds = 30
keepalive_timeout_seconds = 10
heartbeat_default_seconds = 30
heartbeat_cap_seconds = 600
message_size_max_bytes = 2**20
certificate_retry_first_seconds = 5
certificate_retry_cap_seconds = 3600
unary_timeout_seconds = 10

# Readiness.
readiness_interval_seconds = 300
"""Readiness is measured again at the latest after this long."""
readiness_fresh_seconds = 10
"""A measurement this young is good enough for the start of an install."""
not_ready_retry_seconds = 60
"""How long a computer that is not ready waits before it looks again, unless something wakes it."""

# The source.
source_unrenewed_seconds = 12 * 3600
"""The controller renews the timestamp every hour for a day: one with less than this left was not renewed for hours."""

# One assignment.
retry_first_seconds = 1
retry_cap_seconds = 60
defer_seconds = 30
"""How long a deferred assignment waits before it measures again."""
authorised_fresh_seconds = 60
"""A release that the source listed this long ago is downloaded without asking again."""
deferrals_max = 1000
"""A deferral is patient, but not for ever: the deadline ends it, or this."""
rollback_attempts_max = 3
recheck_attempts_max = 1
"""A health check that failed is looked at once more after the settle time."""
settle_cap_seconds = 3600
detail_max_characters = 1000
steps_max = 200
"""Steps kept for a receipt; of a longer history the oldest are left out."""
reboot_grace_seconds = 300
"""How long a computer may take to go down before it is told to reboot once more."""
reboot_tries_max = 3
boots_max = 5
"""A release that was not confirmed after so many boots goes back."""
undrain_tries_max = 3
deadline_check_seconds = 30
"""How often an assignment that waits for the controller is compared with its deadline."""

# People at the computer.
defer_usual_seconds = 4 * 3600
"""How long "later" is where nobody says how long."""
defer_max_seconds = 366 * 86400
defer_margin_seconds = 900
"""So long before the rollout's deadline the last notice has to be over."""
emergency_grace_max_seconds = 60
notice_outdated_seconds = 300
"""A notice whose time passed this long ago, while nothing could start, is given anew."""
notice_look_seconds = 60
"""How often an agent looks whether people are still there, while it waits for them."""
slumber_max_seconds = 120
"""Awake for so long after it announced sleep, a computer dials again, whether or not anybody told of its waking."""
sleep_announce_seconds = 3
"""How long sleep is delayed for its announcement; logind grants five seconds where nobody changed that."""
sleep_farewell_seconds = 2
"""How long the controller has to end a stream on which sleep was announced."""
sleep_watch_retry_seconds = 60
bus_call_seconds = 5
door_guests_max = 8
"""How many callers `sopwith-agent defer` and the like are served at a time."""
door_request_max_bytes = 16 * 2**10
door_timeout_seconds = 10
door_answer_seconds = 15
feedback_max_characters = 2000
feedback_per_hour_max = 20
feedback_window_seconds = 3600

disk_retry_seconds = 5
"""Pause after the disk refused the journal's record."""
farewell_seconds = 1
"""How long a stopping agent waits for its last messages to be acknowledged."""
stop_timeout_seconds = 10
"""A running agent ends within this after SIGTERM; what is not done by then is found in the journal."""

throughput_measured_from_bytes = 256 * 2**10
"""A download that moved less says nothing about the link."""

# The state folder.
journal_record_max_bytes = 2**20
journal_finished_max = 50
receipts_kept_days = 30
outbox_message_max_bytes = 2**20
status_interval_seconds = 0.5
"""The status file is written at most this often."""

# Package changes that others made.
package_changes_at_once = 100
"""Signed together; a record stays readable."""
package_changes_max = 5000
"""Reported from one look; what is beyond is counted."""
package_log_at_once_bytes = 16 * 2**20
package_query_seconds = 120
package_query_max_bytes = 16 * 2**20
package_state_max_bytes = 8 * 2**20

# The trial of a new agent version.
trial_starts_max = 3
"""How often a new version is started before the old one works again."""
trial_within_seconds = 300
"""How long a new version may take to connect and be confirmed, when its release does not say."""
trial_look_seconds = 0.2
trial_pause_seconds = 0.5
"""Between two starts."""
trial_end_seconds = 12
"""A new version that is asked to end is killed after this."""
trial_output_max_bytes = 256 * 2**10
"""What is kept of the new version's standard error."""
preflight_seconds = 60
"""How long a new version may take to say its own version before it is tried."""
