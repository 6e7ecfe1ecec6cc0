"""The built-in authority as the controller's use cases ask for it: a request in, a record and a certificate out.

This module only translates; what a certificate says is decided by `sopwith_certs.authority`.
"""

from datetime import datetime

from sopwith_certs.authority import Issuer as Authority
from sopwith_certs.authority import Subject, certificate_pem
from sopwith_certs.est_messages import read_request
from sopwith_certs.identity import Kind, serial_of
from sopwith_certs.signing import fingerprint
from sopwith_controller.domain.entities import Certificate
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_formats.errors import FormatError


class BuiltInIssuer:
    """Fills the port `services.ports.Issuer` from an authority."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def issue(
        self, certificate_request: bytes, *, subject_kind: str, subject_id: str, now: datetime
    ) -> tuple[Certificate, bytes]:
        """Return the record and the PEM of a certificate for a PKCS#10 request (DER); raise InvalidInputError."""
        try:
            key = read_request(certificate_request)
            certificate = self._authority.issue(key, Subject(Kind(subject_kind), subject_id), now)
        except FormatError as error:
            raise InvalidInputError(error.message, remedy=error.remedy) from error
        record = Certificate(
            serial=serial_of(certificate),
            subject_kind=subject_kind,
            subject_id=subject_id,
            key_fingerprint=fingerprint(key),
            issued_time=now,
            expires_time=certificate.not_valid_after_utc,
        )
        return record, certificate_pem(certificate)
