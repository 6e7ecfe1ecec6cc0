"""The tables of a rendered SOP, drawn from its front matter: one function per word of `sop_references.TABLES`.

Decides columns and words of each table; how a table looks is `sop_rendering`'s. Rule: nothing is written here that is
not in the front matter, so that the paper and the program say the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sopwith_formats import sop_words as words
from sopwith_formats.sop_document import SopDocument
from sopwith_formats.sop_policy import Amount, Range
from sopwith_formats.units import format_duration, format_rate


@dataclass(frozen=True)
class SignatureLine:
    """One line of the approval table."""

    role: str
    person: str
    meaning: str
    date: str
    key_id: str


@dataclass(frozen=True)
class RevisionLine:
    """One line of the revision history."""

    revision: int
    description: str
    date: str
    revised_by: str


@dataclass(frozen=True)
class Surroundings:
    """What stands on the paper and outside the signed bytes: state, signatures, history."""

    state: str = ""
    signatures: tuple[SignatureLine, ...] = ()
    revisions: tuple[RevisionLine, ...] = ()
    evaluation: bool = False
    """The controller is an evaluation: every page says so."""


@dataclass(frozen=True)
class Table:
    """Titles and rows of text."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = field(default=())


def draw(name: str, sop: SopDocument, around: Surroundings) -> Table:
    """Return the table of a word such as table.steps; KeyError for another word."""
    if name == "table.signatures":
        return _signatures(sop, around)
    if name == "table.revisions":
        return _revisions(sop, around)
    return _TABLES[name](sop)


def control_map(sop: SopDocument) -> Table:
    """Return which clause supports evidence for which control of which framework."""
    rows = tuple(
        (framework, clause, ", ".join(controls))
        for framework, clauses in sop.front.satisfies.items()
        for clause, controls in clauses.items()
    )
    return Table(("Framework", "Clause", "Supports evidence for"), rows or (("none", "", ""),))


def _spoken(word: str) -> str:
    return word.replace("_", " ").replace("it manager", "IT manager").replace("sop", "SOP")


def _time(seconds: int) -> str:
    return format_duration(timedelta(seconds=seconds)) if seconds else "none"


def _signatures(sop: SopDocument, around: Surroundings) -> Table:
    signed = {line.role: line for line in around.signatures}
    rows = []
    for role in sop.front.approval.require:
        line = signed.get(role, SignatureLine(role, getattr(sop.front.roles, role), "", "not signed", ""))
        rows.append((_spoken(role), line.person, line.meaning, line.date, line.key_id.removeprefix("sha256:")[:16]))
    return Table(("Role", "Name", "Meaning", "Date signed", "Key"), tuple(rows))


def _revisions(sop: SopDocument, around: Surroundings) -> Table:
    change = sop.front.change
    own = RevisionLine(sop.front.revision, change.description, change.date, change.revised_by)
    lines = around.revisions or (own,)
    rows = tuple((str(line.revision), line.description, line.date, line.revised_by) for line in lines)
    return Table(("Revision", "Description", "Date", "Revised By"), rows)


def _objectives(sop: SopDocument) -> Table:
    rows = tuple((item.id, item.text, _spoken(item.kpi), item.target) for item in sop.front.objectives)
    return Table(("", "Objective", "Measured by", "Target"), rows)


def _responsibilities(sop: SopDocument) -> Table:
    rows = tuple((_spoken(role), getattr(sop.front.roles, role)) for role in words.ROLES)
    return Table(("Role", "Person"), rows)


def _materials(sop: SopDocument) -> Table:
    return Table(("Material", "What is meant"), tuple((_spoken(item.id), item.text) for item in sop.front.materials))


def _steps(sop: SopDocument) -> Table:
    titles = ("Step", "Clause", "Who", "What", "Before it", "Done when", "Risk", "Against it", "At most")
    rows = []
    for step in sop.front.steps:
        texts = (step.action, step.precondition, step.success_test, step.risk, step.mitigation)
        rows.append((step.id, step.clause, _spoken(step.actor), *texts, _time(step.time_limit)))
    return Table(titles, tuple(rows))


def _waves(sop: SopDocument) -> Table:
    rows = tuple((wave.name, str(wave.size), _time(wave.soak)) for wave in sop.front.waves.default)
    return Table(("Wave", "Computers", "Watched afterwards for"), rows)


def _parameters(sop: SopDocument) -> Table:
    safety, limits = sop.policy.safety, sop.policy.limits
    errors = safety.error_threshold
    rows = (
        _bounds("Success threshold of a wave", safety.success_threshold),
        _bounds("Errors in a wave, more than", errors.percent),
        _bounds("Errors in a rollout, reaching", errors.count),
        _bounds("Lost computers, reaching", errors.lost),
        _bounds("Changed at the same time", limits.max_concurrency.range),
        _bounds("Ready before the start", limits.ready_quorum),
        _bounds("Tries on one computer", limits.attempts_max),
        _bounds("Rollout ends after", limits.rollout_deadline_seconds, duration=True),
        _bounds("Files are fetched ahead of the window by", limits.staging_seconds, duration=True),
        *_bandwidth(limits.bandwidth_max),
    )
    return Table(("Parameter", "Default", "At least", "At most"), rows)


def _bandwidth(bounds: Range | None) -> tuple[tuple[str, ...], ...]:
    """Return the row of what all downloads may take together; a SOP that does not limit them has none."""
    if bounds is None:
        return ()
    values = (bounds.default, bounds.min, bounds.max)
    return (("Bandwidth of all downloads", *("any" if value is None else format_rate(int(value)) for value in values)),)


def _bounds(name: str, bounds: Range, *, duration: bool = False) -> tuple[str, ...]:
    def say(value: Amount | None) -> str:
        if value is None:
            return "any"
        return _time(int(value)) if duration else str(value)

    return (name, say(bounds.default), say(bounds.min), say(bounds.max))


def _gates(sop: SopDocument) -> Table:
    rows = []
    for gate, clause in words.GATES.items():
        kept = "always blocks" if gate in words.INTEGRITY_GATES else f"{sop.policy.enforce(gate)}s"
        rows.append((gate, clause, "controller" if gate in words.CONTROLLER_GATES else "computer", kept))
    return Table(("Gate", "Clause", "Kept by", "Enforcement"), tuple(rows))


def _troubleshooting(sop: SopDocument) -> Table:
    titles = ("Symptom", "Remedies, in order", "Tries", "At most", "Then", "Severity", "Guidance")
    rows = []
    for row in sop.front.troubleshooting:
        remedies = "; ".join(words.REMEDIES[remedy] for remedy in row.remedies) or "none automatic"
        numbers = (str(row.attempts), _time(row.time_limit), words.THENS[row.then], str(row.severity))
        rows.append((row.symptom, remedies, *numbers, row.guidance))
    return Table(titles, tuple(rows))


def _escalation(sop: SopDocument) -> Table:
    rows = []
    for rule in sop.front.escalation:
        acknowledge = _time(rule.acknowledge_within)
        for level in rule.levels:
            who = ", ".join(_spoken(role) for role in level.targets)
            profiles = f" (profile {', '.join(level.profiles)})" if level.profiles else ""
            after = _time(level.after) if level.after else "at once"
            rows.append((str(rule.severity), after, f"{who}{profiles}", ", ".join(level.channels), acknowledge))
        if not rule.levels:
            rows.append((str(rule.severity), "with the digest", "who asked for one", "", acknowledge))
    return Table(("Severity", "Told after", "Who", "By", "Acknowledged within"), tuple(rows))


def _contacts(sop: SopDocument) -> Table:
    rows = tuple((_spoken(item.role), item.name, item.email, item.telephone) for item in sop.policy.contacts)
    return Table(("Role", "Name", "Mail", "Telephone"), rows)


def _references(sop: SopDocument) -> Table:
    rows = tuple((item.title, item.edition, item.date) for item in sop.front.references)
    return Table(("Title", "Edition", "Date"), rows or (("none", "", ""),))


def _distribution(sop: SopDocument) -> Table:
    return Table(("To", "How"), tuple((item.to, item.how) for item in sop.front.distribution))


def _protective_equipment(sop: SopDocument) -> Table:
    rows = tuple((_spoken(rule.when), "; ".join(rule.items) or "none") for rule in sop.front.ppe)
    return Table(("Work", "Equipment"), rows)


def _significant(sop: SopDocument) -> Table:
    rows = tuple(
        (str(rule.severity), rule.text, ", ".join((*rule.symptoms, *rule.outcomes))) for rule in sop.front.significant
    )
    return Table(("Severity", "Significant issue", "Recognised by"), rows)


_TABLES: dict[str, Callable[[SopDocument], Table]] = {
    "table.objectives": _objectives,
    "table.responsibilities": _responsibilities,
    "table.materials": _materials,
    "table.steps": _steps,
    "table.waves": _waves,
    "table.parameters": _parameters,
    "table.gates": _gates,
    "table.troubleshooting": _troubleshooting,
    "table.escalation": _escalation,
    "table.contacts": _contacts,
    "table.references": _references,
    "table.distribution": _distribution,
    "table.protective_equipment": _protective_equipment,
    "table.significant": _significant,
}
