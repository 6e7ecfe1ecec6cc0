"""Tells whether somebody labelled the computer to be left in peace."""

from collections.abc import Mapping

LABEL = "do-not-disturb"
_NO = frozenset({"", "false", "no", "off", "0"})


def do_not_disturb(labels: Mapping[str, str]) -> str:
    """Return the label's value when it asks for peace, empty otherwise."""
    value = labels.get(LABEL, "")
    return "" if value.lower() in _NO else value
