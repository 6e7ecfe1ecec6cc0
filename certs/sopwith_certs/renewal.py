"""When a certificate is renewed, and how a key and its certificate change together on disk.

This module decides the moment (two thirds of the certificate's life) and the swap. Where a new certificate comes from
is the caller's: RenewCertificate over gRPC while the old one lives, `simplereenroll` only after.

Rules: a pair folder holds `key.pem` and `certificate.pem`, and these two always belong together, also to a reader in
the middle of a swap and after a power cut. Both are links through `pair`, itself a link to the folder of the newest
generation; a swap writes a whole new generation and then turns that one link. Older generations are removed, except the
one before, which a slow reader may still hold. One swap at a time: writers hold a lock on the folder.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509

from sopwith_certs.pair import CERTIFICATE_FILE, KEY_FILE, POINTER, Pair, generation, read_unchecked
from sopwith_certs.signing import PrivateKey, load_private_key, private_key_pem
from sopwith_formats.durable import durable_symlink, durable_write, flush_folder, make_private_folder
from sopwith_formats.errors import FormatError

_GENERATION = "pair-"
_REMEDY = "enrol again, or restore the folder from a backup"


def renewal_time(certificate: x509.Certificate) -> datetime:
    """Return when two thirds of the certificate's life are over."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) * 2 / 3


def renewal_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Tell whether the certificate should be renewed now; an expired one too."""
    return now >= renewal_time(certificate)


def expired(certificate: x509.Certificate, now: datetime) -> bool:
    """Tell whether the certificate has run out."""
    return now > certificate.not_valid_after_utc


def read_pair(folder: Path) -> Pair:
    """Return the pair; raise FormatError when key and certificate do not belong together, OSError when absent."""
    pair = read_unchecked(folder)
    check(pair, str(folder))
    return pair


def write_pair(folder: Path, pair: Pair) -> None:
    """Make the pair the folder's pair, the first one or the next; raise FormatError for one that does not match."""
    check(pair)
    make_private_folder(folder)
    with locked(folder):
        fresh = folder / f"{_GENERATION}{secrets.token_hex(6)}"
        make_private_folder(fresh)
        durable_write(fresh / KEY_FILE, pair.key_pem, 0o600)
        durable_write(fresh / CERTIFICATE_FILE, pair.certificate_pem)
        before = (folder / POINTER).readlink().name if (folder / POINTER).is_symlink() else ""
        durable_symlink(fresh.name, folder / POINTER)
        for name in (KEY_FILE, CERTIFICATE_FILE):
            wanted = Path(POINTER) / name
            if not (folder / name).is_symlink() or (folder / name).readlink() != wanted:
                durable_symlink(wanted, folder / name)
        for old in folder.glob(f"{_GENERATION}*"):
            if old.name not in (fresh.name, before):
                shutil.rmtree(old)
        flush_folder(folder)


def replace_certificate(folder: Path, certificate_pem: bytes) -> None:
    """Make a certificate for the key that already lies in the folder its certificate, the first one or the next."""
    write_pair(folder, Pair(private_key_pem(load_key(folder)), certificate_pem))


def load_key(folder: Path) -> PrivateKey:
    """Return the private key of a pair folder, or one that waits for its first certificate."""
    return load_private_key(generation(folder) / KEY_FILE)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; other processes wait. The system drops it when the holder dies."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check(pair: Pair, where: str = "") -> None:
    """Raise FormatError, naming where the pair lies, unless both halves can be read and belong together."""
    try:
        fits = pair.certificate.public_key() == pair.key.public_key()
    except FormatError as error:
        raise FormatError(error.message, where=where, remedy=_REMEDY) from error
    if not fits:
        raise FormatError("the key and the certificate do not belong together", where=where, remedy=_REMEDY)
