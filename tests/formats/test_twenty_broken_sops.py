"""Twenty broken SOPs, each broken in several places: lint names every fault with its line and its mend, in one go.

Every case is a name, what was done to the whole document, and the complete list of places that lint must name: none is
missing, none is made up, and the line is where the hand was.
"""

import pytest

from sopwith_formats.sop_document import lint_sop_document
from tests.formats.mutated_sops import WHOLE

Change = tuple[str, str]
PUBLISHED = "The release is listed as PUBLISHED, and every file has the digest that its metadata states"
REFUSAL = "Signed metadata, digests, and a refusal of anything older than what was seen before"
KNOWN = "The release is known by name and version, and the release manager's key is at hand"

TWENTY: dict[str, tuple[list[Change], list[tuple[str, str, str]]]] = {
    "unknown keys": (
        [("title: Software Updates", "titel: Software Updates"), ("  warn_before:", "  warn_befor:")],
        [
            ("title", "is missing", "sop_format"),
            ("titel", "did you mean title?", "titel"),
            ("review.warn_before", "is missing", "review:"),
            ("review.warn_befor", "did you mean warn_before?", "warn_befor:"),
            ("body", "refers to 'title'", "#"),
        ],
    ),
    "a key twice": ([("revision: 1\n", "revision: 1\nrevision: 2\n")], [("revision", "stands twice", "revision: 2")]),
    "an alias": (
        [("  policy: all", "  policy: *everybody")],
        [("approval.policy", "is the alias *everybody", "policy: *everybody")],
    ),
    "an anchor and a tag": (
        [("  policy: all", "  policy: &all all"), ("count: {default: 3,", "count: !!int {default: 3,")],
        [
            ("approval.policy", "has the anchor &all", "policy: &all"),
            ("safety.error_threshold.count", "has the tag", "!!int"),
        ],
    ),
    "bad durations": (
        [("grace: 7d", "grace: soon"), ("soak: 30m}", "soak: 30 minutes}"), ("retention: 6y", "retention: 6")],
        [
            ("training.grace", "no duration", "soon"),
            ("waves.default[0].soak", "no duration", "30 minutes"),
            ("records.retention", "has no unit", "retention: 6"),
        ],
    ),
    "a percentage beyond a hundred": (
        [("success_threshold: {default: 95%", "success_threshold: {default: 105%")],
        [("safety.success_threshold.default", "no percentage", "105%")],
    ),
    "placeholders": (
        [("It covers every computer", "It covers every computer of [IT Department], says [Your Name],")],
        [("body", "[IT Department]", "[IT"), ("body", "[Your Name]", "[Your")],
    ),
    "a step without risk, mitigation and time limit": (
        [
            ("    risk: A file is damaged, outdated or not from the designated source\n", ""),
            (f"    mitigation: {REFUSAL}\n", ""),
            ("    time_limit: 1d\n", ""),
        ],
        [
            ("steps[0].risk", "missing", "id: S1"),
            ("steps[0].mitigation", "missing", "id: S1"),
            ("steps[0].time_limit", "missing", "id: S1"),
        ],
    ),
    "a step without actor, precondition and success test": (
        [
            ("    actor: release_manager\n", ""),
            (f"    precondition: {KNOWN}\n", ""),
            (f"    success_test: {PUBLISHED}\n", ""),
        ],
        [
            ("steps[0].actor", "missing", "id: S1"),
            ("steps[0].precondition", "missing", "id: S1"),
            ("steps[0].success_test", "missing", "id: S1"),
        ],
    ),
    "a step that is no instruction": (
        [("action: Start the rollout.", "action: the rollout should be started soon")],
        [("steps[3].action", "one imperative sentence", "the rollout should")],
    ),
    "roles without holder": (
        [('  owner: "owner"', '  owner: ""'), ('  authority: "authority"', '  authority: "[CEO]"')],
        [("roles.owner", "empty", 'owner: ""'), ("roles.authority", "[CEO]", "[CEO]")],
    ),
    "one person in two roles": (
        [('  authority: "authority"', '  authority: "Owner "')],
        [("roles", "names one person as owner and authority", "roles:")],
    ),
    "a measure that does not exist": (
        [("kpi: record_completeness", "kpi: happiness")],
        [("objectives[0].kpi", "'happiness'", "happiness")],
    ),
    "a symptom without an answer": (
        [("symptom: POWER_LOW", "symptom: LOAD_HIGH")],
        [
            ("troubleshooting", "no answer to POWER_LOW", "troubleshooting:"),
            ("troubleshooting[15].symptom", "answers LOAD_HIGH twice", "LOAD_HIGH"),
        ],
    ),
    "an unknown symptom and an unknown remedy": (
        [("symptom: DISK_FULL", "symptom: DISK_FUL"), ("remedies: [back_off, use_mirror]", "remedies: [pray]")],
        [
            ("troubleshooting[0].remedies[0]", "'pray'", "[pray]"),
            ("troubleshooting[7].symptom", "'DISK_FUL'", "DISK_FUL"),
        ],
    ),
    "a gate that must not be opened": (
        [("load: {enforce: warn}", "signature: {enforce: warn}")],
        [("gates.signature", "always blocks", "signature: {")],
    ),
    "a ladder that does not climb, late at once": (
        [("after: 30m, targets: [owner]", "after: 0s, targets: [owner]"), ("within: 60s", "within: 2h")],
        [
            ("escalation[0].dispatch_within", "later than immediately", "2h"),
            ("escalation[0].levels", "does not climb", "levels"),
        ],
    ),
    "sections that are missing": (
        [("## VI. References\n", ""), ("## I. Purpose", "## I. Aim")],
        [("body", "'I. Purpose' is missing", "#"), ("body", "'VI. References' is missing", "#")],
    ),
    "a default outside its own bounds": (
        [("{default: 3, min: 1, max: 10}", "{default: 11, min: 1, max: 10}")],
        [("limits.attempts_max", "outside its own bounds", "11")],
    ),
    "a sentence that refers to nothing": (
        [("{{ reboot.when }}", "{{ reboot.whenever }}")],
        [("body", "'reboot.whenever', which is not in the front matter", "reboot.whenever")],
    ),
}


def broken(name: str) -> bytes:
    text = WHOLE.decode()
    for old, new in TWENTY[name][0]:
        assert old in text, (name, old)
        text = text.replace(old, new, 1)
    return text.encode()


def test_there_are_twenty():
    assert len(TWENTY) == 20


@pytest.mark.parametrize("name", TWENTY)
def test_every_fault_of_a_broken_sop_is_named_with_line_and_mend_in_one_go(name):
    data = broken(name)
    lines = data.decode().split("\n")

    problems = lint_sop_document(data, "broken.md")

    expected = TWENTY[name][1]
    assert len(problems) == len(expected), [str(problem) for problem in problems]
    for problem, (key, words, where) in zip(problems, expected, strict=True):
        assert problem.key == key
        assert words in str(problem)
        assert problem.remedy
        assert str(problem).startswith(f"broken.md:{problem.line}: ")
        assert where in lines[problem.line - 1]
