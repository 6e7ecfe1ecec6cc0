"""The flow of a SOP's steps as a picture: who does what, in which order, hand over hand.

Decides the picture alone; the steps are the front matter's. Rules: one column per actor in the order of first
appearance, one row per step in the document's order, an arrow from each step to the next; the picture carries its own
words, so that it can be read without colour and printed on paper. Lengths are SVG units, scaled to the page.
"""

import html
import itertools
import textwrap
from collections.abc import Iterator, Sequence

from sopwith_formats.sop_parts import StepPart

_LANE, _ROW, _HEAD, _TEXT = 104, 52, 34, 420
_BOX_WIDTH, _BOX_HEIGHT = 64, 30
_LETTERS_PER_LINE = 62
_MACHINES = frozenset({"computer", "controller"})


def flow_text(steps: Sequence[StepPart]) -> str:
    """Return the flow in one line of words."""
    return "Flow: " + " -> ".join(f"{step.id} {_spoken(step.actor)}" for step in steps)


def flow_svg(steps: Sequence[StepPart]) -> str:
    """Return the flow as an SVG element for a page; empty where there is no step."""
    if not steps:
        return ""
    lanes = list(dict.fromkeys(step.actor for step in steps))
    width, height = len(lanes) * _LANE + _TEXT, _HEAD + len(steps) * _ROW
    parts = [*_lanes(lanes, height), *_arrows(steps, lanes), *_boxes(steps, lanes)]
    return (
        f'<svg viewBox="0 0 {width} {height}" width="100%" role="img" aria-label="Flow of the procedure" '
        'font-family="sans-serif" font-size="11">\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#444"/></marker></defs>\n' + "\n".join(parts) + "\n</svg>"
    )


def _spoken(actor: str) -> str:
    return "IT manager" if actor == "it_manager" else actor.replace("_", " ")


def _centre(index: int) -> int:
    return index * _LANE + _LANE // 2


def _lanes(lanes: Sequence[str], height: int) -> Iterator[str]:
    for index, actor in enumerate(lanes):
        yield (
            f'<text x="{_centre(index)}" y="18" text-anchor="middle" font-weight="bold">'
            f"{html.escape(_spoken(actor))}</text>"
        )
        yield (
            f'<line x1="{_centre(index)}" y1="{_HEAD - 8}" x2="{_centre(index)}" y2="{height}" '
            'stroke="#ddd" stroke-dasharray="3 3"/>'
        )


def _arrows(steps: Sequence[StepPart], lanes: Sequence[str]) -> Iterator[str]:
    half = _BOX_HEIGHT // 2
    for row, (step, following) in enumerate(itertools.pairwise(steps)):
        x, y = _centre(lanes.index(step.actor)), _HEAD + row * _ROW + _ROW // 2 + half
        to_x, to_y = _centre(lanes.index(following.actor)), _HEAD + (row + 1) * _ROW + _ROW // 2 - half
        middle = (y + to_y) // 2
        yield (
            f'<path d="M{x} {y}V{middle}H{to_x}V{to_y}" fill="none" stroke="#444" stroke-width="1.2" '
            'marker-end="url(#tip)"/>'
        )


def _boxes(steps: Sequence[StepPart], lanes: Sequence[str]) -> Iterator[str]:
    text_x = len(lanes) * _LANE + 8
    for row, step in enumerate(steps):
        x, y = _centre(lanes.index(step.actor)), _HEAD + row * _ROW + _ROW // 2
        fill, corner = ("#e8f1e4", 3) if step.actor in _MACHINES else ("#e6eef7", 14)
        yield (
            f'<rect x="{x - _BOX_WIDTH // 2}" y="{y - _BOX_HEIGHT // 2}" width="{_BOX_WIDTH}" '
            f'height="{_BOX_HEIGHT}" rx="{corner}" fill="{fill}" stroke="#444"/>'
        )
        yield f'<text x="{x}" y="{y + 4}" text-anchor="middle" font-weight="bold">{html.escape(step.id)}</text>'
        lines = textwrap.wrap(f"{step.clause}  {step.action}", _LETTERS_PER_LINE)[:3]
        for number, line in enumerate(lines):
            text_y = y + 4 - (len(lines) - 1) * 7 + number * 14
            yield f'<text x="{text_x}" y="{text_y}">{html.escape(line)}</text>'
