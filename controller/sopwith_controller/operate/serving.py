"""Running a controller as a service: ready when both ports answer, gone cleanly on SIGTERM.

Rules: READY is told to the service manager by its socket (sd_notify: one datagram) and as a log line; SIGTERM and
SIGINT drain and end with exit 0; a second signal changes nothing, the drain is bounded by itself.
"""

import asyncio
import os
import signal
import socket
from pathlib import Path

import structlog

from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.bootstrap.controller import build
from sopwith_controller.bootstrap.paths import DataPaths, open_store
from sopwith_controller.config import DATABASE_FILE, ENDPOINTS_FILE, Config
from sopwith_controller.domain.errors import UnavailableError
from sopwith_controller.operate.data_folder import endpoints
from sopwith_formats.durable import durable_replace

_log = structlog.get_logger()


async def run(data: Path, config: Config) -> None:
    """Serve until a signal asks to stop."""
    require_database(data, config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    controller = await build(data, config)
    try:
        await controller.start()
        write_endpoints(data, config)
        notify("READY=1")
        _log.info("controller_started", fleet_address=config.fleet_address, web_address=config.web_address)
        await stop.wait()
        notify("STOPPING=1")
    finally:
        await controller.stop()
    _log.info("controller_stopped")


async def bring_up_to_date(data: Path, config: Config) -> None:
    """Open the database once: that brings its tables up to date."""
    require_database(data, config)
    database = await open_store(DataPaths(data), config, SystemClock())
    await database.close()


def require_database(data: Path, config: Config) -> None:
    """Raise UnavailableError where the database is gone: an empty one must not take its place."""
    path = data / DATABASE_FILE
    if not config.database and (not path.is_file() or not path.stat().st_size):
        raise UnavailableError(
            f"{path} is missing or empty",
            remedy="restore it from a backup, or make another data folder with `sopwith-controller init`",
        )


def write_endpoints(data: Path, config: Config) -> None:
    """Write `endpoints.json` where it does not say what the settings say."""
    path, content = data / ENDPOINTS_FILE, endpoints(config)
    if not path.exists() or path.read_bytes() != content:
        durable_replace(path, content)


def notify(state: str) -> None:
    """Tell the service manager, where there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.send(state.encode())
        except OSError as error:
            _log.warning("service_manager_not_notified", error=str(error))
