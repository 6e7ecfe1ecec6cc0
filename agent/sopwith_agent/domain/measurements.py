"""What sensors found out about the computer, as plain values.

They carry no judgement: `readiness` compares them with what the SOP requires. None always means that the question has
no answer on this computer (no battery, no package tool) or could not be asked.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DiskSpace:
    """Free bytes of the file system that holds a folder."""

    purpose: str
    """staging or root."""
    path: str
    free_bytes: int


@dataclass(frozen=True)
class Power:
    """Where the electricity comes from."""

    on_mains: bool
    battery_percent: int


@dataclass(frozen=True)
class SourceReach:
    """How far a connection to the source came, step by step, in milliseconds."""

    address: str
    """host:port, never a whole address with its secrets."""
    dns_milliseconds: int | None = None
    tcp_milliseconds: int | None = None
    tls_milliseconds: int | None = None
    failed_at: str = ""
    """dns, tcp, tls or proxy; empty when everything answered."""
    failure: str = ""
    proxy: str = ""
    """host:port of the proxy that leads to the source, by the computer's settings or environment; empty for none."""


@dataclass(frozen=True)
class Measurements:
    """Everything measured at one time."""

    measured_time: datetime
    disks: tuple[DiskSpace, ...] = ()
    memory_available_bytes: int | None = None
    load_percent: int | None = None
    """Average of the last minute per processor; 100 is one runnable process for each."""
    power: Power | None = None
    pending_reboot: tuple[str, ...] | None = None
    """What asks for a reboot; empty: nothing does."""
    package_lock_holder: str | None = None
    """Who holds the package tool's lock ("apt-get, process 812"), empty: nobody."""
    blocking_processes: tuple[str, ...] = ()
    """Names of those asked for that run."""
    user_sessions: int | None = None
    controller_ahead_seconds: int | None = None
    metered: bool | None = None
    do_not_disturb: str = ""
    """The label's value when it asks for peace, empty otherwise."""
    controller_connected: bool = False
    source_designated: bool = False
    source: SourceReach | None = None
    throughput_bytes_per_second: int | None = None
