"""From what a use case wants recorded to the entry that is recorded: time, date, local time, escaped text.

This module decides what an entry says; `sopwith_formats.log_entry` decides its bytes and links, the database appends.
"""

from dataclasses import replace
from datetime import datetime

from sopwith_controller.domain.entities import LogDraft
from sopwith_formats.log_entry import LogEntry, escape_all, local_time, utc_text

STAMP = "EVALUATION: "
"""Begins the message of everything that is recorded while an evaluation lasts."""


def entry_of(draft: LogDraft, index: int, now: datetime, *, evaluation: bool = False) -> LogEntry:
    """Return the entry at this index, recorded now; raise FormatError when the details are not JSON without floats."""
    time, date = utc_text(now)
    if evaluation and not draft.message.startswith(STAMP):
        draft = replace(draft, message=f"{STAMP}{draft.message}")
    said = {key: escape_all(value) for key, value in vars(draft).items() if key != "local_offset_seconds"}
    return LogEntry(index=index, time=time, date=date, local_time=local_time(now, draft.local_offset_seconds), **said)
