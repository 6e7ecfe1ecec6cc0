"""Tells the service manager that started the agent how it is (sd_notify, systemd's protocol of one datagram)."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send a state, for example READY=1; without a service manager this does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)
