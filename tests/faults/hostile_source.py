"""A small update source over real TUF metadata, and an HTTP server that serves it honestly or in any hostile way."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from tests.faults.answers import Behaviour, serve_honestly

TOP_LEVEL = ("root", "timestamp", "snapshot", "targets")


class SourceRepository:
    """Keys and metadata of a source; `publish` signs all that is and lays it out as served."""

    def __init__(self) -> None:
        self.signers = {role: [CryptoSigner.generate_ed25519()] for role in TOP_LEVEL}
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
        self.root = Root(expires=expires, consistent_snapshot=True)
        for role in TOP_LEVEL:
            self.root.add_key(self.signers[role][0].public_key, role)
        self.timestamp = _unpublished(Timestamp(expires=expires))
        self.snapshot = _unpublished(Snapshot(expires=expires))
        self.targets = _unpublished(Targets(expires=expires))
        self.delegated: dict[str, Targets] = {}
        self.files: dict[str, bytes] = {}
        self.publish_root()
        self.publish()

    def sign(self, signed: Any, signers: list[CryptoSigner]) -> bytes:
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def publish_root(self) -> bytes:
        data = self.sign(self.root, self.signers["root"])
        self.files[f"/metadata/{self.root.version}.root.json"] = data
        return data

    def rotate(self, role: str, *, count: int = 1) -> None:
        """Publish a new root in which the role has a new key."""
        for _ in range(count):
            former = self.signers[role]
            for signer in former:
                self.root.revoke_key(signer.public_key.keyid, role)
            self.signers[role] = [CryptoSigner.generate_ed25519()]
            self.root.add_key(self.signers[role][0].public_key, role)
            self.root.version += 1
            signers = [*former, *self.signers["root"]] if role == "root" else self.signers["root"]
            self.files[f"/metadata/{self.root.version}.root.json"] = self.sign(self.root, signers)

    def add_target(
        self, name: str, content: bytes, *, role: str = "targets", hashes: dict[str, str] | None = None
    ) -> None:
        digest = sha256(content).hexdigest()
        owner = self.targets if role == "targets" else self.delegated[role]
        owner.targets[name] = TargetFile(len(content), hashes or {"sha256": digest}, name)
        self.files[self.address(name, digest)] = content

    @staticmethod
    def address(name: str, digest: str) -> str:
        folder, slash, base = name.rpartition("/")
        return f"/targets/{folder}{slash}{digest}.{base}"

    def address_of(self, name: str) -> str:
        return self.address(name, next(iter(self.targets.targets[name].hashes.values())))

    def publish(self) -> None:
        """Sign and lay out targets, delegated roles, snapshot and timestamp, one version up."""
        self.targets.version += 1
        self.put("targets", self.targets)
        self.snapshot.meta["targets.json"] = MetaFile(self.targets.version)
        for name, role in self.delegated.items():
            role.version += 1
            self.put(name, role)
            self.snapshot.meta[f"{name}.json"] = MetaFile(role.version)
        self.publish_snapshot()

    def publish_snapshot(self) -> None:
        self.snapshot.version += 1
        self.put("snapshot", self.snapshot)
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        self.publish_timestamp()

    def publish_timestamp(self) -> None:
        self.timestamp.version += 1
        self.files["/metadata/timestamp.json"] = self.sign(self.timestamp, self.signers["timestamp"])

    def put(self, role: str, signed: Any) -> None:
        self.files[f"/metadata/{signed.version}.{role}.json"] = self.sign(signed, self.signers[role])

    def delegate(self, parent: str, name: str, paths: list[str], signer: CryptoSigner) -> None:
        owner = self.targets if parent == "targets" else self.delegated[parent]
        if owner.delegations is None:
            owner.delegations = Delegations({}, {})
        assert owner.delegations.roles is not None
        owner.delegations.roles[name] = DelegatedRole(name, [], 1, False, paths)
        owner.add_key(signer.public_key, name)
        self.signers.setdefault(name, [signer])
        self.delegated.setdefault(name, _unpublished(Targets(expires=self.targets.expires)))


def _unpublished(signed: Any) -> Any:
    signed.version = 0
    return signed


@dataclass
class HostileServer:
    """Serves a repository's files; `behave` overrides what one path answers."""

    repository: SourceRepository
    base: str = ""
    behave: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def metadata_url(self) -> str:
        return f"{self.base}/metadata/"

    @property
    def files_url(self) -> str:
        return f"{self.base}/targets/"

    def asked(self, path: str) -> list[dict[str, str]]:
        """Return the headers of each GET of a path."""
        return [headers for asked, headers in self.requests if asked == path]


@contextlib.contextmanager
def serving(repository: SourceRepository, tls: ssl.SSLContext | None = None) -> Iterator[HostileServer]:
    server = HostileServer(repository)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_GET(self) -> None:
            server.requests.append((self.path, dict(self.headers)))
            with contextlib.suppress(ConnectionError):
                if self.path in server.behave:
                    server.behave[self.path](self)
                else:
                    serve_honestly(self, repository.files.get(self.path))

        def do_HEAD(self) -> None:
            raise AssertionError("a source is never asked by HEAD")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
            """Tests read `requests`."""

    class Listener(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that break off are what is tested."""

    listener = Listener(("127.0.0.1", 0), Handler)
    listener.daemon_threads = False
    if tls is not None:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    server.base = f"http{'s' if tls else ''}://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
