"""The closed vocabulary of a SOP: clauses, roles, gates, remedies, measures.

Decides which words a SOP may use where Sopwith acts on them; what each word does is left to the module that acts. A
word that stands here is documented in `docs/glossary.md`. The headings keep the words of the SOP template that the
product grew from, so that a reader of the template finds every part where it was.
"""

from sopwith_formats.vocabulary import Symptom

ROLES = ("owner", "it_manager", "authority")
"""The three named people of clause III, who also sign (clause VII)."""

ACTORS = (*ROLES, "operator", "release_manager", "auditor", "computer", "controller")
"""Who may carry out a step; computer and controller are machines."""

HEADINGS = (
    "I. Purpose",
    "II. Scope",
    "III. Responsibilities",
    "IV. Equipment and Materials",
    "V. Procedure",
    "VI. References",
    "VII. Approval",
    "VIII. Revision History",
)
PROCEDURE_HEADINGS = (
    "A. Preparation",
    "B. Execution",
    "C. Safety Precautions",
    "D. Troubleshooting",
    "E. Documentation",
)

CLAUSES = (
    *("I", "II", "III", "IV", "V", "V.A", "V.A.1", "V.A.2", "V.B", "V.B.1", "V.B.2", "V.C", "V.D", "V.E"),
    *("V.E.1", "V.E.2", "VI", "VII", "VIII"),
)

CONTROLLER_GATES: dict[str, str] = {
    "sop_effective": "VII",
    "sop_scope": "II",
    "sop_bounds": "V",
    "sop_step_order": "III",
    "operator_role": "III",
    "operator_trained": "III",
    "contacts_set": "V.E",
    "approval_fresh": "VII",
    "window": "V.C",
    "freeze": "V.C",
    "ready_quorum": "V.A",
    "rollback_available": "V.C",
    "wave_success": "V.C",
    "canary_soak": "V.C",
    "wave_caps": "V.C",
    "error_threshold": "V.C",
    "log_integrity": "V.E",
}
"""Gates that the controller keeps, with the clause that each enforces."""

AGENT_GATES: dict[str, str] = {
    "warrant_valid": "V.B",
    "source_designated": "V.A",
    "metadata_fresh": "V.A",
    "signature": "V.A",
    "digest": "V.A",
    "version_policy": "V.A",
    "applicable": "IV",
    "connected": "V.A",
    "source_reachable": "V.A",
    "latency": "V.A",
    "throughput": "V.A",
    "clock_skew": "V.A",
    "disk_free": "V.A",
    "memory": "V.A",
    "load": "V.A",
    "power": "V.A",
    "pending_reboot": "V.A",
    "package_lock": "V.A",
    "blocking_process": "V.A",
    "user_session": "V.A",
    "do_not_disturb": "V.A",
    "metered": "V.A",
    "backup": "V.C",
    "record_written": "V.E",
    "health_checks": "V.B",
}
"""Gates that each computer keeps itself."""

GATES: dict[str, str] = {**AGENT_GATES, **CONTROLLER_GATES}

INTEGRITY_GATES = frozenset(
    {"source_designated", "metadata_fresh", "signature", "digest", "warrant_valid", "record_written"}
)
"""Gates that always block and that no deviation can open."""

NEVER_WARNING: dict[str, str] = {
    "sop_effective": "an adopting company begins in profile evaluation, whose SOP may be unsigned",
    "sop_step_order": "delete it: the order of steps is what the machine runs",
    "operator_role": "grant the role: sopwith person grant NAME --role ROLE",
    "approval_fresh": "change_classes says which change needs whose approval",
    "window": "windows.default: always lets installs happen at any time",
    "freeze": "end the freeze, or open a deviation for one rollout",
    "wave_success": "lower safety.success_threshold",
    "canary_soak": "give the waves a soak of 0s",
    "wave_caps": "raise limits.max_concurrency",
    "error_threshold": "raise safety.error_threshold",
    "log_integrity": "delete it: a log that is not whole proves nothing",
    "version_policy": "the signed release decides, by downgrade and requires",
    "applicable": "the signed release decides, by when",
    "health_checks": "the signed release decides, by its health checks",
}
"""Gates beside the integrity gates that have no meaning as a warning, and what to write instead."""

KPIS = (
    *("patch_compliance", "current_state", "time_to_patch", "first_time_success", "rollback_rate"),
    *("change_failure_rate", "readiness_rate", "notification_latency", "mtta", "mttr", "sop_adherence"),
    *("record_completeness", "coverage", "training_currency", "overdue_reviews", "emergency_ratio"),
    *("deviation_hotspots", "user_impact", "operator_actions_per_100_computers"),
)

REMEDIES: dict[str, str] = {
    "back_off": "wait with growing, jittered pauses and try again",
    "use_mirror": "use another mirror of the same designated source",
    "download_again": "discard the file and download it once more",
    "clean_own_staging": "delete Sopwith's own staged files that nothing waits for",
    "clean_package_cache": "empty the package tool's download cache",
    "wait": "wait and measure again",
    "finish_configuration": "let the package tool finish an interrupted configuration, once",
    "collect_resolver_report": "keep the dependency resolver's report; force nothing",
    "reboot_in_window": "restart the computer inside the window, where the SOP allows it",
    "stop_named_services": "stop the services that the release names, and start them again afterwards",
    "install_again": "run the installer once more, where it says that this is safe",
    "end_process_group": "end the installer's process group and keep its output",
    "check_again": "repeat the health check once after the settle time",
    "back_up_again": "take the backup once more",
    "quarantine": "take the computer out of every further rollout",
    "hands_on_task": "open a task for a person at the computer, with its list of protective equipment",
    "previous_agent": "put the previous version of the agent back",
    "resume_from_journal": "let the agent go on by its own journal, and wait for it",
    "collect_diagnostics": "keep the outputs and measurements for a person",
}
"""What may be tried on a computer before a person is asked, and what each means."""

THENS: dict[str, str] = {
    "defer": "put off, tried again later",
    "fail": "ends FAILED",
    "refuse": "refused, nothing installed",
    "roll_back": "the previous version is put back",
    "skip": "ends SKIPPED",
    "unreachable": "ends UNREACHABLE at the deadline",
    "escalate": "a person decides",
}
"""What follows when the remedies did not help."""

INCIDENT_SYMPTOMS = frozenset(
    {
        *(Symptom.ROLLOUT_SUSPENDED, Symptom.LOG_INTEGRITY, Symptom.SOURCE_EXPIRING),
        *(Symptom.APPROVAL_AGEING, Symptom.REVIEW_OVERDUE),
    }
)
"""Symptoms that concern no computer and so need no troubleshooting row."""

COMPUTER_SYMPTOMS = tuple(symptom for symptom in Symptom if symptom not in INCIDENT_SYMPTOMS)

REVIEW_TRIGGERS = (
    *("severity_1_incident", "recurring_deviation", "new_platform", "new_source", "kpi_missed", "changed_law"),
)
CHANNELS = ("smtp", "webhook", "command", "file")
MATERIALS = (
    *("release_files", "signed_metadata", "release_notes", "rollback_material", "effective_sop", "credentials"),
    *("window", "contacts"),
)
IMPORTANCES = ("high", "moderate", "low")
PROFILES = ("evaluation", "standard", "regulated")
