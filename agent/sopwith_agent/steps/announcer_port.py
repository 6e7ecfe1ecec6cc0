"""What the desk for people needs to reach them: whether somebody is there, and a way to tell them.

How they are told (a desktop notification, a line on their terminals) is the adapter's; when, and what follows from
their answer, is `domain.notice`'s. Nothing here carries a name of a person.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Announcement:
    """What people are told; a higher `number` of a `key` replaces what was shown before."""

    key: str
    number: int
    """Counts the notices of a key; each is shown once to everybody."""
    title: str
    text: str
    may_put_off: bool = False
    """Offer "Later"."""
    may_agree: bool = True
    """Offer to begin now."""
    agree_label: str = "Install now"


class Announcer(Protocol):
    """The people who use the computer, reached in whatever way works."""

    def present(self) -> int:
        """Return how many sessions of people are open; 0 too where nobody can know."""
        ...

    def announce(self, announcement: Announcement) -> str:
        """Tell everybody who is there and was not told this yet; return how: desktop, terminal, both, or empty."""
        ...

    def dismiss(self, key: str) -> None:
        """Take back what is still shown."""
        ...
