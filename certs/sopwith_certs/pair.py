"""A private key and its certificate, as bytes in a folder, readable without the cryptography library.

Decides where a pair lies and that both halves are read from one generation; when and how a pair changes is `renewal`'s.
An agent at rest reads its pair with each dial and has no use for nine megabytes of a library then: what the bytes say
is asked by the properties, which load it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

    from sopwith_certs.signing import PrivateKey

KEY_FILE = "key.pem"
CERTIFICATE_FILE = "certificate.pem"
POINTER = "pair"


@dataclass(frozen=True, repr=False)
class Pair:
    """A private key and the certificate for it, PEM."""

    key_pem: bytes
    certificate_pem: bytes

    def __repr__(self) -> str:
        return f"Pair(serial={self.certificate.serial_number:x})"

    @property
    def key(self) -> "PrivateKey":
        """The private key."""
        from sopwith_certs.signing import read_private_key

        return read_private_key(self.key_pem)

    @property
    def certificate(self) -> "x509.Certificate":
        """The certificate."""
        from sopwith_certs.authority import read_certificate

        return read_certificate(self.certificate_pem)


def generation(folder: Path) -> Path:
    """Return the folder in which the newest key and certificate lie; it never changes once it is there."""
    pointer = folder / POINTER
    return folder / pointer.readlink() if pointer.is_symlink() else folder


def read_unchecked(folder: Path) -> Pair:
    """Return the newest pair without asking whether its halves belong together; raise OSError when it is not there."""
    # The pointer is followed once, so that both files come from one generation whatever happens meanwhile; a reader
    # that was slower than two swaps finds its generation gone and follows the pointer again.
    newest = generation(folder)
    try:
        return Pair((newest / KEY_FILE).read_bytes(), (newest / CERTIFICATE_FILE).read_bytes())
    except FileNotFoundError:
        if generation(folder) == newest:
            raise
    return read_unchecked(folder)
