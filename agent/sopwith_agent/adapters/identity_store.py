"""Who this computer is, on disk: its key and certificate, the fleet's authorities, the keys that it believes.

Decides how `identity/` is laid out and when it may change; who gets a certificate is the controller's. Files: `key.pem`
and `certificate.pem` (always a matching pair), `ca.pem` (authorities), `receipt_key.pem`, `warrant_keys.pem`,
`trust.json` (addresses, trust domain, log key, name, the root that the join string pinned).

Rules: a key once enrolled is never deleted or replaced, because it is the way back after the certificate ran out; keys
and authorities are replaced only by ones that can be read; private files are for this user alone. The cryptography
library is loaded when something is verified, signed or replaced; an agent at rest works without it.
"""

import contextlib
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from sopwith_agent.adapters.identity_memory import Facts, recall
from sopwith_agent.domain.errors import SettingsError, TrustError
from sopwith_agent.domain.messages import TrustChanged
from sopwith_certs.errors import CertsError
from sopwith_certs.pair import KEY_FILE, Pair, read_unchecked
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_remove, durable_replace, make_private_folder, sweep
from sopwith_formats.errors import FormatError
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.vocabulary import Symptom

if TYPE_CHECKING:
    from sopwith_certs.signing import PrivateKey

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

    def enrolling_key(self) -> "PrivateKey | None":
        """Return the key of an earlier try to enrol, None where there was none."""
        from sopwith_certs import signing

        path = self._folder / KEY_FILE
        return signing.load_private_key(path) if path.exists() else None

    def keep_enrolling_key(self, key: "PrivateKey") -> None:
        """Keep the key that is enrolled, before anything is built on it."""
        from sopwith_certs import signing

        make_private_folder(self._folder)
        sweep(self._folder)
        if not (self._folder / KEY_FILE).exists():
            signing.save_private_key(self._folder / KEY_FILE, key)

    def forget_enrolling_key(self) -> None:
        """Take back a key that nobody enrolled; one that belongs to an identity stays."""
        if not self.enrolled:
            durable_remove(self._folder / KEY_FILE)
            with contextlib.suppress(OSError):
                self._folder.rmdir()  # only when nothing else lies there

    def keep_enrolment(
        self, certificate_pem: bytes, authorities_pem: bytes, warrant_keys_pem: bytes, trust: Trust
    ) -> None:
        """Make a whole identity of what enrolment brought; `trust.json` last, which makes it one."""
        from sopwith_certs import renewal, signing

        key = renewal.load_key(self._folder)
        receipt_key = self._folder / "receipt_key.pem"
        if not receipt_key.exists():
            signing.save_private_key(receipt_key, signing.new_key())
        renewal.write_pair(self._folder, Pair(signing.private_key_pem(key), certificate_pem))
        self.keep_authorities(authorities_pem)
        self.keep_warrant_keys(warrant_keys_pem)
        self.keep_trust(trust)

    def pair(self) -> Pair:
        """Return key and certificate; raise SettingsError when they are not there or do not match."""
        pair, _ = self._pair_and_facts()
        return pair

    def replace_certificate(self, certificate_pem: bytes) -> None:
        """Keep a new certificate for the same key."""
        from sopwith_certs import renewal

        renewal.replace_certificate(self._folder, certificate_pem)

    def dates(self) -> CertificateDates:
        """Return the certificate's dates."""
        _, facts = self._pair_and_facts()
        return CertificateDates(*(datetime.fromisoformat(facts[name]) for name in ("from", "until", "renewal")))

    def computer_id(self) -> str:
        """Return the computer's id, as its certificate says; raise TrustError for a certificate of another fleet."""
        domain = self.trust().trust_domain
        pair, _ = self._pair_and_facts()
        facts = recall(
            self._folder, "computer", (pair.certificate_pem, domain.encode()), lambda: _computer_in(pair, domain)
        )
        if not facts["id"]:
            raise SettingsError(f"The certificate in {self._folder} is no computer's.", remedy=_REMEDY)
        return facts["id"]

    def _pair_and_facts(self) -> tuple[Pair, Facts]:
        """Return the pair and its certificate's dates, checked by the library once for each new pair."""
        try:
            pair = read_unchecked(self._folder)
            made_from = (pair.key_pem, pair.certificate_pem)
            return pair, recall(self._folder, "certificate", made_from, lambda: _dates_in(self._folder, pair))
        except (OSError, FormatError) as error:
            raise SettingsError(f"The identity in {self._folder} cannot be used: {error}.", remedy=_REMEDY) from error

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
        if self.authorities_file.exists() and self.authorities() == pem:
            return
        from sopwith_certs.authority import read_certificate

        blocks = [block + _CERTIFICATE_END for block in pem.split(_CERTIFICATE_END)[:-1]]
        if not blocks:
            raise FormatError("holds no certificate authority")
        for block in blocks:
            read_certificate(block.strip())
        durable_replace(self.authorities_file, pem, 0o600)

    def keep_warrant_keys(self, pem: bytes) -> None:
        """Replace the keys whose warrants are obeyed; raise FormatError for bytes that hold none."""
        path = self._folder / "warrant_keys.pem"
        if path.exists() and path.read_bytes() == pem:
            return
        from sopwith_certs import signing

        if not signing.read_public_keys(pem):
            raise FormatError("holds no warrant key")
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
        from sopwith_certs import signing

        try:
            keys = signing.read_public_keys((self._folder / "warrant_keys.pem").read_bytes())
        except (OSError, FormatError):
            return False
        return any(signing.verify(key, signed, signature) for key in keys)

    def approver(self, envelope_json: str, certificate_pem: str) -> tuple[str, PlanApproval]:
        """Return who approved a plan and what they signed, by the authorities of this fleet alone."""
        from sopwith_certs.plan_approvals import verify_evidence

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
        from sopwith_certs import signing

        return signing.sign(signing.read_private_key(self._receipt_key()), data)

    def receipt_key_pem(self) -> bytes:
        """Return the public half of the receipt key, PEM."""
        private = self._receipt_key()
        try:
            return recall(self._folder, "receipt_key", (private,), lambda: _public_half(private))["pem"].encode()
        except FormatError as error:
            raise SettingsError(f"The receipt key cannot be read: {error}.", remedy=_REMEDY) from error

    def _receipt_key(self) -> bytes:
        try:
            return (self._folder / "receipt_key.pem").read_bytes()
        except OSError as error:
            raise SettingsError(f"The receipt key cannot be read: {error}.", remedy=_REMEDY) from error


def _dates_in(folder: Path, pair: Pair) -> Facts:
    from sopwith_certs.renewal import check, renewal_time

    check(pair, str(folder))
    certificate = pair.certificate
    dates = {
        "from": certificate.not_valid_before_utc,
        "until": certificate.not_valid_after_utc,
        "renewal": renewal_time(certificate),
    }
    return {name: date.isoformat() for name, date in dates.items()}


def _computer_in(pair: Pair, trust_domain: str) -> Facts:
    from sopwith_certs.identity import Kind, identity_of_certificate

    identity = identity_of_certificate(pair.certificate, trust_domain)
    return {"id": identity.id if identity.kind is Kind.COMPUTER else ""}


def _public_half(private_key_pem: bytes) -> Facts:
    from sopwith_certs import signing

    return {"pem": signing.public_key_pem(signing.read_private_key(private_key_pem).public_key()).decode()}
