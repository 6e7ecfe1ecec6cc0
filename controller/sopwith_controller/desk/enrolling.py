"""A person's side of enrolment: from an invitation to a context, and a certificate that stays alive.

This module decides which files lie beside a context and in which order they are written. The exchange with the
controller is `sopwith_certs.est`'s; whether the person gets a certificate is the controller's.

Rules: nothing is written before the authority's fingerprint held and the pinned source root was there; the key is made
where it is used and never leaves the machine; it is on disk before it is sent, so that a lost answer is asked for again
with the same key, and only a refused one is taken back; the context is written last and names only files that are
there; one whose certificate still lives is not overwritten. A certificate is renewed at two thirds of its life, for the
same key, so that key and certificate always match; one that ran out is asked for again with the enrolled key.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from sopwith.v1 import fleet_service_pb2, people_service_pb2
from sopwith_certs.authority import read_certificate
from sopwith_certs.errors import CertsError, EnrolmentRefusedError, TrustError, UnavailableError
from sopwith_certs.est import Directions, EstClient, Issued
from sopwith_certs.est_messages import make_request
from sopwith_certs.identity import Kind, identity_of_certificate
from sopwith_certs.renewal import expired, renewal_due
from sopwith_certs.signing import fingerprint, load_private_key, new_key, save_private_key
from sopwith_controller.desk.connection import Connection
from sopwith_controller.desk.context import Context, read_context, write_context
from sopwith_controller.desk.errors import DeskError, Refusal, RefusedError, UnreachableError
from sopwith_controller.desk.join_strings import split_address
from sopwith_formats.durable import durable_remove, durable_replace, make_private_folder
from sopwith_formats.errors import FormatError
from sopwith_formats.join import Join


@dataclass(frozen=True)
class Accepted:
    """What became of an invitation. `known` is false when the controller's fleet port did not answer yet."""

    context: Context
    key_fingerprint: str
    roles: tuple[str, ...] = ()
    known: bool = True


def accept_invitation(join: Join, path: Path) -> Accepted:
    """Enrol with an invitation and write the context and its files; raise DeskError with the mend."""
    if not join.token:
        raise DeskError("this join string has no token", remedy="ask the owner for `sopwith person invite NAME`")
    _refuse_living(path)
    with told():
        est = EstClient.from_join(join)
        root = est.source_root(join.root_fingerprint) if join.root_fingerprint else b""
        if not path.parent.exists():
            make_private_folder(path.parent)
        key_path = path.parent / f"{path.stem}.key.pem"
        new = not key_path.exists()
        if new:
            save_private_key(key_path, new_key())
        key = load_private_key(key_path)
        try:
            answer = est.enrol(make_request(key), token=join.token)
        except EnrolmentRefusedError:
            if new:
                durable_remove(key_path)
            raise
        if not isinstance(answer, Issued):
            raise DeskError("this join string is for computers", remedy="use it with `sopwith-agent enroll`")
        directions = est.directions()
        certificate = read_certificate(answer.certificate_pem)
        identity = identity_of_certificate(certificate, directions.trust_domain)
        if identity.kind is not Kind.PERSON:
            raise DeskError("this join string is for computers", remedy="use it with `sopwith-agent enroll`")
    context = _write(path, join, directions, identity.id, answer.certificate_pem)
    if root:
        context = context.pin_source_root(root)
    return _introduce(Accepted(context, fingerprint(key.public_key())))


def keep_alive(context: Context) -> None:
    """Ask for a new certificate when the old one ran out; nothing happens while it lives."""
    certificate = _certificate(context)
    if certificate is None or not expired(certificate, datetime.now(UTC)):
        return
    with told():
        host, port = split_address(context.web_address)
        est = EstClient(host, port, context.read(context.trust_bundle))
        answer = est.reenrol(make_request(load_private_key(context.file(context.key))))
    durable_replace(context.file(context.certificate), answer.certificate_pem)


def renew_if_due(connection: Connection) -> None:
    """Exchange the living certificate of a connection's person for a new one when two thirds of its life are over."""
    context = connection.context
    certificate = _certificate(context)
    if certificate is None or not renewal_due(certificate, datetime.now(UTC)):
        return
    request = people_service_pb2.RenewPersonCertificateRequest(
        certificate_request=make_request(load_private_key(context.file(context.key)))
    )
    reply = connection.call(connection.people.RenewPersonCertificate, request)
    renewed = read_certificate(reply.certificate_pem)
    if renewed.public_key() != certificate.public_key():
        raise DeskError("the controller renewed the certificate for another key", remedy="tell the owner")
    durable_replace(context.file(context.certificate), reply.certificate_pem)
    if reply.trust_bundle_pem:
        durable_replace(context.file(context.trust_bundle), reply.trust_bundle_pem)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn what goes wrong in enrolment into what the command line explains."""
    try:
        yield
    except EnrolmentRefusedError as error:
        raise RefusedError(Refusal("enrolment", "", error.message, error.remedy)) from error
    except TrustError as error:
        raise RefusedError(Refusal("identity", "", error.message, error.remedy)) from error
    except UnavailableError as error:
        raise UnreachableError(error.message, remedy=error.remedy) from error
    except CertsError as error:
        raise DeskError(error.message, remedy=error.remedy) from error


def _refuse_living(path: Path) -> None:
    """Refuse to replace a context that still works: its key would be lost."""
    if not path.exists():
        return
    context = read_context(path)
    certificate = _certificate(context)
    if certificate is not None and not expired(certificate, datetime.now(UTC)):
        raise DeskError(
            f"{path} is the context of {context.person} and still works",
            remedy="name another file with --context, or remove this one first",
        )


def _certificate(context: Context) -> x509.Certificate | None:
    try:
        return read_certificate(context.read(context.certificate))
    except (DeskError, FormatError):
        return None


def _write(path: Path, join: Join, directions: Directions, person_id: str, certificate_pem: bytes) -> Context:
    certificate, bundle = f"{path.stem}.certificate.pem", f"{path.stem}.ca.pem"
    durable_replace(path.parent / certificate, certificate_pem)
    durable_replace(path.parent / bundle, directions.trust_bundle_pem.encode())
    context = Context(
        path=path,
        organization=directions.controller_name,
        trust_domain=directions.trust_domain,
        person=person_id,
        fleet_address=directions.fleet_address,
        web_address=join.address,
        ca_fingerprint=join.ca_fingerprint,
        trust_bundle=f"file:{bundle}",
        certificate=f"file:{certificate}",
        key=f"file:{path.stem}.key.pem",
        log_key=directions.log_key,
    )
    write_context(context)
    return context


def _introduce(accepted: Accepted) -> Accepted:
    """Ask the controller for the person's own name and roles; a silent fleet port leaves the id as the name."""
    try:
        with Connection(accepted.context) as connection:
            reply = connection.call(connection.fleet.GetOverview, fleet_service_pb2.GetOverviewRequest())
    except DeskError:
        return replace(accepted, known=False)
    context = replace(
        accepted.context,
        person=reply.person or accepted.context.person,
        organization=reply.organization or accepted.context.organization,
    )
    write_context(context)
    return replace(accepted, context=context, roles=tuple(reply.roles))
