"""What a message about an incident says: subject and plain text, complete enough to act on without opening anything.

Decides words only. Every message names the release, the symptom, the computers and the line that acknowledges it. A
long list of computers is cut after the first ones, and says how many follow.
"""

from collections.abc import Sequence
from datetime import datetime

from sopwith_controller.domain.incident_entities import Incident
from sopwith_formats.units import format_time

NAMES_MAX = 50

_MEANINGS = {
    "HEALTH_CHECK_FAILED": "the release was installed, its health check failed, and the computer went back",
    "INSTALLER_EXIT_NONZERO": "the installer ended with an error",
    "VERSION_MISMATCH": "what was read back is not what was installed",
    "DOWNLOAD_DIGEST_MISMATCH": "a downloaded file is not the file that was signed; nothing was installed",
    "SIGNATURE_INVALID": "a signature does not hold; nothing was installed",
    "METADATA_EXPIRED": "the signed source has expired; nothing was installed",
    "METADATA_ROLLBACK": "the source served older metadata than was seen before; nothing was installed",
    "SOURCE_NOT_DESIGNATED": "the source is not the designated one; nothing was installed",
    "NOT_AUTHORISED_BY_SOURCE": "the release is not listed by the signed source; nothing was installed",
    "WARRANT_REFUSED": "a computer refused an instruction that was not signed as it must be",
    "CONTENT_REFUSED": "an update file breaks the rules of its kind; nothing was installed",
    "ROLLBACK_FAILED": "the way back failed too: the computer needs hands",
    "LOST_CONTACT": "the computer fell silent while it was being updated",
    "ROLLOUT_SUSPENDED": "a threshold stopped the rollout; nothing more is started until a person decides",
    "LOG_INTEGRITY": "the update log is not what was written",
    "DISK_FULL": "there is little room left on a disk",
    "SOURCE_EXPIRING": "signed metadata of the source expires soon",
    "APPROVAL_AGEING": "an approval waits",
    "REVIEW_OVERDUE": "nobody looked at the SOP again in time",
}
_CAUSES = {"raised": "", "widened": "More computers: ", "repeated": "Still open: ", "climbed": "Not acknowledged: "}


def render(
    incident: Incident, *, organization: str, computers: Sequence[str], rollout_name: str = "", cause: str = "raised"
) -> tuple[str, str]:
    """Return subject and body; `computers` are the names that this message carries for the first time."""
    about = f" {incident.release}" if incident.release else ""
    count = len(incident.computers)
    where = f" on {count} computer{'s' if count != 1 else ''}" if count else ""
    subject = f"[Sopwith severity {incident.severity}] {_CAUSES[cause]}{incident.symptom}{about}{where}"
    lines = [f"{_CAUSES[cause]}{incident.summary}", ""]
    lines += _facts(incident, organization, rollout_name)
    lines += _names(incident, computers, cause)
    lines += ["", "Take it:", "", f"    sopwith incident acknowledge {incident.id}", ""]
    if incident.rollout_id:
        lines += ["Look closer:", "", f"    sopwith rollout status {incident.rollout_id}", ""]
    return subject, "\n".join(lines)


def _facts(incident: Incident, organization: str, rollout_name: str) -> list[str]:
    meaning = _MEANINGS.get(incident.symptom, "")
    facts = (
        ("Symptom", incident.symptom + (f": {meaning}" if meaning else "")),
        ("Release", incident.release),
        ("Rollout", f"{rollout_name} ({incident.rollout_id})" if rollout_name else incident.rollout_id),
        ("Severity", str(incident.severity)),
        ("Detected", _time(incident.detected_time)),
        ("Climbs", _time(incident.due_time) if incident.due_time else ""),
        ("Organisation", organization),
    )
    return [f"{name + ':':<14}{value}" for name, value in facts if value]


def _names(incident: Incident, computers: Sequence[str], cause: str) -> list[str]:
    if not incident.computers:
        return []
    widened = cause == "widened"
    names = list(computers if widened else incident.computers)
    title = f"New computers ({len(names)} of {len(incident.computers)}):" if widened else f"Computers ({len(names)}):"
    more = [f"    and {len(names) - NAMES_MAX} more: sopwith incident list -o json"] if len(names) > NAMES_MAX else []
    return ["", title, *(f"    {name}" for name in names[:NAMES_MAX]), *more]


def _time(time: datetime) -> str:
    return format_time(time.replace(microsecond=0))
