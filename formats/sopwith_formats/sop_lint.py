"""What a SOP still lacks: placeholders, empty sections, steps without a test, symptoms without an answer.

Decides which findings prevent review (errors) and which only deserve a look (warnings); that the file can be read at
all is settled before. Each finding names line, key and mend. Rules, with the clause of the template that they guard:

- no text in brackets is left to be filled in (a fresh template reports each one);
- every section of the template is there and says something, in its order;
- every reference `{{ ... }}` leads to a value of the front matter, or to a generated table (V, "numbers stand once");
- every step is one imperative sentence with actor, precondition, success test, risk, mitigation and time limit (V.B);
- every symptom that a computer can show has its bounded answer, not weaker than its severity (V.D);
- the three people of clause III are three persons, or the SOP says why not (VII);
- the IT manager can be reached (V.E); integrity gates block (V.A); references are listed (VI, a warning);
- a reboot is not forced where none may happen, and its deadline comes before the rollout's own (V.C, a warning).
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from sopwith_formats import sop_words as words
from sopwith_formats.documents import Document, Place
from sopwith_formats.problems import Problem
from sopwith_formats.sop_front_matter import FrontMatter
from sopwith_formats.sop_references import TABLES, find_references, look_up
from sopwith_formats.vocabulary import SEVERITY_1

PLACEHOLDER = re.compile(r"\[[A-Z][A-Za-z][^\[\]\n]{0,60}\](?![(\[:])")
RETENTION_MIN_SECONDS = 365 * 86400
_DAY_SECONDS = 86400
_IMMEDIATELY_SECONDS = 60
_AT_ONCE = (1, 2)
"""Severities that are reported without waiting for a digest."""


def lint_placeholders(tree: Document, body: str, body_line: int) -> Iterator[Problem]:
    """Yield one finding per text in brackets that waits to be filled in."""
    for place, value in walk(tree.value, ()):
        for match in PLACEHOLDER.finditer(value) if isinstance(value, str) else ():
            yield tree.problem(place, f"still holds the placeholder {match[0]}", "write what belongs there")
    for number, line in enumerate(body.splitlines(), body_line):
        for match in PLACEHOLDER.finditer(re.sub(r"`[^`]*`", "", line)):
            message = f"still holds the placeholder {match[0]}"
            yield Problem(tree.file, number, "body", message, "write what belongs there")


def walk(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """Yield every single value of a document with its place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, (*place, index))
    else:
        yield place, value


def lint_body(tree: Document, body: str, body_line: int) -> Iterator[Problem]:
    """Yield what is wrong with the Markdown: sections and references."""
    lines = body.splitlines()
    headings = [(number, line.lstrip("#").strip()) for number, line in enumerate(lines) if re.match(r"#{1,6} ", line)]
    yield from _sections(tree, headings, lines, body_line)
    for number, reference in find_references(body):
        if reference in TABLES or not tree.whole:
            continue
        found, _ = look_up(tree.value, reference)
        if not found:
            message = f"refers to {reference!r}, which is not in the front matter"
            remedy = f"name a key by its path, or a table: {', '.join(TABLES)}"
            yield Problem(tree.file, body_line + number, "body", message, remedy)


def _sections(
    tree: Document, headings: Sequence[tuple[int, str]], lines: Sequence[str], body_line: int
) -> Iterator[Problem]:
    wanted = (*words.HEADINGS[:5], *words.PROCEDURE_HEADINGS, *words.HEADINGS[5:])
    texts = [text for _, text in headings]
    for heading in wanted:
        if texts.count(heading) != 1:
            state = "is missing" if heading not in texts else "stands more than once"
            line = body_line + next((number for number, text in headings if text == heading), 0)
            yield Problem(tree.file, line, "body", f"section {heading!r} {state}", f"write one heading: ## {heading}")
    found = [text for text in texts if text in wanted]
    if found != [heading for heading in wanted if heading in found]:
        yield Problem(tree.file, body_line, "body", "has its sections in another order", "keep the template's order")
    for (start, text), (end, _) in pairwise([*headings, (len(lines), "")]):
        empty = not any(line.strip() for line in lines[start + 1 : end])
        deeper = end < len(lines) and _level(lines[end]) > _level(lines[start])
        if empty and not deeper:
            message = f"section {text!r} is empty"
            yield Problem(tree.file, body_line + start, "body", message, "say what holds, also when it is nothing")


def _level(line: str) -> int:
    return len(line) - len(line.lstrip("#"))


def lint_front(front: FrontMatter, tree: Document) -> Iterator[Problem]:
    """Yield what a readable front matter still lacks."""
    yield from _people(front, tree)
    yield from _steps(front, tree)
    yield from _symptoms(front, tree)
    yield from _gates(front, tree)
    yield from _escalation(front, tree)
    yield from _reboot(front, tree)
    yield from _the_rest(front, tree)
    yield from _classes(front, tree)
    yield from _clauses(front, tree)


def _people(front: FrontMatter, tree: Document) -> Iterator[Problem]:
    names = {role: getattr(front.roles, role).strip().casefold() for role in words.ROLES}
    twice = [role for role in words.ROLES if list(names.values()).count(names[role]) > 1]
    if twice and front.approval.separate_persons:
        message = f"names one person as {' and '.join(twice)}"
        yield tree.problem(
            ("roles",), message, "name separate persons, or set approval.separate_persons: false and say its risk"
        )
    if not front.approval.separate_persons and not front.approval.separate_persons_risk.strip():
        remedy = "add separate_persons_risk: with the reason and what reduces the risk"
        yield tree.problem(("approval", "separate_persons"), "is false without saying the risk", remedy)
    missing = [role for role in words.ROLES if role not in front.approval.require]
    if missing:
        message = f"does not ask for {' and '.join(missing)}"
        yield tree.problem(("approval", "require"), message, "list owner, it_manager and authority (clause VII)")
    if len(set(front.approval.require)) != len(front.approval.require):
        yield tree.problem(("approval", "require"), "names a role twice", "name each role once")
    if not front.contacts.it_manager.email:
        message, remedy = "has no mail address", "add email: so that incidents reach the IT manager (clause V.E)"
        yield tree.problem(("contacts", "it_manager"), message, remedy)


def _steps(front: FrontMatter, tree: Document) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, step in enumerate(front.steps):
        here: Place = ("steps", index)
        if step.id in seen:
            yield tree.problem((*here, "id"), f"names the step {step.id!r} twice", "give each step its own id")
        seen.add(step.id)
        action = step.action.strip()
        if not re.fullmatch(r"[A-Z][^\n]*?[.!]", action) or re.search(r"[.!?] +[A-Z]", action):
            yield tree.problem(
                (*here, "action"), "is not one sentence", "write one imperative sentence that ends with a full stop"
            )
        if step.time_limit <= 0:
            yield tree.problem((*here, "time_limit"), "gives no time", "write a duration above 0s")
    for clause in ("V.A", "V.B", "V.C", "V.D", "V.E"):
        if not any(step.clause == clause or step.clause.startswith(f"{clause}.") for step in front.steps):
            yield tree.problem(("steps",), f"has no step for clause {clause}", "add one")


def _symptoms(front: FrontMatter, tree: Document) -> Iterator[Problem]:
    listed = [row.symptom for row in front.troubleshooting]
    for index, row in enumerate(front.troubleshooting):
        here: Place = ("troubleshooting", index)
        if row.symptom in listed[:index]:
            yield tree.problem((*here, "symptom"), f"answers {row.symptom} twice", "keep one row per symptom")
        if row.symptom in SEVERITY_1 and row.severity != 1:
            message = f"treats {row.symptom} as severity {row.severity}"
            yield tree.problem((*here, "severity"), message, "write 1: this one goes to the IT manager at once")
        if row.remedies and row.attempts == 0:
            yield tree.problem((*here, "attempts"), "is 0 although there is a remedy", "write how often it is tried")
        if not row.remedies and row.attempts:
            yield tree.problem((*here, "attempts"), "counts tries although there is no remedy", "write 0")
    for symptom in words.COMPUTER_SYMPTOMS:
        if symptom not in listed:
            message = f"has no answer to {symptom}"
            yield tree.problem(("troubleshooting",), message, f"add a row with symptom: {symptom} (clause V.D)")


def _gates(front: FrontMatter, tree: Document) -> Iterator[Problem]:
    for gate, part in front.gates.items():
        if gate not in words.GATES:
            yield tree.problem(("gates", gate), "is no gate", f"write one of {', '.join(sorted(words.GATES))}")
        elif gate in words.INTEGRITY_GATES and part.enforce != "block":
            yield tree.problem(("gates", gate), "guards integrity and always blocks", "delete it, or write block")
        elif gate in words.NEVER_WARNING and part.enforce != "block":
            yield tree.problem(("gates", gate), "does not become a warning", words.NEVER_WARNING[gate])


def _escalation(front: FrontMatter, tree: Document) -> Iterator[Problem]:
    severities = [rule.severity for rule in front.escalation]
    for severity in (1, 2, 3):
        if severities.count(severity) != 1:
            state = "no rule" if severity not in severities else "more than one rule"
            yield tree.problem(("escalation",), f"has {state} for severity {severity}", "write exactly one")
    for index, rule in enumerate(front.escalation):
        here: Place = ("escalation", index)
        first = rule.levels[0] if rule.levels else None
        if rule.severity in _AT_ONCE and (first is None or first.after != 0 or "it_manager" not in first.targets):
            message = "does not tell the IT manager at once"
            yield tree.problem((*here, "levels", 0), message, "begin with {after: 0s, targets: [it_manager], ...}")
        if rule.severity in _AT_ONCE and not 0 < rule.acknowledge_within <= _DAY_SECONDS:
            remedy = "write a duration of at most 1d, for example 15m"
            yield tree.problem((*here, "acknowledge_within"), "sets no time to acknowledge", remedy)
        if rule.severity == 1 and rule.dispatch_within > _IMMEDIATELY_SECONDS:
            yield tree.problem((*here, "dispatch_within"), "is later than immediately", "write at most 60s")
        waits = [level.after for level in rule.levels]
        if waits != sorted(set(waits)):
            yield tree.problem((*here, "levels"), "does not climb", "let every level begin later than the one before")
    if not any(rule.severity == 1 for rule in front.significant):
        yield tree.problem(("significant",), "names nothing of severity 1", "list what is reported at once")


def _reboot(front: FrontMatter, tree: Document) -> Iterator[Problem]:
    reboot = front.reboot
    if reboot.when == "never" and reboot.forced_at_deadline:
        remedy = "write when: in_window, or forced_at_deadline: false"
        yield tree.problem(("reboot", "forced_at_deadline"), "forces what reboot.when never lets happen", remedy)
    if reboot.deadline > int(front.limits.rollout_deadline.default):
        message, remedy = "is later than the end of the rollout itself", "write at most limits.rollout_deadline"
        yield tree.problem(("reboot", "deadline"), message, remedy, level="warning")


def _the_rest(front: FrontMatter, tree: Document) -> Iterator[Problem]:
    if not front.references:
        message, remedy = "is empty", "list the texts that you work by, with edition and date (clause VI)"
        yield tree.problem(("references",), message, remedy, level="warning")
    if front.records.retention < RETENTION_MIN_SECONDS:
        yield tree.problem(("records", "retention"), "is shorter than a year", "write at least 1y")
    missing = [name for name in words.MATERIALS if name not in {material.id for material in front.materials}]
    if missing:
        yield tree.problem(("materials",), f"does not list {', '.join(missing)}", "add them (clause IV)")
    for when in ("remote", "hands_on"):
        if when not in {rule.when for rule in front.ppe}:
            yield tree.problem(("ppe",), f"says nothing for {when} work", "add a rule; an empty list means none")


def _classes(front: FrontMatter, tree: Document) -> Iterator[Problem]:
    for importances in front.deadlines.values():
        for importance in importances:
            if importance not in words.IMPORTANCES:
                remedy = f"write one of {', '.join(words.IMPORTANCES)}"
                yield tree.problem(("deadlines",), f"names the importance {importance!r}", remedy)
    classes = front.change_classes
    if classes.normal.approval != "before" or not classes.normal.roles or classes.normal.count < 1:
        remedy = "write approval: before with count and roles"
        yield tree.problem(("change_classes", "normal"), "asks nobody", remedy)
    if classes.emergency.approval != "after" or not 0 < classes.emergency.review_within <= _DAY_SECONDS:
        remedy = "write approval: after and review_within: at most 24h"
        yield tree.problem(("change_classes", "emergency"), "is not reviewed within a day", remedy)


def _clauses(front: FrontMatter, tree: Document) -> Iterator[Problem]:
    for clauses in front.satisfies.values():
        for clause in clauses:
            if clause not in words.CLAUSES:
                remedy = f"write one of {', '.join(words.CLAUSES)}"
                yield tree.problem(("satisfies",), f"maps the unknown clause {clause!r}", remedy)
