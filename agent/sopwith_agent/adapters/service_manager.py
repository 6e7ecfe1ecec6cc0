"""Tells the service manager that started the agent how it is (sd_notify, systemd's protocol of one datagram)."""

import asyncio
import contextlib
import os
import socket
import threading


def notify(state: str) -> None:
    """Send a state, for example READY=1; without a service manager this does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)


def watchdog_seconds() -> float | None:
    """Return how often the service manager wants to hear that all is well, None where it does not ask this process."""
    wanted, asked = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not wanted.isdigit() or not int(wanted) or asked != str(os.getpid()):
        return None
    return int(wanted) / 2 / 1_000_000


async def tell_watchdog() -> None:
    """Tell that all is well where somebody asks: said by the loop, and only while the worker's thread lives."""
    every = watchdog_seconds()
    while every and any(thread.name == "worker" for thread in threading.enumerate()):
        notify("WATCHDOG=1")
        await asyncio.sleep(every)
