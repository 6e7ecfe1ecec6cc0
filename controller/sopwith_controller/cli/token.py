"""`sopwith token`: join strings for computers."""

import click

from sopwith.v1 import people_service_pb2 as pb
from sopwith_controller.cli.join_output import print_join
from sopwith_controller.cli.output import Column, emit, time_text
from sopwith_controller.cli.verbs import connected, duration, key_values, noun, state, verb

group = noun("token", "Make and revoke join strings for computers.")

_COLUMNS = [
    Column("ID", lambda token: token.id),
    Column("USES LEFT", lambda token: str(token.uses_left)),
    Column("LABELS", lambda token: ",".join(f"{key}={token.labels[key]}" for key in sorted(token.labels))),
    Column("UNTIL", lambda token: time_text(token, "expires_time")),
    Column("MADE BY", lambda token: token.created_by),
    Column("REVOKED", lambda token: "yes" if token.revoked else ""),
]


@verb(group, "create", example="sopwith token create --uses 5 --label site=berlin")
@click.option("--uses", type=click.IntRange(1, 10_000), default=1, show_default=True, help="How many computers.")
@click.option("--expires", metavar="DURATION", help="How long it is good.  [default: 24h]")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Label of the computers; may be repeated.")
def create(uses: int, expires: str | None, labels: tuple[str, ...]) -> None:
    """Make a join string for computers."""
    request = pb.CreateTokenRequest(uses=uses, labels=key_values(labels, "--label"))
    if expires:
        request.expires.FromSeconds(int(duration(expires, "--expires")))
    with connected() as connection:
        reply = connection.call(connection.people.CreateToken, request)
        print_join(connection.context, reply)


@verb(group, "list", example="sopwith token list")
def list_tokens() -> None:
    """List tokens, newest first; the secret is not among it."""
    with connected() as connection:
        reply = connection.call(connection.people.ListTokens, pb.ListTokensRequest())
    emit(state().output, reply.tokens, _COLUMNS, name=lambda token: token.id, empty="No token was made yet.")


@verb(group, "revoke", example="sopwith token revoke t-7k2m9qx4")
@click.argument("token")
def revoke(token: str) -> None:
    """End a token; computers that enrolled with it stay."""
    with connected() as connection:
        reply = connection.call(connection.people.RevokeToken, pb.RevokeTokenRequest(id=token))
    emit(state().output, reply.token, _COLUMNS, name=lambda row: row.id)
