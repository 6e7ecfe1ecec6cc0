"""One desktop notification, shown by a small program of its own that runs as the session's user.

The agent starts it with the notification as one JSON line on standard input, keeps that open as long as the
notification shall stay, and reads one line per event: `shown`, then `answer KEY` when a button was pressed or `closed`
when it was dismissed. It ends when its input does, and takes the notification back.

Why a program: a session bus talks to its own user only, the library for it stays out of the agent's memory, and nothing
that a session's programs answer reaches a process with rights.

Exit codes: 0 shown, 3 no notification server answers.
"""

import contextlib
import json
import os
import select
import sys
from typing import Any

_NO_DESKTOP = 3
_CALL_SECONDS = 4
_NEVER_EXPIRES = 0
_CRITICAL, _NORMAL = 2, 1


def main() -> int:
    """Show what standard input asks for; return the exit code."""
    from jeepney import DBusErrorResponse, MatchRule
    from jeepney.bus_messages import message_bus
    from jeepney.io.blocking import Proxy, open_dbus_connection

    wanted = json.loads(sys.stdin.readline())
    try:
        connection = open_dbus_connection(wanted["bus"])
        rule = MatchRule(type="signal", interface=_NAME, path=_PATH)
        Proxy(message_bus, connection, timeout=_CALL_SECONDS).AddMatch(rule)
        number = _call(connection, "Notify", "susssasa{sv}i", _arguments(wanted))
    except (OSError, TimeoutError, DBusErrorResponse, ValueError):
        return _NO_DESKTOP
    _say("shown")
    _listen(connection, number)
    with contextlib.suppress(OSError, TimeoutError, DBusErrorResponse):
        _call(connection, "CloseNotification", "u", (number,))
    return 0


_NAME = "org.freedesktop.Notifications"
_PATH = "/org/freedesktop/Notifications"


def _arguments(wanted: dict[str, Any]) -> tuple[Any, ...]:
    urgency = _CRITICAL if wanted["urgent"] else _NORMAL
    hints = {"urgency": ("y", urgency), "resident": ("b", True), "category": ("s", "device")}
    actions = [word for action in wanted["actions"] for word in action]
    icon = "system-software-update"
    return ("Sopwith", 0, icon, wanted["title"], wanted["text"], actions, hints, _NEVER_EXPIRES)


def _call(connection: Any, method: str, signature: str, body: tuple[Any, ...]) -> Any:
    from jeepney import DBusAddress, new_method_call
    from jeepney.wrappers import unwrap_msg

    address = DBusAddress(_PATH, bus_name=_NAME, interface=_NAME)
    reply = connection.send_and_get_reply(new_method_call(address, method, signature, body), timeout=_CALL_SECONDS)
    answer = unwrap_msg(reply)
    return answer[0] if answer else None


def _listen(connection: Any, number: int) -> None:
    """Say what happens to the notification, until it is gone or nobody wants it any more."""
    from jeepney import HeaderFields

    while True:
        with contextlib.suppress(TimeoutError):
            while True:  # what came together with an earlier answer lies in the library already, not in the socket
                message = connection.receive(timeout=0)
                if not message.body or message.body[0] != number:
                    continue
                event = message.header.fields.get(HeaderFields.member)
                if event == "ActionInvoked":
                    _say(f"answer {message.body[1]}")
                    return
                if event == "NotificationClosed":
                    _say("closed")
                    return
        ready, _, _ = select.select([connection.sock, sys.stdin], [], [])
        if sys.stdin in ready and not os.read(sys.stdin.fileno(), 1):
            return


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
