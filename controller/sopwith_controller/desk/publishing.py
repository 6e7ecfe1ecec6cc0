"""Publishing a release from the release manager's machine, and taking one back.

This module decides the order: lint, hash, verify what is in force, sign, upload, commit. The signing key never leaves
this machine, and the controller cannot add a file to what is signed. Rules: files are uploaded before the metadata that
lists them is handed over; a file that lies there already is not sent again; publishing the same folder twice is no
error, other content under a published name is refused.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from tuf.api.metadata import TargetFile

from sopwith.v1 import release_pb2
from sopwith.v1 import release_service_pb2 as pb
from sopwith_controller.desk.connection import Connection
from sopwith_controller.desk.source_keeping import commit, current_set
from sopwith_controller.desk.source_keys import KeysFolder, Passphrase
from sopwith_controller.desk.source_signing import with_targets
from sopwith_formats.manifest import manifest_target, split_release
from sopwith_formats.release_document import ReleaseFolder, read_release_folder

PIECE_BYTES = 256 * 2**10
UPLOAD_PATIENCE_SECONDS = 60.0
UPLOAD_RATE_MIN_BYTES_PER_SECOND = 100_000

Progress = Callable[[str, int, int], None]
"""Called with the file's name, bytes sent and bytes in all."""


@dataclass(frozen=True)
class Upload:
    """One file to be sent."""

    name: str
    target: str
    length: int
    sha256: str
    open: Callable[[], BinaryIO]


def publish(
    connection: Connection, folder: Path, keys: KeysFolder, passphrase: Passphrase, progress: Progress
) -> release_pb2.Release:
    """Publish the release of a folder; return it as the controller keeps it."""
    release = read_release_folder(folder)
    uploads = _uploads(release)
    current = current_set(connection, keys)
    signer = keys.targets_signer(passphrase)
    installers = {artifact.file: artifact.installer for artifact in release.manifest.artifacts}
    add = {upload.target: _target(upload, installers.get(upload.name, "")) for upload in uploads}
    files = with_targets(current, add, (), signer, datetime.now(UTC))
    for upload in uploads:
        _send(connection, upload, progress)
    return commit(connection, keys, files, publishes=release.manifest.release).release


def sign_withdrawal(connection: Connection, release: str, keys: KeysFolder, passphrase: Passphrase) -> None:
    """Take every file of a release out of the signed targets."""
    name, version = split_release(release)
    current = current_set(connection, keys)
    prefix = manifest_target(name, version).removesuffix("release.json")
    gone = [target for target in current.listed() if target.startswith(prefix)]
    files = with_targets(current, {}, gone, keys.targets_signer(passphrase), datetime.now(UTC))
    commit(connection, keys, files, withdraws=release)


def _uploads(release: ReleaseFolder) -> list[Upload]:
    manifest, data = release.manifest, release.manifest.to_json()
    uploads = [
        Upload(artifact.file, manifest.target(artifact.file), artifact.length, artifact.sha256, _opener(path))
        for artifact in manifest.artifacts
        for path in (release.files[artifact.file],)
    ]
    digest = hashlib.sha256(data).hexdigest()
    target = manifest_target(manifest.name, manifest.version)
    return [*uploads, Upload("release.json", target, len(data), digest, _opener_of_bytes(data))]


def _target(upload: Upload, installer: str) -> TargetFile:
    custom = {"custom": {"installer": installer}} if installer else None
    return TargetFile(upload.length, {"sha256": upload.sha256}, upload.target, custom)


def _send(connection: Connection, upload: Upload, progress: Progress) -> None:
    patience = UPLOAD_PATIENCE_SECONDS + upload.length / UPLOAD_RATE_MIN_BYTES_PER_SECOND
    connection.call(connection.releases.UploadTarget, _pieces(upload, progress), timeout_seconds=patience)
    progress(upload.name, upload.length, upload.length)


def _pieces(upload: Upload, progress: Progress) -> Iterator[pb.UploadTargetRequest]:
    header = pb.UploadTargetHeader(target=upload.target, length=upload.length, sha256=upload.sha256)
    yield pb.UploadTargetRequest(header=header)
    sent = 0
    with upload.open() as file:
        while piece := file.read(PIECE_BYTES):
            yield pb.UploadTargetRequest(piece=piece)
            sent += len(piece)
            progress(upload.name, sent, upload.length)


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _opener_of_bytes(data: bytes) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(data)
