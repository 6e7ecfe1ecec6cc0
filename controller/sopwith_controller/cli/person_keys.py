"""The verbs of `sopwith person` for the OpenSSH keys by which people sign SOPs."""

from pathlib import Path

import click

from sopwith.v1 import people_service_pb2 as pb
from sopwith_controller.cli.output import emit, tell
from sopwith_controller.cli.verbs import connected, state, verb


def add_key_verbs(group: click.Group) -> None:
    """Put the verbs into the noun's group."""
    verb(group, "key", example="sopwith person key authority --ssh-key authority.pub")(key)
    verb(group, "allowed-signers", example="sopwith person allowed-signers --out allowed_signers")(allowed_signers)


@click.argument("name")
@click.option("--ssh-key", type=click.Path(path_type=Path), help="The person's .pub file.")
@click.option("--remove", is_flag=True, help="Take the bound key away.")
def key(name: str, ssh_key: Path | None, *, remove: bool) -> None:
    """Bind an OpenSSH public key to a person, by which they sign SOPs."""
    if remove == (ssh_key is not None):
        raise click.UsageError("give --ssh-key FILE.pub, or --remove")
    from sopwith_controller.desk.ssh_keygen import public_half

    public = public_half(ssh_key) if ssh_key else None
    request = pb.BindSshKeyRequest(name=name, ssh_key=public.line() if public else "")
    with connected() as connection:
        reply = connection.call(connection.people.BindSshKey, request)
    if state().output in ("table", "wide"):
        tell(f"{name} signs with {public.fingerprint}" if public else f"{name} has no SSH key any more")
        if public:
            tell(f"have {name} compare it: ssh-keygen -l -f FILE.pub")
    else:
        emit(state().output, reply.person, (), name=lambda row: row.name)


@click.option("--out", type=click.Path(path_type=Path), help="File to write; default: standard output.")
def allowed_signers(out: Path | None) -> None:
    """Write who signs with which key, as `ssh-keygen -Y verify` reads it."""
    from sopwith_formats.durable import durable_write
    from sopwith_formats.ssh_signature import NAMESPACE

    with connected() as connection:
        people = connection.call(connection.people.ListPeople, pb.ListPeopleRequest()).people
    lines = [f'"{one.name}" namespaces="{NAMESPACE}" {one.ssh_key}\n' for one in people if one.ssh_key]
    if out is None:
        print("".join(lines), end="")
        return
    durable_write(out, "".join(lines).encode(), 0o644)
    tell(f"wrote {out}, {len(lines)} signatories")
