"""Who this computer is, on disk: its key and certificate, the fleet's authorities, the keys that it believes.

Decides how `identity/` is laid out and when it may change; who gets a certificate is the controller's. Files: `key.pem`
and `certificate.pem` (always a matching pair), `ca.pem` (authorities), `receipt_key.pem`, `warrant_keys.pem`,
`trust.json` (addresses, trust domain, log key, name, the root that the join string pinned).

Rules: a key once enrolled is never deleted or replaced, because it is the way back after the certificate ran out; keys
and authorities are replaced only by ones that can be read; private files are for this user alone.
"""

import contextlib
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from sopwith_agent.domain.errors import SettingsError, TrustError
from sopwith_agent.domain.messages import TrustChanged
from sopwith_certs import renewal, signing
from sopwith_certs.authority import read_certificate
from sopwith_certs.errors import CertsError
from sopwith_certs.identity import Kind, identity_of_certificate
from sopwith_certs.plan_approvals import verify_evidence
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_remove, durable_replace, make_private_folder, sweep
from sopwith_formats.errors import FormatError
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.vocabulary import Symptom

_log = structlog.get_logger()
_CERTIFICATE_END = b"-----END CERTIFICATE-----"
_REMEDY = "enrol again with `sopwith-agent enroll`, or restore the state folder from a backup"


@dataclass(frozen=True)
class Trust:
    """What enrolment told, and the controller keeps up to date."""

    fleet_address: str
    trust_domain: str
    web_host: str
    web_port: int
    log_key: str
    controller_name: str
    name: str
    source_root_sha256: str = ""
    """The root that the join string pinned, 64 hexadecimal digits; empty before the source was designated."""


@dataclass(frozen=True)
class CertificateDates:
    """From when until when the certificate holds, and when it should be renewed."""

    not_before: datetime
    not_after: datetime
    renewal: datetime


class IdentityStore:
    """One computer's identity folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def authorities_file(self) -> Path:
        """The authorities that the fleet trusts, PEM."""
        return self._folder / "ca.pem"

    @property
    def enrolled(self) -> bool:
        """Tell whether a whole identity is there."""
        return (self._folder / "trust.json").exists()

    def enrolling_key(self) -> signing.PrivateKey | None:
        """Return the key of an earlier try to enrol, None where there was none."""
        path = self._folder / renewal.KEY_FILE
        return signing.load_private_key(path) if path.exists() else None

    def keep_enrolling_key(self, key: signing.PrivateKey) -> None:
        """Keep the key that is enrolled, before anything is built on it."""
        make_private_folder(self._folder)
        sweep(self._folder)
        if not (self._folder / renewal.KEY_FILE).exists():
            signing.save_private_key(self._folder / renewal.KEY_FILE, key)

    def forget_enrolling_key(self) -> None:
        """Take back a key that nobody enrolled; one that belongs to an identity stays."""
        if not self.enrolled:
            durable_remove(self._folder / renewal.KEY_FILE)
            with contextlib.suppress(OSError):
                self._folder.rmdir()  # only when nothing else lies there

    def keep_enrolment(
        self, certificate_pem: bytes, authorities_pem: bytes, warrant_keys_pem: bytes, trust: Trust
    ) -> None:
        """Make a whole identity of what enrolment brought; `trust.json` last, which makes it one."""
        key = renewal.load_key(self._folder)
        receipt_key = self._folder / "receipt_key.pem"
        if not receipt_key.exists():
            signing.save_private_key(receipt_key, signing.new_key())
        renewal.write_pair(self._folder, renewal.Pair(signing.private_key_pem(key), certificate_pem))
        self.keep_authorities(authorities_pem)
        self.keep_warrant_keys(warrant_keys_pem)
        self.keep_trust(trust)

    def pair(self) -> renewal.Pair:
        """Return key and certificate; raise SettingsError when they are not there or do not match."""
        try:
            return renewal.read_pair(self._folder)
        except (OSError, FormatError) as error:
            raise SettingsError(f"The identity in {self._folder} cannot be used: {error}.", remedy=_REMEDY) from error

    def replace_certificate(self, certificate_pem: bytes) -> None:
        """Keep a new certificate for the same key."""
        renewal.replace_certificate(self._folder, certificate_pem)

    def dates(self) -> CertificateDates:
        """Return the certificate's dates."""
        certificate = self.pair().certificate
        return CertificateDates(
            certificate.not_valid_before_utc, certificate.not_valid_after_utc, renewal.renewal_time(certificate)
        )

    def computer_id(self) -> str:
        """Return the computer's id, as its certificate says."""
        identity = identity_of_certificate(self.pair().certificate, self.trust().trust_domain)
        if identity.kind is not Kind.COMPUTER:
            raise SettingsError(f"The certificate in {self._folder} is no computer's.", remedy=_REMEDY)
        return identity.id

    def trust(self) -> Trust:
        """Return what enrolment told."""
        path = self._folder / "trust.json"
        try:
            document: dict[str, Any] = canonical_json.decode(path.read_bytes())
            return Trust(**document)
        except FileNotFoundError as error:
            raise SettingsError(
                f"The computer is not enrolled: {path} is missing.",
                remedy="run `sopwith-agent enroll JOIN --state DIR` with a join string of `sopwith token create`",
            ) from error
        except (OSError, FormatError, TypeError) as error:
            raise SettingsError(f"{path} cannot be read: {error}.", remedy=_REMEDY) from error

    def keep_trust(self, trust: Trust) -> None:
        """Keep addresses and names."""
        durable_replace(self._folder / "trust.json", canonical_json.encode(asdict(trust)), 0o600)

    def pin_source(self, root_sha256: str) -> None:
        """Remember which root the source was designated with."""
        self.keep_trust(replace(self.trust(), source_root_sha256=root_sha256))

    def authorities(self) -> bytes:
        """Return the authorities that the fleet trusts, PEM."""
        return self.authorities_file.read_bytes()

    def keep_authorities(self, pem: bytes) -> None:
        """Replace the authorities; raise FormatError for bytes that hold none."""
        blocks = [block + _CERTIFICATE_END for block in pem.split(_CERTIFICATE_END)[:-1]]
        if not blocks:
            raise FormatError("holds no certificate authority")
        for block in blocks:
            read_certificate(block.strip())
        if not self.authorities_file.exists() or self.authorities() != pem:
            durable_replace(self.authorities_file, pem, 0o600)

    def keep_warrant_keys(self, pem: bytes) -> None:
        """Replace the keys whose warrants are obeyed; raise FormatError for bytes that hold none."""
        if not signing.read_public_keys(pem):
            raise FormatError("holds no warrant key")
        path = self._folder / "warrant_keys.pem"
        if not path.exists() or path.read_bytes() != pem:
            durable_replace(path, pem, 0o600)

    def trust_changed(self, trust: TrustChanged) -> None:
        """Take up what the controller says of authorities and keys; what cannot be read changes nothing."""
        try:
            self.keep_authorities(trust.trust_bundle_pem)
            self.keep_warrant_keys(trust.warrant_keys_pem)
            self.keep_log_key(trust.log_key)
        except (FormatError, OSError) as error:
            _log.error("trust_not_changed", error=str(error))

    def keep_log_key(self, log_key: str) -> None:
        """Keep the verifier key of the update log."""
        trust = self.trust()
        if log_key and log_key != trust.log_key:
            self.keep_trust(replace(trust, log_key=log_key))

    def verify(self, signed: bytes, signature: bytes) -> bool:
        """Tell whether one of the warrant keys signed these bytes."""
        try:
            keys = signing.read_public_keys((self._folder / "warrant_keys.pem").read_bytes())
        except (OSError, FormatError):
            return False
        return any(signing.verify(key, signed, signature) for key in keys)

    def approver(self, envelope_json: str, certificate_pem: str) -> tuple[str, PlanApproval]:
        """Return who approved a plan and what they signed, by the authorities of this fleet alone."""
        try:
            return verify_evidence(
                envelope_json.encode(),
                certificate_pem.encode(),
                authorities_pem=self.authorities(),
                trust_domain=self.trust().trust_domain,
            )
        except (CertsError, FormatError, OSError) as error:
            raise TrustError(Symptom.WARRANT_REFUSED, f"An approval of the plan is not proved: {error}.") from error

    def sign_receipt(self, data: bytes) -> bytes:
        """Sign bytes with the receipt key."""
        return signing.sign(self._receipt_key(), data)

    def receipt_key_pem(self) -> bytes:
        """Return the public half of the receipt key, PEM."""
        return signing.public_key_pem(self._receipt_key().public_key())

    def _receipt_key(self) -> signing.PrivateKey:
        try:
            return signing.load_private_key(self._folder / "receipt_key.pem")
        except (OSError, FormatError) as error:
            raise SettingsError(f"The receipt key cannot be read: {error}.", remedy=_REMEDY) from error
