"""The SOP that Sopwith ships, SU-SOP-001: as a form with placeholders, and filled in for one organisation.

Decides how the form's holes are filled; the form itself is `sop_template.md` beside this module. Rules: what a person
gives is written as a quoted text, so that no name can change the meaning of the document; whatever is filled in passes
`sop_lint`; profile `regulated` leaves no time for training after a revision took effect; where one person holds several
of the three roles the document says so, with its risk, for that person to sign.
"""

import json
import re
from dataclasses import dataclass
from importlib import resources

from sopwith_formats.errors import FormatError
from sopwith_formats.recurrence import check_rule
from sopwith_formats.sop_words import ROLES
from sopwith_formats.units import parse_duration

_NAME_CHARACTERS_MAX = 200
_ONE_PERSON_RISK = (
    "One person holds several of the three roles, so that nobody else has to agree to a change of this procedure. "
    "What reduces the risk: every signature and every change stands in the update log, and a rollout's approver is "
    "still never its requester."
)
_HOURS_OF_WINDOW = re.compile(r";?BY(HOUR|MINUTE)=(\d{1,2})")


@dataclass(frozen=True)
class SopBlanks:
    """What `sopwith-controller init` asks for. Empty addresses are left empty; an empty window means always open."""

    organization: str
    owner: str
    it_manager: str
    it_manager_email: str
    authority: str
    date: str
    """Day of writing, such as 2026-11-22."""
    owner_email: str = ""
    authority_email: str = ""
    window: str = ""
    """RRULE/DURATION, for example FREQ=WEEKLY;BYDAY=SA;BYHOUR=22/6h."""
    profile: str = "standard"


def sop_template() -> bytes:
    """Return the form as it is shipped."""
    return resources.files("sopwith_formats").joinpath("sop_template.md").read_bytes()


def fill_template(blanks: SopBlanks) -> bytes:
    """Return revision 1 of SU-SOP-001 for one organisation; raise FormatError for a value that cannot be a name."""
    text = sop_template().decode()
    values = {
        '"[Your Company Name]"': ("organization", blanks.organization),
        '"[Your Name]"': ("owner", blanks.owner),
        '"[IT Manager]"': ("it_manager", blanks.it_manager),
        '"[CEO or Appropriate Authority]"': ("authority", blanks.authority),
        '"[IT Manager\'s mail address]"': ("it_manager_email", blanks.it_manager_email),
        '"[Date]"': ("date", blanks.date),
    }
    for placeholder, (key, value) in values.items():
        text = text.replace(placeholder, _quoted(value, key))
    for role, value in (("owner", blanks.owner_email), ("authority", blanks.authority_email)):
        if value:
            text = text.replace(f'  {role}: {{email: ""', f"  {role}: {{email: {_quoted(value, f'{role}_email')}")
    if blanks.window:
        text = text.replace("  default: always\n", f"  default: {_window(blanks.window)}\n")
    if len({" ".join(name.split()).casefold() for name in (blanks.owner, blanks.it_manager, blanks.authority)}) < len(
        ROLES
    ):
        separate = f"  separate_persons: false\n  separate_persons_risk: {json.dumps(_ONE_PERSON_RISK)}\n"
        text = text.replace("  separate_persons: true\n", separate)
    if blanks.profile == "regulated":
        text = text.replace("  grace: 7d\n", "  grace: 0s\n")
    return text.encode()


def _quoted(value: str, key: str) -> str:
    text = value.strip()
    if not text or len(text) > _NAME_CHARACTERS_MAX or not text.isprintable():
        raise FormatError(f"{value!r} cannot be used", where=key, remedy="write one line of 1 to 200 characters")
    if "[" in text or "{{" in text:
        raise FormatError("holds a bracket, which marks what is not filled in", where=key, remedy="leave brackets out")
    return json.dumps(text, ensure_ascii=False)


def _window(text: str) -> str:
    """Return a window as the SOP writes it; BYHOUR and BYMINUTE become its start."""
    rule, slash, duration = text.rpartition("/")
    remedy = 'write it like "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22/6h"'
    if not slash or not re.fullmatch(r"(RRULE:)?[A-Z0-9=;,+-]+", rule):
        raise FormatError(f"{text!r} is no window", where="window", remedy=remedy)
    try:
        check_rule(_HOURS_OF_WINDOW.sub("", rule))
    except FormatError as error:
        raise FormatError(error.message, where="window", remedy=remedy) from error
    parse_duration(duration)
    clock = {"HOUR": 0, "MINUTE": 0} | {unit: int(number) for unit, number in _HOURS_OF_WINDOW.findall(rule)}
    rule = _HOURS_OF_WINDOW.sub("", rule.removeprefix("RRULE:"))
    return f'{{rrule: "{rule}", start: "{clock["HOUR"]:02}:{clock["MINUTE"]:02}", duration: {duration}}}'
