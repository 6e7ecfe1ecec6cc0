"""Mutated SOP files by a seed, and what lint must do with each: name faults, never raise.

`python -m tests.formats.mutated_sops --seed 1 --documents 100000` runs many and prints counts; the test beside it runs
a few. A mutation is what happens to files: bytes lost, doubled, swapped, bits flipped, lines moved, indents broken,
values replaced by what a YAML reader or a program might stumble over.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator

from sopwith_formats.problems import Problem
from sopwith_formats.sop_document import lint_sop_document
from sopwith_formats.sop_template import SopBlanks, fill_template

WHOLE = fill_template(
    SopBlanks(
        organization="Example",
        owner="owner",
        it_manager="manager",
        it_manager_email="manager@localhost",
        authority="authority",
        date="2026-11-22",
    )
)
_STUMBLING = (
    *(
        "&a [*a]",
        "*a",
        "!!python/object:os.system x",
        "!x y",
        "? a\n: b",
        "{a: {b: {c: {d: {e: f}}}}}",
        "[[[[[[[[[[]]]]]]]]]]",
    ),
    *("99999999999999999999999", "-0", "1e400", ".nan", "0x10", "2026-11-22", "yes", "~", "null", "''", '"', "|", ">"),
    *("\x00", "\ufeff", "\u2028", "\U0001f4a5", "\t", "---", "...", "%YAML 1.1", "<<: *x", "{{ nothing.there }}"),
    *("[Your Name]", "-1%", "101%", "30 minutes", "P1D", "9" * 400, "a: b: c", "- - - -", "#", ":"),
)


def smaller(document: bytes) -> bytes:
    """Return a SOP of a fifth of the size: few steps, few symptoms; quicker to read, and broken in the same ways."""
    text = document.decode()
    for start, end in (("  - id: S2\n", "  - id: S14\n"), ("  - symptom: DOWNLOAD_DIGEST", "  - symptom: UNKNOWN")):
        text = text[: text.index(start)] + text[text.index(end) :]
    return text.encode()


def smallest(document: bytes) -> bytes:
    """Return a SOP whose front matter ends with its training; what follows is the whole body."""
    text = document.decode()
    return (text[: text.index("\nsources:\n") + 1] + text[text.index("\n---\n", 4) + 1 :]).encode()


def mutated(rng: random.Random, document: bytes) -> bytes:
    """Return the document after one to five mutations."""
    data = bytearray(document)
    for _ in range(rng.randint(1, 5)):
        data = bytearray(rng.choice(_MUTATIONS)(rng, bytes(data)))
    return bytes(data)


def _at(rng: random.Random, data: bytes) -> int:
    return rng.randrange(len(data) + 1)


def _flip(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    position = rng.randrange(len(data))
    return data[:position] + bytes([data[position] ^ (1 << rng.randrange(8))]) + data[position + 1 :]


def _drop(rng: random.Random, data: bytes) -> bytes:
    position = _at(rng, data)
    return data[:position] + data[position + rng.choice((1, 3, 40, 2000)) :]


def _double(rng: random.Random, data: bytes) -> bytes:
    position, length = _at(rng, data), rng.choice((1, 10, 300))
    return data[: position + length] + data[position:]


def _insert(rng: random.Random, data: bytes) -> bytes:
    position = _at(rng, data)
    return data[:position] + rng.choice(_STUMBLING).encode("utf-8", "surrogatepass") + data[position:]


def _value(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    index = rng.randrange(len(lines))
    key, colon, _ = lines[index].partition(b": ")
    lines[index] = key + (colon or b": ") + rng.choice(_STUMBLING).encode("utf-8", "surrogatepass")
    return b"\n".join(lines)


def _swap_lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _indent(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    index = rng.randrange(len(lines))
    lines[index] = (
        rng.choice((b" ", b"   ", b"\t", b"- ")) + lines[index] if rng.random() < 0.5 else lines[index].strip()
    )
    return b"\n".join(lines)


def _noise(rng: random.Random, data: bytes) -> bytes:
    position = _at(rng, data)
    return data[:position] + rng.randbytes(rng.randint(1, 20)) + data[position:]


_MUTATIONS = (_flip, _drop, _double, _insert, _value, _value, _swap_lines, _indent, _noise)


def documents(seed: int, count: int) -> Iterator[bytes]:
    """Yield mutated documents: of twenty one is the whole shipped SOP, six are smaller, the others the smallest."""
    small, least = smaller(WHOLE), smallest(WHOLE)
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")  # noqa: S311  a repeatable mutation, no secret
        yield mutated(rng, WHOLE if number % 20 == 0 else small if number % 3 == 0 else least)


def problems_of(document: bytes) -> list[Problem]:
    """Return what lint says; raise AssertionError where a fault is not told as it must be."""
    problems = lint_sop_document(document, "mutated.md")
    for problem in problems:
        assert problem.message, problem
        assert 0 <= problem.line <= document.count(b"\n") + 2, problem
        assert str(problem).startswith("mutated.md"), problem
    return problems


def main() -> int:
    """Lint many; print counts; 1 when one raised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documents", type=int, default=1000)
    arguments = parser.parse_args()
    counts, began = Counter[str](), time.monotonic()
    for number, document in enumerate(documents(arguments.seed, arguments.documents)):
        try:
            problems = problems_of(document)
        except Exception as error:  # noqa: BLE001  whatever it is, it is the finding
            sys.stdout.write(f"document {number} of seed {arguments.seed}: {type(error).__name__}: {error}\n")
            counts["raised"] += 1
            continue
        counts["refused" if any(problem.level == "error" for problem in problems) else "complete"] += 1
    took = time.monotonic() - began
    sys.stdout.write(f"{arguments.documents} documents in {took:.0f} s: {dict(counts)}\n")
    return 1 if counts["raised"] else 0


if __name__ == "__main__":
    sys.exit(main())
