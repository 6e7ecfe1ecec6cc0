"""For whom a SOP is written out: which sections and which parameters each kind of reader needs.

Decides what an operator, a manager, an executive and an auditor are shown, in a rendered SOP and in a list of changes;
nothing is ever worded differently for one of them. Rules:

- an auditor reads everything, and the map of controls besides;
- whoever is shown a part only is told so, and where the whole stands: a view is never mistaken for the document;
- a change of a parameter concerns whoever is shown the section that speaks of it.
"""

from sopwith_formats.errors import FormatError

AUDITOR = "auditor"

SECTIONS: dict[str, tuple[str, ...]] = {
    "operator": (
        *("III. Responsibilities", "IV. Equipment and Materials", "V. Procedure", "A. Preparation", "B. Execution"),
        *("C. Safety Precautions", "D. Troubleshooting", "E. Documentation", "VIII. Revision History"),
    ),
    "manager": (
        *("I. Purpose", "II. Scope", "III. Responsibilities", "V. Procedure", "B. Execution", "C. Safety Precautions"),
        *("E. Documentation", "VI. References", "VII. Approval", "VIII. Revision History"),
    ),
    "executive": (
        *("I. Purpose", "II. Scope", "III. Responsibilities", "V. Procedure", "C. Safety Precautions"),
        *("VII. Approval", "VIII. Revision History"),
    ),
}
"""Sections by reader; an auditor is shown all."""

AUDIENCES = (*SECTIONS, AUDITOR)

_KEYS: dict[str, tuple[str, ...]] = {
    "operator": (
        *("roles", "scope", "training", "sources", "materials", "user_notice", "reboot", "windows", "readiness"),
        *("connectivity", "maintenance_groups", "deadlines", "change_classes", "waves", "limits", "safety", "gates"),
        *("contacts", "ppe", "steps", "troubleshooting"),
    ),
    "manager": (
        *("roles", "scope", "objectives", "approval", "review", "training", "distribution", "user_notice", "windows"),
        *("maintenance_groups", "deadlines", "change_classes", "waves", "limits", "safety", "gates", "contacts"),
        *("records", "escalation", "significant", "references"),
    ),
    "executive": (
        *("organization", "roles", "scope", "objectives", "approval", "review", "deadlines", "change_classes"),
        *("safety", "records"),
    ),
}


def check_audience(audience: str) -> str:
    """Return the audience; raise FormatError for a word that is none."""
    if audience not in AUDIENCES:
        raise FormatError(f"{audience!r} is no audience", remedy=f"write one of {', '.join(AUDIENCES)}")
    return audience


def shows_section(audience: str, heading: str) -> bool:
    """Tell whether a reader is shown the section of this heading; every reader is shown what has no heading."""
    return audience in ("", AUDITOR) or heading in SECTIONS[audience]


def concerned(key: str) -> tuple[str, ...]:
    """Return whom a change of this top-level key of the front matter concerns, the auditor always."""
    return (*(audience for audience, keys in _KEYS.items() if key in keys), AUDITOR)


def concerned_by_section(heading: str) -> tuple[str, ...]:
    """Return whom a change of the text of this section concerns."""
    return tuple(audience for audience in AUDIENCES if shows_section(audience, heading))
