"""gRPC credentials: who may open a connection at all.

This module decides that both sides of the fleet port show a certificate of the fleet's authority, and that a renewed
server certificate is taken up without a restart. Who the caller is, and what it may do, comes after the handshake:
`identity`, and the controller's tables.

Rules: no connection without a client certificate; TLS 1.2 at least, which is gRPC's own floor; a server asks the files
again at each handshake and hands gRPC a new configuration only when they changed, because a new one every time brings
the whole process down under load; files that cannot be read or do not match leave the last good ones in force. A client
takes a new channel for a new certificate.
"""

from collections.abc import Callable
from pathlib import Path

import grpc
import structlog

from sopwith_certs.pair import Pair
from sopwith_formats.errors import FormatError

_log = structlog.get_logger()


def server_credentials(pair_folder: Path, bundle: Path) -> grpc.ServerCredentials:
    """Return credentials that demand client certificates and follow the files.

    `pair_folder` holds the controller's pair as `renewal.write_pair` lays it, `bundle` the trusted authorities in PEM.
    Raises FormatError or OSError when the files are no good at the start.
    """
    files = _ServerFiles(pair_folder, bundle)
    return grpc.dynamic_ssl_server_credentials(
        files.load(),
        _fetcher(files),  # type: ignore[arg-type]  # the stubs forget None, which gRPC takes for "unchanged"
        require_client_authentication=True,
    )


def channel_credentials(pair: Pair, trust_bundle_pem: bytes) -> grpc.ChannelCredentials:
    """Return the credentials with which a computer or a person dials the controller."""
    return grpc.ssl_channel_credentials(trust_bundle_pem, pair.key_pem, pair.certificate_pem)


class _ServerFiles:
    """The server's files, and whether they changed since they were last read well."""

    def __init__(self, pair_folder: Path, bundle: Path) -> None:
        self._pair_folder = pair_folder
        self._bundle = bundle
        self._seen: tuple[object, ...] = ()

    def load(self) -> grpc.ServerCertificateConfiguration:
        from sopwith_certs.renewal import read_pair

        seen = self._state()
        pair, bundle = read_pair(self._pair_folder), self._bundle.read_bytes()
        self._seen = seen
        return grpc.ssl_server_certificate_configuration([(pair.key_pem, pair.certificate_pem)], bundle)

    def changed(self) -> bool:
        return self._state() != self._seen

    def skip(self) -> None:
        """Do not try these files again until they change once more."""
        self._seen = self._state()

    def _state(self) -> tuple[object, ...]:
        paths = (self._pair_folder / "key.pem", self._pair_folder / "certificate.pem", self._bundle)
        states = (path.stat() for path in paths)
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)


def _fetcher(files: _ServerFiles) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    def fetch() -> grpc.ServerCertificateConfiguration | None:
        try:
            if not files.changed():
                return None
            configuration = files.load()
        except (OSError, FormatError) as error:
            _log.error("server_certificate_refused", error=str(error))
            try:
                files.skip()
            except OSError:
                return None
            return None
        _log.info("server_certificate_changed")
        return configuration

    return fetch
