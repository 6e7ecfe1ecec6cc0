"""Joining a fleet: from a join string to an identity on disk.

Decides in which order things are trusted and written. Rules: nothing is written before the authority's fingerprint
held, and the token is not spent before the source's root, which the join string pins, was there and the folder could
be written; the key is kept before it is enrolled, so that a later try is the same computer and spends nothing again; a
refused try takes back what it wrote; `trust.json` comes last and makes the identity whole.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from sopwith_agent.adapters.identity_store import IdentityStore, Trust
from sopwith_agent.domain.errors import SettingsError
from sopwith_certs import signing
from sopwith_certs.errors import EnrolmentRefusedError
from sopwith_certs.est import EstClient, Issued, Pending
from sopwith_certs.est_messages import make_request
from sopwith_formats.durable import make_private_folder
from sopwith_formats.join import Join


def enrol(join: Join, state: Path, name: str, tell: Callable[[str], None]) -> str:
    """Enrol this computer; return its id. Waits for a person where the join string has no token."""
    identity = IdentityStore(state / "identity")
    if identity.enrolled:
        raise SettingsError(
            f"{state} holds the identity of {identity.trust().name} already.",
            remedy="use another --state, or remove this folder to begin anew",
        )
    client = EstClient.from_join(join)
    root = client.source_root(join.root_fingerprint) if join.root_fingerprint else b""
    make_private_folder(state)
    key, new = _enrolling_key(identity)
    try:
        answer = _ask(client, key, name, join.token, tell)
    except EnrolmentRefusedError:
        if new:
            identity.forget_enrolling_key()
            with contextlib.suppress(OSError):
                state.rmdir()  # only when nothing else lies there
        raise
    directions = client.directions()
    digest = _designate(state, join, root) if root else ""
    identity.keep_enrolment(
        answer.certificate_pem,
        directions.trust_bundle_pem.encode(),
        directions.warrant_keys_pem.encode(),
        Trust(
            fleet_address=directions.fleet_address,
            trust_domain=directions.trust_domain,
            web_host=join.host,
            web_port=join.port,
            log_key=directions.log_key,
            controller_name=directions.controller_name,
            name=name,
            source_root_sha256=digest,
        ),
    )
    return identity.computer_id()


def _enrolling_key(identity: IdentityStore) -> tuple[signing.PrivateKey, bool]:
    """Return the key to enrol, kept on disk, and whether it was made now."""
    known = identity.enrolling_key()
    if known is not None:
        return known, False
    key = signing.new_key()
    identity.keep_enrolling_key(key)
    return key, True


def _ask(client: EstClient, key: signing.PrivateKey, name: str, token: str, tell: Callable[[str], None]) -> Issued:
    """Return the certificate; wait for a person where there is no token."""
    request = make_request(key)
    told = False
    while isinstance(answer := client.enrol(request, name=name, token=token), Pending):
        if not told:
            tell(f"waiting for `sopwith computer accept {name}`; this computer's key is")
            tell(f"  {signing.fingerprint(key.public_key())}")
            told = True
        time.sleep(answer.retry_after_seconds)
    return answer


def _designate(state: Path, join: Join, root: bytes) -> str:
    from sopwith_agent.adapters.tuf_source import TufSource

    base = f"https://{join.address}/source"
    source = TufSource(state / "source", pinned_sha256=join.root_fingerprint.removeprefix("sha256:"))
    return source.designate(root, f"{base}/metadata/", f"{base}/targets/")
