"""What this computer's gates decided about an assignment, in the words of the signed record.

Decides which gate a check, a symptom or an event belongs to; asking the gates is the steps'. Rules: a check without an
answer asked nothing and is left out; a symptom that is no gate's (a time-out, a failed rollback) decides none.
"""

from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.readiness import CheckResult, Readiness
from sopwith_formats.agent_decision import AgentDecision, decision
from sopwith_formats.vocabulary import GateResult, Symptom

_RESULTS = {
    CheckResult.PASSED: GateResult.PASSED,
    CheckResult.WARNED: GateResult.WARNED,
    CheckResult.BLOCKED: GateResult.REFUSED,
}
_GATES = {
    Symptom.WARRANT_REFUSED: ("warrant_valid", "a warrant of this fleet's controller, with its evidence"),
    Symptom.SOURCE_NOT_DESIGNATED: ("source_designated", "designated"),
    Symptom.METADATA_EXPIRED: ("metadata_fresh", "metadata that has not expired"),
    Symptom.METADATA_ROLLBACK: ("metadata_fresh", "metadata no older than the known one"),
    Symptom.SIGNATURE_INVALID: ("signature", "signed by the designated source"),
    Symptom.NOT_AUTHORISED_BY_SOURCE: ("signature", "the release as the source signed it"),
    Symptom.DOWNLOAD_DIGEST_MISMATCH: ("digest", "files as the signed manifest lists them"),
    Symptom.VERSION_POLICY: ("version_policy", "a version that the release lets follow"),
    Symptom.NOT_APPLICABLE: ("applicable", "a release for this computer"),
    Symptom.BACKUP_FAILED: ("backup", "a way back"),
    Symptom.HEALTH_CHECK_FAILED: ("health_checks", "every health check holds"),
    Symptom.VERSION_MISMATCH: ("health_checks", "the new version is read back"),
}


def passed(gate: str, measured: str, required: str) -> AgentDecision:
    """Return the decision of a gate that let the assignment go on."""
    return decision(gate, GateResult.PASSED, measured, required)


RECORD_WRITTEN = passed("record_written", "the started record is signed and on the disk", "written before any change")


def of_readiness(readiness: Readiness) -> tuple[AgentDecision, ...]:
    """Return what each check that got an answer decided."""
    return tuple(
        decision(check.name, _RESULTS[check.result], check.measured, check.required)
        for check in readiness.checks
        if check.result in _RESULTS
    )


def of_event(event: Event, symptom: str, detail: str) -> tuple[AgentDecision, ...]:
    """Return what an event decides: a healthy computer passed, a gate's symptom says that it refused."""
    if event is Event.HEALTHY:
        return (passed("health_checks", "all hold, the version was read back", "every health check holds"),)
    if symptom not in _GATES:
        return ()
    gate, required = _GATES[Symptom(symptom)]
    return (decision(gate, GateResult.REFUSED, detail, required),)


def of_way_back(described: str, *, possible: bool, required: bool) -> AgentDecision:
    """Return the decision on the way back: an install without one goes ahead only where the policy lets it."""
    result = GateResult.PASSED if possible else GateResult.WARNED
    return decision("backup", result, described, "a way back" if required else "none, the policy only warns")
