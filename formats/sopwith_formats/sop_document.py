"""A SOP file: YAML front matter and Markdown body in one file per revision, read strictly.

Decides how the file is divided, read and digested. What is incomplete in a SOP that can be read is `sop_lint`'s; how it
looks on paper is `sop_rendering`'s; whose signature makes it effective is the controller's.

Rules:

- the file is UTF-8; its first line is `---`, a second line of `---` ends the front matter;
- `document_sha256` is made over the exact bytes of the file, `policy_sha256` over the canonical JSON of what the SOP
  enforces: equal policy digests mean an editorial revision, whatever its author calls it;
- numbers stand once: the body refers to the front matter by `{{ safety.error_threshold.percent }}`.
"""

import hashlib
import re
from dataclasses import dataclass, field

from sopwith_formats.documents import DOCUMENT_BYTES_MAX, Document, check_model, parse_document
from sopwith_formats.problems import DocumentError, Problem
from sopwith_formats.sop_front_matter import TEXT_KEYS, FrontMatter, policy_of
from sopwith_formats.sop_lint import lint_body, lint_front, lint_placeholders
from sopwith_formats.sop_policy import SopPolicy

_FENCE = re.compile(rb"(?m)^---[ \t]*\r?\n")


@dataclass(frozen=True)
class SopDocument:
    """One readable SOP revision; `problems` holds what lint still finds."""

    file: str
    data: bytes
    front: FrontMatter
    tree: Document
    """The front matter as it is written, with lines."""
    body: str
    body_line: int
    """Line of the file on which the body begins."""
    policy: SopPolicy
    problems: tuple[Problem, ...] = field(default=())

    @property
    def document_sha256(self) -> str:
        """Return the digest of the exact bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def policy_sha256(self) -> str:
        """Return the digest of what is enforced."""
        return self.policy.sha256()

    @property
    def complete(self) -> bool:
        """Tell whether lint finds nothing that prevents review."""
        return all(problem.level != "error" for problem in self.problems)


def read_sop_document(data: bytes, file: str = "sop.md") -> SopDocument:
    """Return the SOP of a file's bytes; raise DocumentError with every fault when it cannot be read.

    A SOP that can be read may still be incomplete: look at `problems`.
    """
    document, problems = _examine(data, file)
    if document is None:
        raise DocumentError(problems)
    return document


def lint_sop_document(data: bytes, file: str = "sop.md") -> list[Problem]:
    """Return everything that is wrong or doubtful in a SOP file, in the order of its lines; raise nothing."""
    _, problems = _examine(data, file)
    return sorted(problems, key=lambda problem: problem.line)


def _examine(data: bytes, file: str) -> tuple[SopDocument | None, list[Problem]]:
    if len(data) > DOCUMENT_BYTES_MAX:
        message = f"is {len(data)} bytes long; at most {DOCUMENT_BYTES_MAX} are read"
        return None, [Problem(file, 0, "", message, "split it, or move appendices elsewhere")]
    fences = list(_FENCE.finditer(data))
    if not fences[1:] or fences[0].start() != 0:
        remedy = "begin the file with a line ---, and end the front matter with another"
        return None, [Problem(file, 1, "", "has no front matter", remedy)]
    body_line = data.count(b"\n", 0, fences[1].end()) + 1
    tree = parse_document(data[fences[0].end() : fences[1].start()], file, text_keys=TEXT_KEYS, first_line=2)
    try:
        body = data[fences[1].end() :].decode()
    except UnicodeDecodeError as error:
        line = body_line + data.count(b"\n", fences[1].end(), fences[1].end() + error.start)
        return None, [*tree.problems, Problem(file, line, "", "is not UTF-8 text", "save the file as UTF-8")]
    front = check_model(tree, FrontMatter)
    problems = [*lint_placeholders(tree, body, body_line), *lint_body(tree, body, body_line)]
    if front is None:
        return None, [*tree.problems, *problems]
    problems += lint_front(front, tree)
    return SopDocument(file, data, front, tree, body, body_line, policy_of(front), tuple(problems)), problems
