"""`sopwith computer`: looking after computers. Letting one in shows its key first, as its own screen does."""

from typing import Any

import click

from sopwith.v1 import fleet_service_pb2 as pb
from sopwith.v1.computer_pb2 import Computer
from sopwith_controller.cli.coverage import add_coverage_verbs
from sopwith_controller.cli.output import (
    Column,
    emit,
    emit_document,
    enum_name,
    print_facts,
    print_table,
    tell,
    time_text,
    to_document,
)
from sopwith_controller.cli.verbs import agree, connected, key_values, noun, reason_asked, reasoned, state, verb

group = noun("computer", "Look after computers.")
add_coverage_verbs(group)


def _sop(computer: Any) -> str:
    return f"{computer.sop_id} revision {computer.sop_revision}" if computer.sop_id else "none yet"


def _labels(computer: Computer) -> str:
    return ",".join(f"{key}={computer.labels[key]}" for key in sorted(computer.labels))


def _installed(computer: Computer) -> str:
    return ", ".join(f"{name}@{computer.installed[name]}" for name in sorted(computer.installed))


def _connected(computer: Computer) -> str:
    return "yes" if computer.connected else "asleep" if computer.asleep else "no"


def _ready(computer: Computer) -> str:
    codes = ", ".join(reason.code for reason in computer.readiness.reasons)
    benched = "BENCHED" if computer.benched else ""
    return " ".join(part for part in (benched, enum_name(computer.readiness, "verdict"), codes) if part)


_COLUMNS = [
    Column("NAME", lambda computer: computer.name),
    Column("STATE", lambda computer: enum_name(computer, "state")),
    Column("CONNECTED", _connected),
    Column("READY", _ready),
    Column("INSTALLED", _installed),
    Column("LABELS", _labels),
    Column("LAST SEEN", lambda computer: time_text(computer, "last_seen_time")),
    Column("SOP", _sop, wide=True),
    Column("ID", lambda computer: computer.id, wide=True),
    Column("KEY", lambda computer: computer.key_fingerprint, wide=True),
]
_reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
_yes_option = click.option("--yes", is_flag=True, help="Answer the question with yes.")


@verb(group, "list", example='sopwith computer list --selector "site=berlin,ring!=vip"')
@click.option("--selector", default="", metavar="SELECTOR", help="Only computers whose labels and facts match.")
def list_computers(selector: str) -> None:
    """List computers by name."""
    with connected() as connection:
        reply = connection.call(connection.fleet.ListComputers, pb.ListComputersRequest(selector=selector))
    empty = "No computer matches." if selector else "No computer enrolled yet; `sopwith token create` begins it."
    emit(state().output, reply.computers, _COLUMNS, name=lambda computer: computer.name, empty=empty)


@verb(group, "show", example="sopwith computer show pc1")
@click.argument("computer")
def show(computer: str) -> None:
    """Show everything about one computer."""
    with connected() as connection:
        reply = connection.call(connection.fleet.GetComputer, pb.GetComputerRequest(computer=computer))
    _print(reply.computer)


@verb(group, "readiness", example="sopwith computer readiness pc1")
@click.argument("computer")
def readiness(computer: str) -> None:
    """Let a computer measure now whether it may be updated, and say why not."""
    with connected() as connection:
        request = pb.MeasureReadinessRequest(computer=computer)
        reply = connection.call(connection.fleet.MeasureReadiness, request)
    found = reply.computer
    if not reply.fresh:
        when = time_text(found.readiness, "measured_time") or "never"
        tell(f"{found.name} did not answer now; this was measured: {when}")
    if state().output in ("json", "yaml"):
        emit_document(state().output, {**to_document(found), "fresh": reply.fresh})
    elif state().output == "name":
        print(enum_name(found.readiness, "verdict"))
    else:
        _print_readiness(found)


@verb(group, "label", example="sopwith computer label pc1 ring=canary --remove old")
@click.argument("computer")
@click.argument("labels", nargs=-1, metavar="[K=V]...")
@click.option("--remove", multiple=True, metavar="K", help="Remove a label; may be repeated.")
def label(computer: str, labels: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Set and remove labels."""
    if not labels and not remove:
        raise click.UsageError("give at least one KEY=VALUE or --remove KEY")
    request = pb.LabelComputerRequest(computer=computer, set=key_values(labels, "label"), remove=remove)
    with connected() as connection:
        reply = connection.call(connection.fleet.LabelComputer, request)
    emit(state().output, reply.computer, _COLUMNS, name=lambda row: row.name)


@verb(group, "accept", example="sopwith computer accept pc1")
@click.argument("computer")
@click.option("--fingerprint", default="", metavar="SHA256", help="Accept only this key, as the computer shows it.")
@_yes_option
def accept(computer: str, fingerprint: str, yes: bool) -> None:
    """Let a waiting computer into the fleet, or a benched or quarantined one back into rollouts."""
    with connected() as connection:
        if not fingerprint:
            found = connection.call(connection.fleet.GetComputer, pb.GetComputerRequest(computer=computer)).computer
            fingerprint = found.key_fingerprint
            tell(f"the key of {found.name} is {fingerprint}; `sopwith-agent enroll` shows the same there")
        agree(f"Accept {computer}?", yes=yes)
        # The key that was shown is sent along: another computer that took the name meanwhile is not accepted.
        request = pb.AcceptComputerRequest(computer=computer, key_fingerprint=fingerprint)
        reply = connection.call(connection.fleet.AcceptComputer, request)
    emit(state().output, reply.computer, _COLUMNS, name=lambda row: row.name)


@verb(group, "reject", example='sopwith computer reject pc9 --reason "not ours"')
@click.argument("computer")
@_reason_option
def reject(computer: str, reason: str) -> None:
    """Refuse a waiting computer."""
    request = pb.RejectComputerRequest(computer=computer, reason=reason_asked(reason))
    with connected() as connection:
        reply = reasoned(connection, connection.fleet.RejectComputer, request)
    emit(state().output, reply.computer, _COLUMNS, name=lambda row: row.name)


@verb(group, "retire", example='sopwith computer retire pc1 --yes --reason "sold"')
@click.argument("computer")
@_yes_option
@_reason_option
def retire(computer: str, yes: bool, reason: str) -> None:
    """Remove a computer from the fleet for good."""
    agree(f"Retire {computer}? Its certificate ends and its key never comes back.", yes=yes)
    request = pb.RetireComputerRequest(computer=computer, reason=reason_asked(reason))
    with connected() as connection:
        reply = reasoned(connection, connection.fleet.RetireComputer, request)
    emit(state().output, reply.computer, _COLUMNS, name=lambda row: row.name)


@verb(group, "quarantine", example='sopwith computer quarantine pc1 --reason "failed rollback"')
@click.argument("computer")
@click.option("--release", is_flag=True, help="Take it out of quarantine instead.")
@_reason_option
def quarantine(computer: str, release: bool, reason: str) -> None:
    """Hold a computer apart: it receives no work."""
    request = pb.QuarantineComputerRequest(computer=computer, reason=reason_asked(reason), release=release)
    with connected() as connection:
        reply = reasoned(connection, connection.fleet.QuarantineComputer, request)
    emit(state().output, reply.computer, _COLUMNS, name=lambda row: row.name)


def _print(computer: Computer) -> None:
    if state().output not in ("table", "wide"):
        emit(state().output, computer, _COLUMNS, name=lambda row: row.name)
        return
    print_facts(
        [
            ("Name", computer.name),
            ("State", enum_name(computer, "state")),
            ("Connected", _connected(computer)),
            ("Last seen", time_text(computer, "last_seen_time")),
            ("Labels", _labels(computer)),
            ("Installed", _installed(computer)),
            ("Enrolled", time_text(computer, "enrolled_time")),
            ("Key", computer.key_fingerprint),
            ("Source root", computer.source_root_sha256),
            ("Id", computer.id),
        ]
    )
    facts: dict[str, Any] = to_document(computer)["facts"] or {}
    if facts:
        print()
        print_facts([(key, str(facts[key])) for key in sorted(facts)])
    print()
    _print_readiness(computer)


def _print_readiness(computer: Computer) -> None:
    found = computer.readiness
    verdict = enum_name(found, "verdict") or "not measured yet"
    measured = time_text(found, "measured_time")
    print_facts([("Readiness", f"{verdict} (measured {measured})" if measured else verdict)])
    if computer.benched:
        print_facts(
            [
                ("Benched", f"its last {computer.failures_in_a_row} updates failed; rollouts leave it out"),
                ("to mend it", f"find out why, then sopwith computer accept {computer.name}"),
            ]
        )
    for reason in found.reasons:
        print_facts([(reason.code, reason.message), ("to mend it", reason.remedy)])
    if found.checks:
        print()
        rows = [[check.name, enum_name(check, "result"), check.measured, check.required] for check in found.checks]
        print_table(["CHECK", "RESULT", "MEASURED", "REQUIRED"], rows, wrap=(2, 3))
