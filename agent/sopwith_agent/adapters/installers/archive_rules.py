"""What may stand in an archive that is laid on a computer: an allow-list, member by member and over the whole tree.

Decides which members are accepted and where they will lie, before anything is written; reading archives is
`archive_stream`'s, writing files is `archive_tree`'s. The rules are our own and refuse, they never adapt: what a
lenient tool would rename, strip or skip makes the whole archive unacceptable (CONTENT_REFUSED).

Rules
- Names: relative, UTF-8, no `..`, no empty or `.` part, no backslash, drive letter or control character, at most 255
  bytes a part, 1,024 in all, 64 deep. A folder entry `./` and one `./` before a name are what `tar -C x .` writes and
  mean the tree itself.
- No two names that differ only by case or Unicode form, parents included; nothing twice.
- Files, folders, links inside the tree, hard links to files before them. No devices, fifos, sparse files; no setuid,
  setgid or sticky bit.
- A link is relative and, followed through every other link, stays in the tree. No member lies behind a link.
- Files keep only whether they may be executed: 0755 or 0644, folders 0755, all owned by the agent's user.
"""

import unicodedata
from dataclasses import dataclass, field
from enum import Enum, auto

from sopwith_agent.adapters.installers.archive_stream import refuse

MEMBERS_MAX = 100_000
_PART_MAX = 255
_NAME_MAX = 1024
_DEPTH_MAX = 64
_LINKS_MAX = 40
_SPECIAL_BITS = 0o7000
_EXECUTE_BITS = 0o111

Path = tuple[str, ...]


class Kind(Enum):
    """What a member is."""

    FILE = auto()
    FOLDER = auto()
    LINK = auto()
    HARD_LINK = auto()


@dataclass(frozen=True)
class Member:
    """One entry of an archive, as it is written there."""

    name: str
    kind: Kind
    size: int
    mode: int
    target: str = ""
    """Of a link or hard link."""


@dataclass(frozen=True)
class Entry:
    """One accepted member and where it will lie below the version's folder."""

    path: Path
    kind: Kind
    mode: int
    target: str = ""
    """Of a link, as written; of a hard link, the joined path of the file."""


@dataclass
class Tree:
    """The tree that an archive would lay, growing member by member."""

    entries: dict[Path, Entry] = field(default_factory=dict)
    _spelling: dict[Path, Path] = field(default_factory=dict)
    """Every path and parent, folded, to the one spelling allowed for it."""

    def add(self, member: Member) -> Entry | None:
        """Return the accepted entry, None for the entry of the tree itself; refuse what breaks a rule."""
        shown = repr(member.name[:200])
        if len(self.entries) >= MEMBERS_MAX:
            refuse(f"the archive has more than {MEMBERS_MAX} members")
        if member.kind is Kind.FOLDER and member.name in (".", "./"):
            return None
        path = _split(member, shown)
        if member.mode & _SPECIAL_BITS:
            refuse(f"{shown} has a setuid, setgid or sticky bit")
        self._claim(path, shown)
        executable = member.kind is Kind.FOLDER or member.mode & _EXECUTE_BITS
        entry = Entry(path, member.kind, 0o755 if executable else 0o644, self._target(member, shown))
        self.entries[path] = entry
        return entry

    def finish(self) -> None:
        """Check what only the whole tree shows: members behind links or files, and where links lead."""
        if not self.entries:
            refuse("the archive is empty")
        for path, entry in self.entries.items():
            for depth in range(1, len(path)):
                parent = self.entries.get(path[:depth])
                if parent is not None and parent.kind is not Kind.FOLDER:
                    refuse(f"{'/'.join(path)!r} lies behind {'/'.join(parent.path)!r}, which is no folder")
            if entry.kind is Kind.LINK:
                self._follow(entry)

    def _claim(self, path: Path, shown: str) -> None:
        if path in self.entries:
            refuse(f"{shown} stands twice in the archive")
        for depth in range(1, len(path) + 1):
            part = path[:depth]
            known = self._spelling.setdefault(tuple(map(_fold, part)), part)
            if known != part:
                refuse(f"{shown} differs from {'/'.join(known)!r} only by case or Unicode form")

    def _target(self, member: Member, shown: str) -> str:
        target = member.target
        if member.kind is Kind.LINK:
            _check_text(target, f"the target of {shown}")
            if target.startswith("/"):
                refuse(f"{shown} is a link to the absolute {target[:200]!r}")
            return target
        if member.kind is Kind.HARD_LINK:
            path = _split(Member(target, Kind.FILE, 0, 0), f"the target of {shown}")
            known = self.entries.get(path)
            if known is None or known.kind is not Kind.FILE:
                refuse(f"{shown} is a hard link to {target[:200]!r}, which is no file before it in the archive")
            return "/".join(path)
        return ""

    def _follow(self, link: Entry) -> None:
        shown = repr("/".join(link.path))
        here = list(link.path[:-1])
        waiting = list(reversed(link.target.split("/")))
        hops = 0
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not here:
                    refuse(f"the link {shown} leads out of the archive's tree")
                here.pop()
                continue
            here.append(part)
            next_link = self.entries.get(tuple(here))
            if next_link is not None and next_link.kind is Kind.LINK:
                hops += 1
                if hops > _LINKS_MAX:
                    refuse(f"the link {shown} never ends")
                here.pop()
                waiting.extend(reversed(next_link.target.split("/")))


def _split(member: Member, shown: str) -> Path:
    name = member.name
    _check_text(name, shown)
    if member.kind is Kind.FOLDER:
        name = name.removesuffix("/")
    name = name.removeprefix("./")
    parts = tuple(name.split("/"))
    if name.startswith("/"):
        refuse(f"{shown} is an absolute name")
    if ".." in parts:
        refuse(f"{shown} climbs with ..")
    if "" in parts or "." in parts:
        refuse(f"{shown} has an empty or . part")
    if len(name) > 1 and name[1] == ":" and name[0].isalpha():
        refuse(f"{shown} begins with a drive letter")
    if max(len(part.encode()) for part in parts) > _PART_MAX or len(name.encode()) > _NAME_MAX:
        refuse(f"{shown} is longer than {_PART_MAX} bytes in a part, or {_NAME_MAX} in all")
    if len(parts) > _DEPTH_MAX:
        refuse(f"{shown} is deeper than {_DEPTH_MAX} folders")
    return parts


def _check_text(text: str, shown: str) -> None:
    if not text:
        refuse(f"{shown} is empty")
    if "\\" in text or any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        refuse(f"{shown} has a backslash, NUL or other control character")
    if len(text.encode()) > 4 * _NAME_MAX:
        refuse(f"{shown} is too long")


def _fold(part: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", part).casefold())
