"""`sopwith sop sign`: with the context's key, with an OpenSSH key, or by a link for somebody who installs nothing.

A signature needs the person's word; in the profile `regulated` also a code that was sent to the person's own address.
"""

import sys
from pathlib import Path
from typing import Any

import click

from sopwith.v1 import sop_life_service_pb2 as life
from sopwith.v1 import sop_service_pb2 as pb
from sopwith_controller.cli.output import emit_document, enum_name, print_facts, tell, time_text
from sopwith_controller.cli.sop_views import emit_sop, newest_of
from sopwith_controller.cli.verbs import agree, connected, duration, state, verb
from sopwith_controller.desk.errors import DeskError, RefusedError


def add_signing_verb(group: click.Group) -> None:
    """Put the verb into the noun's group."""
    verb(group, "sign", example="sopwith sop sign SU-SOP-001")(sign)


@click.argument("sop")
@click.option("--role", default="", help="Role to sign in, where you have several.")
@click.option("--reject", is_flag=True, help="Send it back as a draft instead; needs --comment.")
@click.option("--comment", default="", metavar="TEXT", help="What you add to your signature.")
@click.option("--ssh-key", type=click.Path(path_type=Path), help="Sign with this OpenSSH key, by ssh-keygen.")
@click.option("--send-code", is_flag=True, help="Have a code sent to your address; the profile regulated wants one.")
@click.option("--code", default="", metavar="CODE", help="The code that was sent to you.")
@click.option("--link", default="", metavar="NAME", help="Make a one-time link for somebody to sign by.")
@click.option("--expires", metavar="DURATION", help="How long the link is good.  [default: 7d]")
@click.option("--yes", is_flag=True, help="Answer the question with yes.")
def sign(sop: str, *, link: str, send_code: bool, expires: str | None, **options: Any) -> None:
    """Sign the revision in review, with your own key."""
    if link:
        _make_link(sop, link, options["role"], expires)
    elif send_code:
        _send_code(sop)
    else:
        _sign(sop, **options)


def _sign(sop: str, *, role: str, reject: bool, comment: str, ssh_key: Path | None, code: str, yes: bool) -> None:
    from sopwith_controller.desk import sop_signing

    if reject and not comment.strip():
        raise click.UsageError("--reject needs --comment, so that the author knows why")
    if not yes and not sys.stdin.isatty():
        raise DeskError("a signature needs your word, and there is no terminal to ask on", remedy="add --yes")
    decision = "reject" if reject else "approve"
    with connected() as connection:
        signatory = sop_signing.signatory_of(connection.context)
        found = connection.call(connection.sops.GetSop, pb.GetSopRequest(id=sop, revision=newest_of(connection, sop)))
        document = sop_signing.read_for_signing(found.document, found.sop.document_sha256, found.sop.policy_sha256)
        try:
            _check_in_review(found.sop)
            role = sop_signing.role_to_sign(document, signatory, list(found.sop.signatures_missing), role)
        except DeskError:
            _refuse_without_role(connection, found.sop)
            raise
        tell(f"{found.sop.id} revision {found.sop.revision}: {found.sop.title}")
        tell(f"{found.sop.change_kind} change: {found.sop.change_description}")
        tell(sop_signing.sentence(document, signatory, role, decision))
        agree("Sign this?", yes=yes)
        words = sop_signing.Words(decision=decision, comment=comment, challenge=code)
        envelope = sop_signing.sign_revision(document, signatory, role, words, ssh_key)
        request = pb.SignSopRequest(id=found.sop.id, revision=found.sop.revision, envelope_json=envelope)
        reply = connection.call(connection.sops.SignSop, request)
    emit_sop(reply.sop)


def _make_link(sop: str, person: str, role: str, expires: str | None) -> None:
    request = life.MakeSigningLinkRequest(id=sop, person=person, role=role)
    if expires:
        request.expires.FromSeconds(int(duration(expires, "--expires")))
    with connected() as connection:
        reply = connection.call(connection.sop_life.MakeSigningLink, request)
    address = f"https://{reply.web_address}{reply.path}"
    ends = time_text(reply, "expires_time")
    if state().output in ("json", "yaml"):
        document = {
            "link": address,
            "id": reply.id,
            "person": person,
            "role": reply.role,
            "sop": sop,
            "revision": reply.revision,
            "ca_fingerprint": reply.ca_fingerprint,
            "expires_time": ends,
        }
        emit_document(state().output, document)
    elif state().output == "name":
        print(address)
    else:
        print_facts((("Link", address), ("For", f"{person}, as {reply.role}"), ("Until", ends)))
        print_facts((("Proved by", reply.ca_fingerprint),))
        tell(f"give it to {person} alone: it shows the document and takes one signature by {person}'s SSH key")


def _send_code(sop: str) -> None:
    with connected() as connection:
        reply = connection.call(connection.sop_life.SendSigningCode, life.SendSigningCodeRequest(id=sop))
    tell(f"a code is on its way to {reply.address}; it is good until {time_text(reply, 'expires_time')}")
    tell(f"next: sopwith sop sign {sop} --code CODE")


def _refuse_without_role(connection: Any, sop: Any) -> None:
    """Let the controller say no, and record it, where the person may not sign at all; that counts before all else."""
    try:
        connection.call(connection.sops.SignSop, pb.SignSopRequest(id=sop.id, revision=sop.revision))
    except RefusedError:
        raise
    except DeskError:
        return  # who may sign is told what is really wrong


def _check_in_review(sop: Any) -> None:
    where = enum_name(sop, "state")
    if where != "IN_REVIEW":
        raise DeskError(
            f"{sop.id} revision {sop.revision} is {where}; only a revision in review is signed",
            remedy=f"sopwith sop submit {sop.id if where == 'DRAFT' else 'FILE, with the next revision'}",
        )
