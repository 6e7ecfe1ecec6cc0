"""Reads SOP documents for the controller: the strict loader and lint behind the port `SopReader`.

Decides nothing: what is a fault is said by `sopwith_formats.sop_document` and `sop_lint`.
"""

from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.domain.kpi import Objective
from sopwith_controller.services.ports import SopReading
from sopwith_formats.problems import DocumentError
from sopwith_formats.sop_document import read_sop_document

FAULTS_SHOWN_MAX = 20
"""More would not fit into the one line that a gRPC status carries."""


class StrictSopReader:
    """Implements the `SopReader` port."""

    def read(self, document: bytes) -> SopReading:
        """Return what the document says; raise InvalidInputError with every fault, line and mend."""
        try:
            sop = read_sop_document(document, "sop")
        except DocumentError as error:
            raise InvalidInputError(
                "; ".join(_shown([str(problem) for problem in error.problems])), remedy="sopwith sop lint FILE"
            ) from error
        faults = [str(problem) for problem in sop.problems if problem.level == "error"]
        return SopReading(
            id=sop.front.id,
            revision=sop.front.revision,
            title=sop.front.title,
            document_sha256=sop.document_sha256,
            policy_sha256=sop.policy_sha256,
            policy=sop.policy,
            policy_json=sop.policy.to_json().decode(),
            change_description=sop.front.change.description,
            change_kind=sop.front.change.kind,
            revised_by=sop.front.change.revised_by,
            faults=tuple(_shown(faults)),
            objectives=tuple(Objective(one.id, one.text, one.kpi, one.target) for one in sop.front.objectives),
        )


def _shown(faults: list[str]) -> list[str]:
    more = len(faults) - FAULTS_SHOWN_MAX
    return faults if more <= 0 else [*faults[:FAULTS_SHOWN_MAX], f"and {more} more"]
