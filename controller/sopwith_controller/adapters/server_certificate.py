"""The controller's own certificate: made at the start, made again in time, served by both ports.

This module decides when the controller issues itself a certificate: when there is none, when two thirds of its life are
over, when its names or its authority changed. Both servers follow the folder by themselves, so nothing restarts.
"""

from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from sopwith_certs.authority import Issuer, Subject, certificate_pem, read_certificate
from sopwith_certs.pair import Pair
from sopwith_certs.renewal import read_pair, renewal_due, write_pair
from sopwith_certs.signing import new_key, private_key_pem
from sopwith_controller.services.ports import Clock
from sopwith_formats.errors import FormatError

_log = structlog.get_logger()


class ServerCertificate:
    """The pair folder from which both ports serve."""

    def __init__(self, authority: Issuer, folder: Path, subject: Subject, clock: Clock) -> None:
        self._authority = authority
        self._folder = folder
        self._subject = subject
        self._clock = clock

    def keep(self) -> bool:
        """Issue a new certificate for a new key when one is needed; tell whether it was. Blocking; call it daily."""
        reason = self._reason()
        if not reason:
            return False
        key = new_key()
        certificate = self._authority.issue(key.public_key(), self._subject, self._clock.now())
        write_pair(self._folder, Pair(private_key_pem(key), certificate_pem(certificate)))
        _log.info("server_certificate_issued", reason=reason, expires_time=certificate.not_valid_after_utc.isoformat())
        return True

    def _reason(self) -> str:
        try:
            certificate = read_pair(self._folder).certificate
        except (OSError, FormatError):
            return "absent"
        if renewal_due(certificate, self._clock.now()):
            return "due"
        if not self._is_ours(certificate):
            return "authority changed"
        return "" if _names(certificate) == _wanted(self._subject) else "names changed"

    def _is_ours(self, certificate: x509.Certificate) -> bool:
        authority = read_certificate(self._authority.trust_bundle_pem)
        try:
            certificate.verify_directly_issued_by(authority)
        except (InvalidSignature, TypeError, ValueError):
            return False
        return True


def _names(certificate: x509.Certificate) -> tuple[set[str], set[str]]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName)), {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}


def _wanted(subject: Subject) -> tuple[set[str], set[str]]:
    return set(subject.dns_names), set(subject.addresses)
