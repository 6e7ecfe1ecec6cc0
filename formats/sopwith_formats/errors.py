"""The one error of this package: bytes that do not keep their format.

It says what is wrong, where, and how to mend it; whoever reads a file or a message adds the file's name.
"""


class FormatError(ValueError):
    """Bytes or text break their format.

    `where` is a path inside the document ("artifacts[0].installer", "line 7"), empty when the whole is meant;
    `remedy` says how to mend it, empty when nothing can be advised.
    """

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        self.message = message
        self.where = where
        self.remedy = remedy
        super().__init__(": ".join(part for part in (where, message) if part) + (f" ({remedy})" if remedy else ""))
