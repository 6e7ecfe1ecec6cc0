"""Designating a source and keeping it alive: init, new release keys, recovery, signing anew.

This module decides the order of steps between keys on this machine and the controller; what is signed is
`source_signing`'s, how keys lie on disk `source_keys`'. Rules: nothing that the controller gives is signed upon before
it was verified from the pinned root, and nothing older than what these keys have seen; keys are on disk before anything
depends on them, and taken back when the controller refuses; the online key leaves this machine and stays nowhere here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sopwith.v1 import release_service_pb2 as pb
from sopwith_certs.errors import TrustError
from sopwith_certs.source_set import SourceSet, read_source_set
from sopwith_controller.desk.connection import Connection
from sopwith_controller.desk.errors import DeskError
from sopwith_controller.desk.source_keys import (
    ROOT_KEY_FILE,
    TARGETS_KEY_FILE,
    KeysFolder,
    Passphrase,
    different_folders,
    key_pem,
    new_signer,
)
from sopwith_controller.desk.source_signing import (
    RENEW_BELOW,
    Files,
    NewKeys,
    new_source,
    renewed,
    renewed_root,
    with_new_keys,
)

COMMIT_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Designated:
    """A source that the controller took."""

    root_sha256: str
    keys: Path
    backup: Path


def init_source(connection: Connection, keys_path: Path, backup_path: Path, passphrase: bytes) -> Designated:
    """Make all keys of a new source, lay the second root key elsewhere, designate the source."""
    different_folders(keys_path, backup_path)
    keys, backup = KeysFolder(keys_path), KeysFolder(backup_path)
    keys.refuse_if_used()
    backup.refuse_if_used()
    if connection.call(connection.releases.GetSource, pb.GetSourceRequest()).designated:
        raise DeskError("this controller has a source already", remedy="sopwith source status")
    first_key, second_key, targets_key, online_key = (new_signer() for _ in range(4))
    source = new_source([first_key, second_key], targets_key, online_key.public_key, datetime.now(UTC))
    backup.write(source.root_json, {ROOT_KEY_FILE: second_key}, passphrase)
    keys.write(source.root_json, {ROOT_KEY_FILE: first_key, TARGETS_KEY_FILE: targets_key}, passphrase)
    request = pb.DesignateSourceRequest(
        root_json=source.root_json, metadata=_messages(source.files), online_key_pem=key_pem(online_key)
    )
    try:
        reply = connection.call(connection.releases.DesignateSource, request, timeout_seconds=COMMIT_TIMEOUT_SECONDS)
    except DeskError:
        if not _is_designated(connection, source.root_json):
            keys.remove()
            backup.remove()
        raise
    connection.context.pin_source_root(source.root_json)
    return Designated(reply.root_sha256, keys_path, backup_path)


def current_set(connection: Connection, keys: KeysFolder) -> SourceSet:
    """Return what is in force after verifying it from the root beside the keys, and pin that root."""
    pinned = keys.first_root()
    known = connection.context.source_root_bytes()
    if known and known != pinned:
        raise DeskError(
            f"{keys.path} holds keys of another source than {connection.context.path} pins",
            remedy="use the keys of this controller's source",
        )
    reply = connection.call(connection.releases.GetSource, pb.GetSourceRequest())
    if not reply.designated:
        raise DeskError("no source is designated", remedy="the owner runs `sopwith source init`")
    try:
        current = read_source_set({file.name: file.content for file in reply.metadata}, pinned, None)
    except TrustError as error:
        raise DeskError(
            f"what the controller serves is not what these keys signed: {error.message}",
            remedy="sign nothing; let the owner restore DIR/source on the controller from a backup",
        ) from error
    for role, version in keys.seen_versions().items():
        if _versions(current).get(role, version) < version:
            raise DeskError(
                f"the controller offers {role} version {_versions(current)[role]}, but {version} was signed before",
                remedy="let the owner compare the controller with a backup before anything is signed",
            )
    connection.context.pin_source_root(pinned)
    return current


def commit(
    connection: Connection, keys: KeysFolder, files: Files, *, publishes: str = "", withdraws: str = ""
) -> pb.CommitSourceResponse:
    """Hand signed files over, and remember that they were signed."""
    request = pb.CommitSourceRequest(metadata=_messages(files), publishes=publishes, withdraws=withdraws)
    reply = connection.call(connection.releases.CommitSource, request, timeout_seconds=COMMIT_TIMEOUT_SECONDS)
    seen = keys.seen_versions()
    for name in files:
        version, role, _ = name.split(".", 2)
        seen[role] = max(seen.get(role, 0), int(version))
    keys.note_versions(seen)
    return reply


def sign_anew(connection: Connection, keys: KeysFolder, passphrase: Passphrase) -> int:
    """Sign targets and bins for another year, and the root where its end is near and its key lies here; count files."""
    now = datetime.now(UTC)
    current = current_set(connection, keys)
    files = renewed(current, keys.targets_signer(passphrase), now)
    if current.root.expires - now < RENEW_BELOW and (keys.path / ROOT_KEY_FILE).exists():
        files.update(renewed_root(current, keys.root_signer(passphrase), now))
    commit(connection, keys, files)
    return len(files)


def replace_release_key(
    connection: Connection, keys: KeysFolder, out: KeysFolder, passphrase: Passphrase, new_passphrase: bytes
) -> None:
    """Make a new release key in another folder, for the release manager; the old one counts for nothing any more."""
    out.refuse_if_used()
    current = current_set(connection, keys)
    root_key, targets_key = keys.root_signer(passphrase), new_signer()
    files = with_new_keys(current, root_key, NewKeys(targets_key), datetime.now(UTC))
    out.write(keys.first_root(), {TARGETS_KEY_FILE: targets_key}, new_passphrase)
    _commit_or_take_back(connection, out, files)


def recover(
    connection: Connection, backup: KeysFolder, keys: KeysFolder, passphrase: Passphrase, new_passphrase: bytes
) -> None:
    """Replace lost or stolen keys with the backup root key: new root key and new release key in a new folder."""
    different_folders(keys.path, backup.path)
    keys.refuse_if_used()
    current = current_set(connection, backup)
    backup_key, root_key, targets_key = backup.root_signer(passphrase), new_signer(), new_signer()
    files = with_new_keys(current, backup_key, NewKeys(targets_key, root_key), datetime.now(UTC))
    keys.write(backup.first_root(), {ROOT_KEY_FILE: root_key, TARGETS_KEY_FILE: targets_key}, new_passphrase)
    _commit_or_take_back(connection, keys, files)


def _commit_or_take_back(connection: Connection, keys: KeysFolder, files: Files) -> None:
    try:
        commit(connection, keys, files)
    except DeskError:
        reply = connection.call(connection.releases.GetSource, pb.GetSourceRequest())
        if not {file.name for file in reply.metadata} >= files.keys():
            keys.remove()
        raise


def _is_designated(connection: Connection, root_json: bytes) -> bool:
    try:
        reply = connection.call(connection.releases.GetSource, pb.GetSourceRequest())
    except DeskError:
        return True  # not known: keys that may be in use are never thrown away
    return any(file.content == root_json for file in reply.metadata)


def _messages(files: Files) -> list[pb.MetadataFile]:
    return [pb.MetadataFile(name=name, content=content) for name, content in sorted(files.items())]


def _versions(current: SourceSet) -> dict[str, int]:
    return {"root": current.root.version, **{name: role.version for name, role in current.roles.items()}}
