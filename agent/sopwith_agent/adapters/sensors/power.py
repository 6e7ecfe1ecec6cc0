"""Tells whether the computer runs on mains power, and what its battery holds."""

import psutil

from sopwith_agent.domain.measurements import Power


def power() -> Power | None:
    """Return the source of power, None on a computer without a battery."""
    battery = psutil.sensors_battery()
    if battery is None:
        return None
    return Power(on_mains=battery.power_plugged is not False, battery_percent=int(battery.percent))
