"""What a person at one computer of a fleet types and reads, and what that computer wrote down."""

import json
from typing import Any

from tests.system.fleet import Fleet


def typed(fleet: Fleet, name: str, *arguments: str, expect: tuple[int, ...] = (0,)) -> Any:
    """Run a command of the agent as the person at the computer."""
    return fleet.stage.run("sopwith-agent", *arguments, "--state", name, expect=expect)


def people(fleet: Fleet, name: str) -> list[dict[str, Any]]:
    """Return what people at a computer are told, as `sopwith-agent status` reads it; polled, so without a process."""
    status = fleet.folder / name / "status.json"
    told: list[dict[str, Any]] = json.loads(status.read_text())["people"] if status.exists() else []
    return told


def is_told(fleet: Fleet, name: str, *, after: int, purpose: str = "install") -> bool:
    """Tell whether people wait for the notice that follows so many deferrals; the file may be half a second old."""
    told = [(one["purpose"], one["state"], one["deferrals"]) for one in people(fleet, name)]
    return (purpose, "NOTICED", after) in told


def receipts(fleet: Fleet, name: str) -> list[dict[str, Any]]:
    """Return the signed records that a computer keeps, oldest first."""
    found = []
    for path in sorted((fleet.folder / name / "outbox").rglob("*.json")):
        message = json.loads(path.read_text())
        if message["kind"] == "receipt":
            found.append(json.loads(message["body"]["payload"]))
    return found


def told_before(fleet: Fleet, name: str, version: str, step: str) -> str:
    """Return what the record of a success says of the people who were told."""
    [record] = [one for one in receipts(fleet, name) if (one["version"], one["outcome"]) == (version, "SUCCEEDED")]
    [detail] = [str(taken["detail"]) for taken in record["steps"] if taken["step"] == step]
    return detail


def record(fleet: Fleet, name: str, identifier: str) -> dict[str, Any]:
    """Return what a computer's journal says of its share of a rollout; nothing before it was accepted."""
    found = [json.loads(path.read_text()) for path in (fleet.folder / name / "journal").rglob("*.json")]
    mine = [one for one in found if f'"rollout_id":"{identifier}"' in one.get("warrant_payload", "")]
    return mine[0] if mine else {}


def touch(fleet: Fleet, name: str, word: str) -> None:
    """Lay the file on a computer that lets the health check of a beacon go on, or break."""
    folder = fleet.folder / f"{name}-root" / "etc"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"beacon-{word}").touch()


def queued(fleet: Fleet, name: str) -> list[int]:
    """Return the numbers of the messages that wait for their acknowledgement."""
    outbox = fleet.folder / name / "outbox"
    acknowledged = int((outbox / "acknowledged").read_text())
    return [number for path in outbox.glob("*.json") if (number := int(path.stem)) > acknowledged]
