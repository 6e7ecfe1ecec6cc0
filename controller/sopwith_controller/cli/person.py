"""`sopwith person`: who may do what. Keys are made where they are used, by `accept`."""

import os
import sys
from pathlib import Path

import click

from sopwith.v1 import people_service_pb2 as pb
from sopwith.v1.people_pb2 import Person
from sopwith_controller.cli.join_output import print_join, read_join
from sopwith_controller.cli.output import Column, emit, emit_document, print_facts, tell, time_text
from sopwith_controller.cli.person_absences import add_absence_verbs, moment
from sopwith_controller.cli.person_keys import add_key_verbs
from sopwith_controller.cli.verbs import agree, connected, duration, noun, state, verb

group = noun("person", "Invite, list and revoke people.")
add_absence_verbs(group)
add_key_verbs(group)

_COLUMNS = [
    Column("NAME", lambda person: person.name),
    Column("ROLES", lambda person: ", ".join(person.roles)),
    Column("STATE", lambda person: person.state),
    Column("EMAIL", lambda person: person.email),
    Column("CERTIFICATE UNTIL", lambda person: time_text(person, "certificate_expires_time")),
    Column("UNTIL", lambda person: time_text(person, "expires_time")),
    Column("AWAY UNTIL", lambda person: time_text(person, "away_until_time")),
    Column("ID", lambda person: person.id, wide=True),
    Column("KEY", lambda person: person.key_fingerprint, wide=True),
]
_role_option = click.option("--role", "roles", multiple=True, metavar="ROLE", help="Role; may be given several times.")


@verb(group, "invite", example="sopwith person invite manager --role it_manager")
@click.argument("name")
@_role_option
@click.option("--email", default="", metavar="ADDR", help="Address for mail.")
@click.option("--expires", metavar="DURATION", help="How long the invitation is good.  [default: 24h]")
@click.option("--until", metavar="TIME", help="When the identity itself ends.  [default: 90d for a mere reviewer]")
def invite(name: str, roles: tuple[str, ...], email: str, expires: str | None, until: str | None) -> None:
    """Make a one-time join string for a person."""
    request = pb.InvitePersonRequest(name=name, roles=roles, email=email)
    if until:
        request.until_time.FromDatetime(moment(until, "--until").replace(tzinfo=None))
    if expires:
        request.expires.FromSeconds(int(duration(expires, "--expires")))
    with connected() as connection:
        reply = connection.call(connection.people.InvitePerson, request)
        print_join(connection.context, reply)
    tell(f"next, where {name} works: sopwith person accept --join-file FILE --context {name}.toml")


@verb(group, "accept", example="sopwith person accept --join-file join.txt --context manager.toml")
@click.argument("join", required=False)
@click.option("--join-file", metavar="FILE", help="Read the join string from a file, - for standard input.")
def accept(join: str | None, join_file: str | None) -> None:
    """Take an invitation: make a key here and write a context.

    The file that --context names is written; its key, certificate and authority lie beside it. Without --context it is
    the file that every command uses.
    """
    from sopwith_controller.desk.context import context_path
    from sopwith_controller.desk.enrolling import accept_invitation

    wanted = read_join(join, join_file)
    accepted = accept_invitation(wanted, context_path(state().context))
    context = accepted.context
    if state().output in ("json", "yaml"):
        document = {
            "person": context.person,
            "roles": list(accepted.roles),
            "organization": context.organization,
            "context": str(context.path),
            "fleet_address": context.fleet_address,
            "web_address": context.web_address,
            "key_fingerprint": accepted.key_fingerprint,
        }
        emit_document(state().output, document)
    elif state().output == "name":
        print(context.path)
    else:
        print_facts(
            [
                ("Person", context.person),
                ("Roles", ", ".join(accepted.roles)),
                ("Organisation", context.organization),
                ("Context", str(context.path)),
                ("Key", accepted.key_fingerprint),
            ]
        )
    if not accepted.known:
        tell(f"the controller at {context.fleet_address} did not answer yet; the context is written")
    if not _is_default(context.path):
        tell(f"next: export SOPWITH_CONTEXT={context.path}")


@verb(group, "list", example="sopwith person list")
def list_people() -> None:
    """List the roster."""
    with connected() as connection:
        reply = connection.call(connection.people.ListPeople, pb.ListPeopleRequest())
    emit(state().output, reply.people, _COLUMNS, name=lambda person: person.name)


@verb(group, "show", example="sopwith person show manager")
@click.argument("name")
def show(name: str) -> None:
    """Show one person."""
    with connected() as connection:
        reply = connection.call(connection.people.ListPeople, pb.ListPeopleRequest())
    found = [person for person in reply.people if name in (person.name, person.id)]
    if not found:
        raise click.ClickException(f"nobody on the roster is called {name} (sopwith person list)")
    _print(found[0])


@verb(group, "grant", example="sopwith person grant operator --role release_manager")
@click.argument("name")
@_role_option
def grant(name: str, roles: tuple[str, ...]) -> None:
    """Give roles to a person."""
    if not roles:
        raise click.UsageError("name at least one --role")
    with connected() as connection:
        reply = connection.call(connection.people.GrantRole, pb.GrantRoleRequest(name=name, roles=roles))
    _print(reply.person)


@verb(group, "revoke", example='sopwith person revoke operator --yes --reason "left the company"')
@click.argument("name")
@_role_option
@click.option("--yes", is_flag=True, help="Answer the question with yes.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
def revoke(name: str, roles: tuple[str, ...], yes: bool, reason: str) -> None:
    """Take roles away, or with no --role the certificate and everything."""
    what = f"take {', '.join(roles)} from {name}" if roles else f"revoke {name}, with certificate and all roles"
    agree(f"Really {what}?", yes=yes)
    if not reason and sys.stdin.isatty() and sys.stderr.isatty():
        reason = click.prompt("Why? It is recorded", err=True)
    with connected() as connection:
        request = pb.RevokePersonRequest(name=name, roles=roles, reason=reason)
        reply = connection.call(connection.people.RevokePerson, request)
    _print(reply.person)


def _print(person: Person) -> None:
    if state().output not in ("table", "wide"):
        emit(state().output, person, _COLUMNS, name=lambda row: row.name)
        return
    print_facts(
        [
            ("Name", person.name),
            ("State", person.state),
            ("Roles", ", ".join(person.roles)),
            ("Email", person.email),
            ("Certificate until", time_text(person, "certificate_expires_time")),
            ("On the roster until", time_text(person, "expires_time")),
            ("Away until", time_text(person, "away_until_time")),
            ("SSH key", person.ssh_key),
            ("Key", person.key_fingerprint),
            ("Id", person.id),
        ]
    )


def _is_default(path: Path) -> bool:
    from sopwith_controller.desk.context import context_path

    given = os.environ.get("SOPWITH_CONTEXT")
    return (Path(given) if given else context_path(None)).absolute() == path.absolute()
