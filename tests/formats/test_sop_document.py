"""The SOP file: the shipped form and what lint says about it, digests, and twenty broken documents."""

import dataclasses

import pytest

from sopwith_formats.agent_policy import AgentPolicy, read_agent_policy
from sopwith_formats.errors import FormatError
from sopwith_formats.problems import DocumentError
from sopwith_formats.sop_document import lint_sop_document, read_sop_document
from sopwith_formats.sop_policy import Range, Reboot, WaveRule, Window, read_sop_policy
from sopwith_formats.sop_template import SopBlanks, fill_template, sop_template
from sopwith_formats.sop_words import NEVER_WARNING

BLANKS = SopBlanks(
    organization="Example",
    owner="owner",
    it_manager="manager",
    it_manager_email="manager@localhost",
    authority="authority",
    date="2026-11-22",
)
FILLED = fill_template(BLANKS)


def changed(old: str, new: str, data: bytes = FILLED) -> bytes:
    text = data.decode()
    assert old in text, old
    return text.replace(old, new, 1).encode()


def line_of(text: str, data: bytes) -> int:
    return data.decode()[: data.decode().index(text)].count("\n") + 1


@pytest.mark.clause("I Purpose", "fresh")
def test_clause_i_fresh_template_has_one_finding_per_placeholder():
    problems = lint_sop_document(sop_template(), "fresh.md")

    placeholders = ["Your Company Name", "Your Name", "Date", "Your Name", "IT Manager", "CEO or Appropriate Authority"]
    assert len(problems) == len(placeholders) + 1
    for problem, placeholder in zip(problems, placeholders, strict=False):
        assert f"[{placeholder}]" in problem.message
        assert placeholder in sop_template().decode().splitlines()[problem.line - 1]
        assert problem.remedy
    assert "[IT Manager's mail address]" in problems[-1].message


@pytest.mark.clause("I Purpose", "filled")
@pytest.mark.parametrize("profile", ["evaluation", "standard", "regulated"])
def test_clause_i_filled_template_has_no_finding(profile):
    blanks = dataclasses.replace(BLANKS, profile=profile, owner_email="owner@localhost", window="FREQ=DAILY/2h")

    assert lint_sop_document(fill_template(blanks)) == []


def test_shipped_defaults_and_bounds_are_those_of_the_table():
    policy = read_sop_document(FILLED).policy

    assert policy.window is None
    assert policy.waves.default == (
        WaveRule("canary", 1, 30 * 60),
        WaveRule("early", "10%", 4 * 3600),
        WaveRule("rest", "100%", 0),
    )
    assert (policy.waves.canary_prefer, policy.waves.canary_avoid) == ("ring=canary", "importance=high")
    assert policy.safety.success_threshold == Range("95%", None, "100%")
    errors = policy.safety.error_threshold
    assert (errors.percent.default, errors.count.default, errors.lost.default) == ("2%", 3, 2)
    assert (policy.limits.max_concurrency.default, policy.limits.max_concurrency.at_least) == ("10%", 5)
    assert policy.limits.ready_quorum.default == 1
    assert policy.limits.attempts_max == Range(3, 1, 10)
    assert policy.limits.rollout_deadline_seconds == Range(14 * 86400, None, 365 * 86400)
    assert (policy.reboot.when, policy.reboot.deferrals_max) == ("in_window", 2)
    assert policy.training.grace_seconds == 7 * 86400
    assert policy.records.retention_seconds == 6 * 365 * 86400
    assert policy.change_classes["emergency"].waves[0] == WaveRule("canary", 1, 600)
    assert (policy.contacts[0].name, policy.contacts[0].email) == ("manager", "manager@localhost")
    laptops = policy.maintenance_groups[0]
    assert (laptops.deferrals_max, laptops.defer_at_most_seconds) == (3, 5 * 86400)


def test_shipped_readiness_is_the_computers_own_default():
    policy = read_sop_document(FILLED).policy

    assert read_agent_policy(policy.readiness) == AgentPolicy()


def test_reboot_and_retention_reach_planner_and_computers():
    data = changed("  window: always  ", "  window: {rrule: FREQ=DAILY, start: '02:00', duration: 2h}  ")
    data = changed("  forced_at_deadline: false", "  forced_at_deadline: true", data)
    data = changed("backup: installer", "backup: snapshot", data)
    policy = read_sop_document(data).policy
    agent = read_agent_policy(policy.readiness)

    assert policy.reboot == Reboot(forced_at_deadline=True, window=Window("FREQ=DAILY", "02:00", 7200))
    assert (agent.reboot_when, agent.reboot_deferrals, agent.reboot_defer_seconds) == ("in_window", 2, 3600)
    assert (agent.reboot_forced, agent.reboot_deadline_seconds, agent.reboot_notice_seconds) == (True, 7 * 86400, 600)
    assert (agent.reboot_confirm_seconds, agent.backup_required, agent.snapshot_required) == (1800, True, True)
    assert (agent.kept_versions, agent.kept_age_seconds, agent.kept_size_bytes) == (2, 180 * 86400, 5 * 2**30)


def test_policy_survives_its_canonical_json():
    document = read_sop_document(FILLED)

    read = read_sop_policy(document.policy.to_json())

    assert read == document.policy
    assert read.sha256() == document.policy_sha256


def test_regulated_profile_leaves_no_training_grace():
    document = read_sop_document(fill_template(dataclasses.replace(BLANKS, profile="regulated")))

    assert document.policy.training.grace_seconds == 0


@pytest.mark.parametrize(
    ("window", "key", "line", "words"),
    [
        ('{rrule: "FREQ=DAILY;COUNT=2", start: "22:00", duration: 6h}', "rrule", 0, "a window does not end"),
        ('{rrule: "FREQ=DAILY", start: "22:00", duration: 6h, time_zone: Mars}', "time_zone", 0, "no time zone"),
        ('{rrule: "FREQ=DAILY", start: "2:00", duration: 6h}', "start", 0, "no time of day"),
        ('{rrule: "FREQ=DAILY", start: "22:00", duration: 6h,\n    cutoff: 6h}', "cutoff", 1, "no time to start in"),
    ],
)
def test_lint_names_what_is_wrong_in_a_window_with_line_and_mend(window, key, line, words):
    data = changed("  default: always\n", f"  default: {window}\n")
    written = line_of("  default: {rrule", data)

    (problem,) = lint_sop_document(data)

    assert (problem.key, problem.line) == (f"windows.default.{key}", written + line)
    assert words in problem.message
    assert problem.remedy


def test_window_of_init_becomes_the_sops_window():
    data = fill_template(dataclasses.replace(BLANKS, window="FREQ=WEEKLY;BYDAY=SA;BYHOUR=22/6h"))

    assert read_sop_document(data).policy.window == Window("FREQ=WEEKLY;BYDAY=SA", "22:00", 6 * 3600)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("owner", ""),
        ("owner", "a\nb: c"),
        ("authority", "[CEO]"),
        ("organization", "x" * 201),
        ("window", "weekly"),
        ("window", "FREQ=DAILY/2"),
    ],
)
def test_blank_that_cannot_be_filled_so_is_refused(key, value):
    with pytest.raises(FormatError):
        fill_template(dataclasses.replace(BLANKS, **{key: value}))


def test_name_with_quotes_stays_a_name():
    odd = 'O\'Neil "Bob" # : {x}'

    document = read_sop_document(fill_template(dataclasses.replace(BLANKS, owner=odd)))

    assert document.front.roles.owner == odd
    assert document.complete


def test_title_and_prose_change_is_editorial():
    before, after = read_sop_document(FILLED), read_sop_document(changed("It has three aims", "Its aims are three"))

    assert after.document_sha256 != before.document_sha256
    assert after.policy_sha256 == before.policy_sha256


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count: {default: 3, min: 1}", "count: {default: 4, min: 1}"),
        ("soak: 4h}", "soak: 4h1s}"),
        ("action: Start the rollout.", "action: Start the rollout at once."),
        ("manager@localhost", "nobody@localhost"),
        ("load: {enforce: warn}", "load: {enforce: block}"),
        ("battery_percent: 30", "battery_percent: 29"),
    ],
)
def test_enforced_change_is_material(old, new):
    assert read_sop_document(changed(old, new)).policy_sha256 != read_sop_document(FILLED).policy_sha256


BROKEN = [
    ("sop_format: 1", "sop_format: 2", "sop_format", "above 1"),
    ("title: Software Updates", "titel: Software Updates", "titel", "did you mean title?"),
    ("revision: 1", "revision: one", "revision", "whole number"),
    ("revision: 1", "revision: 99999999999999999999", "revision", "53 bits"),
    ("kind: material", "kind: cosmetic", "change.kind", "editorial"),
    ("  policy: all", "  policy: &all all", "approval.policy", "anchor"),
    ("require: [owner, it_manager, authority]", "require: [owner]", "approval.require", "clause VII"),
    ("grace: 7d", "grace: 7", "training.grace", "no unit"),
    ("soak: 30m}", "soak: 30 minutes}", "waves.default[0].soak", "no duration"),
    ("success_threshold: {default: 95%", "success_threshold: {default: 105%", "safety.success_threshold", "percentage"),
    ("{default: 3, min: 1, max: 10}", "{default: 11, min: 1, max: 10}", "limits.attempts_max", "own bounds"),
    ("load: {enforce: warn}", "laod: {enforce: warn}", "gates.laod", "is no gate"),
    ("load: {enforce: warn}", "signature: {enforce: warn}", "gates.signature", "always blocks"),
    ('email: "manager@localhost"', "email: manager", "contacts.it_manager.email", "no mail address"),
    ("action: Start the rollout.", "action: start it", "steps[3].action", "imperative sentence"),
    (
        "    success_test: The rollout is RUNNING, and its first wave is open\n",
        "",
        "steps[3].success_test",
        "is missing",
    ),
    ("symptom: DISK_FULL", "symptom: DISK_FUL", "troubleshooting[7].symptom", "not known"),
    ("dispatch_within: 60s", "dispatch_within: 2h", "escalation[0].dispatch_within", "60s"),
    ("retention: 6y", "retention: 6d", "records.retention", "1y"),
    ("kpi: record_completeness", "kpi: happiness", "objectives[0].kpi", "write one of"),
    ("## VI. References\n", "", "body", "'VI. References' is missing"),
    ("{{ reboot.when }}", "{{ reboot.whenever }}", "body", "not in the front matter"),
    ("after: 30m, targets: [owner]", "after: 0s, targets: [owner]", "escalation[0].levels", "climb"),
    ("separate_persons: true", "separate_persons: false", "approval.separate_persons", "risk"),
    ("  defer_for: 1h", "  defer_for: 30s", "reboot.defer_for", "write 1m to 7d"),
    ("  confirm_timeout: 30m", "  confirm_timeout: 2d", "reboot.confirm_timeout", "write 1m to 1d"),
    ("  notice: 10m", "  notice: 25h", "reboot.notice", "write 0s to 1d"),
    ("  deadline: 7d ", "  deadline: 0s ", "reboot.deadline", "write 1m to 365d"),
    ("  deferrals_max: 2 ", "  deferrals_max: 101 ", "reboot.deferrals_max", "100"),
    ("  when: in_window", "  when: at_noon", "reboot.when", "any_time"),
    ("  window: always", "  window: {rrule: weekly, start: '22:00', duration: 6h}", "reboot.window.rrule", "no RRULE"),
    ("kept: {versions: 2", "kept: {versions: 0", "safety.kept.versions", "1"),
    ("age: 180d", "age: 1h", "safety.kept.age", "write 1d to 3650d"),
]


INCOMPLETE = [
    ("## II. Scope\n", "## II. Scope\n\n## II. Scope\n", "body", "more than once"),
    ("{{ table.references }}\n", "", "body", "'VI. References' is empty"),
    ("It covers every computer", "It covers [every] [IT Department] computer", "body", "[IT Department]"),
    ('email: "manager@localhost"', 'email: ""', "contacts.it_manager", "no mail address"),
    ("require: [owner, it_manager, authority]", "require: [owner, owner, it_manager, authority]", "approval", "twice"),
    ("  - id: S2\n", "  - id: S1\n", "steps[1].id", "twice"),
    ("    time_limit: 15m\n", "    time_limit: 0s\n", "steps[2].time_limit", "no time"),
    ("    severity: 1\n    guidance: Treat", "    severity: 2\n    guidance: Treat", "troubleshooting[2]", "write 1"),
    ("    attempts: 5\n", "    attempts: 0\n", "troubleshooting[0].attempts", "although there is a remedy"),
    ("    attempts: 0\n", "    attempts: 1\n", "troubleshooting[2].attempts", "no remedy"),
    ("  - severity: 3\n    dispatch", "  - severity: 2\n    dispatch", "escalation", "no rule for severity 3"),
    ("after: 0s, targets: [it_manager]", "after: 1m, targets: [it_manager]", "escalation[0].levels", "at once"),
    ("acknowledge_within: 15m", "acknowledge_within: 0s", "escalation[0].acknowledge_within", "15m"),
    ("deadlines: {}", "deadlines: {critical: {huge: 3d}}", "deadlines", "importance"),
    ("approval: before, count: 1", "approval: before, count: 0", "change_classes.normal", "asks nobody"),
    ("review_within: 24h", "review_within: 25h", "change_classes.emergency", "within a day"),
    ("{V: [A.5.37]", "{IX: [A.5.37]", "satisfies", "unknown clause"),
    ("  deadline: 7d ", "  deadline: 30d ", "reboot.deadline", "later than the end of the rollout"),
    ("  - {id: window, text", "  - {id: contacts, text", "materials", "window"),
    ("{when: remote, items: []}", "{when: hands_on, items: []}", "ppe", "remote"),
    ("canary: {prefer", "canary: {prefers", "waves.canary.prefers", "did you mean prefer?"),
    ("load_percent_of_processors: 200", "load_percent_of_processors: lots", "readiness", "whole number"),
    ("throughput_per_second: 64KiB", "throughput_per_second: 64", "connectivity", "no unit"),
    ("hard_expiry: false", "hard_expiry: no", "review.hard_expiry", "write true or false"),
    ('  targets: ""', "  targets: [site]", "scope.targets", "no selector"),
    ("safety:\n", "safety: none\nsafty:\n", "safety", "group of keys"),
    ("  on: [severity_1_incident,", "  on: [full_moon, severity_1_incident,", "review.on[0]", "write one of"),
]


@pytest.mark.clause("2 Develop", "steps")
@pytest.mark.parametrize(("old", "new", "key", "words"), INCOMPLETE)
def test_incomplete_document_is_named_with_its_mend(old, new, key, words):
    problems = lint_sop_document(changed(old, new), "incomplete.md")

    found = [problem for problem in problems if problem.key.startswith(key) and words in str(problem)]
    assert found, [str(problem) for problem in problems]
    assert all(problem.remedy and problem.line for problem in found)


def test_reboot_that_is_forced_where_none_may_happen_is_found():
    data = changed(
        "  forced_at_deadline: false", "  forced_at_deadline: true", changed("when: in_window", "when: never")
    )

    (problem,) = lint_sop_document(data)

    assert (problem.key, "never lets happen" in problem.message) == ("reboot.forced_at_deadline", True)


def test_sections_in_another_order_are_found():
    text = FILLED.decode()
    scope, rest = text[text.index("## II. Scope") :].split("## III. Responsibilities", 1)
    moved = text[: text.index("## II. Scope")] + "## III. Responsibilities" + rest + "\n" + scope

    assert "has its sections in another order" in {problem.message for problem in lint_sop_document(moved.encode())}


def test_clause_without_a_step_and_nothing_significant_are_found():
    data = changed("clause: V.E.1", "clause: V.D")
    data = changed("clause: V.E.2", "clause: V.D", changed("clause: V.E.2", "clause: V.D", data))
    text = data.decode()
    for _ in range(3):
        text = text.replace("  - severity: 1\n    text:", "  - severity: 2\n    text:")

    messages = {problem.message for problem in lint_sop_document(text.encode())}

    assert {"has no step for clause V.E", "names nothing of severity 1"} <= messages


@pytest.mark.parametrize(("old", "new", "key", "words"), BROKEN)
def test_broken_document_is_named_with_line_key_and_mend(old, new, key, words):
    data = changed(old, new)

    problems = lint_sop_document(data, "broken.md")

    found = [problem for problem in problems if problem.key.startswith(key) and words in str(problem)]
    assert found, [str(problem) for problem in problems]
    assert found[0].remedy
    if new:
        assert abs(found[0].line - line_of(new, data)) <= 3


@pytest.mark.clause("V.D Update fails to install", "rows")
def test_symptom_without_an_answer_is_found():
    problems = lint_sop_document(changed("symptom: POWER_LOW", "symptom: LOAD_HIGH"))

    assert {"has no answer to POWER_LOW", "answers LOAD_HIGH twice"} <= {problem.message for problem in problems}


def test_same_person_in_two_roles_is_found():
    problems = lint_sop_document(changed('authority: "authority"', 'authority: "Owner "'))

    assert [problem.key for problem in problems] == ["roles"]


def test_one_person_in_several_roles_is_said_with_its_risk():
    document = read_sop_document(fill_template(dataclasses.replace(BLANKS, it_manager="Owner", authority="owner")))

    assert document.problems == ()
    assert document.policy.approval.separate_persons is False
    assert "One person" in document.policy.approval.separate_persons_risk


@pytest.mark.clause("VI References", "empty")
def test_empty_references_only_warn():
    text = FILLED.decode()
    start, end = text.index("references:\n"), text.index("satisfies:")
    problems = lint_sop_document((text[:start] + "references: []\n" + text[end:]).encode())

    assert [(problem.level, problem.key) for problem in problems] == [("warning", "references")]


def test_all_faults_of_a_document_come_at_once():
    data = changed("retention: 6y", "retention: 6")
    data = changed("grace: 7d", "grace: soon", data)
    data = changed("## I. Purpose", "## I. Aim", data)
    data = changed("organization: ", 'organization: "[Your Company Name]" # ', data)

    with pytest.raises(DocumentError) as caught:
        read_sop_document(data)

    keys = [problem.key for problem in caught.value.problems]
    assert {"organization", "training.grace", "records.retention", "body"} <= set(keys)
    assert [problem.line for problem in caught.value.problems] == sorted(
        problem.line for problem in caught.value.problems
    )


@pytest.mark.parametrize("data", [b"", b"# Only prose\n", b"---\na: 1\n", b"\n---\na: 1\n---\n", b"x" * 300_000])
def test_file_without_front_matter_is_refused(data):
    with pytest.raises(DocumentError):
        read_sop_document(data)


def test_body_that_is_no_text_is_refused():
    with pytest.raises(DocumentError, match="not UTF-8"):
        read_sop_document(FILLED + b"\xff\n")


@pytest.mark.gate("warns", "backup")
def test_sop_that_only_warns_of_a_missing_way_back_lets_installs_go_ahead():
    warned = changed("  load: {enforce: warn}\n", "  load: {enforce: warn}\n  backup: {enforce: warn}\n")

    assert read_agent_policy(read_sop_document(FILLED).policy.readiness).backup_required
    assert not read_agent_policy(read_sop_document(warned).policy.readiness).backup_required


@pytest.mark.parametrize("gate", sorted(NEVER_WARNING))
def test_gate_that_means_nothing_as_a_warning_is_named_with_what_to_write_instead(gate: str):
    document = changed("  load: {enforce: warn}\n", f"  {gate}: {{enforce: warn}}\n")

    (problem,) = lint_sop_document(document)

    assert problem.message == "does not become a warning"
    assert problem.remedy == NEVER_WARNING[gate]
