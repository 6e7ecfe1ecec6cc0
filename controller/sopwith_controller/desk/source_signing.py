"""Signing the source on the machine of the person who holds its keys: the first set, a release in or out, new keys.

This module decides what the offline keys say; it works on sets that were verified (`sopwith_certs.source_set`) and
touches no network and no disk. Every function returns served files by name: what is new, and nothing else.

Rules: root 3 years, targets and bins 1 year; two root keys, either sufficient; bins are signed by the release manager's
key, so that nobody who holds the controller can list a file; only bins that change get a new version, but every bin
that nears its end is signed anew with them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Delegations, Metadata, Root, SuccinctRoles, TargetFile, Targets

from sopwith_certs.source_set import BIN_BITS, BIN_PREFIX, TARGETS, SourceSet, bin_of
from sopwith_controller.desk.errors import DeskError

ROOT_LIFE = timedelta(days=3 * 365)
TARGETS_LIFE = timedelta(days=365)
RENEW_BELOW = timedelta(days=90)

Files = dict[str, bytes]


@dataclass(frozen=True)
class NewSource:
    """A source before anybody knows of it."""

    root_json: bytes
    files: Files


def new_source(roots: Collection[CryptoSigner], targets: CryptoSigner, online: Key, now: datetime) -> NewSource:
    """Return the first root, signed by every root key, with empty bins."""
    root = Root(version=1, expires=_end(now, ROOT_LIFE), consistent_snapshot=True)
    for signer in roots:
        root.add_key(signer.public_key, Root.type)
    root.add_key(targets.public_key, TARGETS)
    root.add_key(online, "snapshot")
    root.add_key(online, "timestamp")
    root_json = _sign(root, *roots)
    top = _targets_role(targets.public_key, 1, now)
    files = {"1.root.json": root_json, "1.targets.json": _sign(top, targets)}
    for name in _delegation(top).get_roles():
        files[f"1.{name}.json"] = _sign(Targets(version=1, expires=_end(now, TARGETS_LIFE)), targets)
    return NewSource(root_json, files)


def with_targets(
    current: SourceSet, add: Mapping[str, TargetFile], remove: Collection[str], signer: CryptoSigner, now: datetime
) -> Files:
    """Return the bins that change when targets come and go; a listed name never gets other content."""
    _check_signer(current, signer)
    changed = {name: _copy(role) for name, role in current.roles.items() if role.expires - now < RENEW_BELOW}
    for target, info in add.items():
        listed = current.find(target)
        if listed is None:
            _role_of(target, current, changed).targets[target] = info
        elif (listed.length, listed.hashes) != (info.length, info.hashes):
            raise DeskError(
                f"{target} is published already with other content", remedy="give the changed release a new version"
            )
    for target in remove:
        if current.find(target) is not None:
            del _role_of(target, current, changed).targets[target]
    files: Files = {}
    for name, role in changed.items():
        files.update(_next(name, role, signer, now))
    return files


def _role_of(target: str, current: SourceSet, changed: dict[str, Targets]) -> Targets:
    name = bin_of(current.targets, target)
    return changed.setdefault(name, _copy(current.roles[name]))


def renewed(current: SourceSet, signer: CryptoSigner, now: datetime) -> Files:
    """Return the targets role and every bin, signed for another year."""
    _check_signer(current, signer)
    files: Files = {}
    for name, role in current.roles.items():
        files.update(_next(name, _copy(role), signer, now))
    return files


def renewed_root(current: SourceSet, root: CryptoSigner, now: datetime) -> Files:
    """Return the next root with the same keys, signed for another three years."""
    following = _next_root(current, root, now)
    return {f"{following.version}.root.json": _sign(following, root)}


@dataclass(frozen=True)
class NewKeys:
    """Which keys take the place of others; None leaves a role as it is."""

    targets: CryptoSigner
    root: CryptoSigner | None = None
    """Takes the place of every root key but the one that signs."""


def with_new_keys(current: SourceSet, root: CryptoSigner, new: NewKeys, now: datetime) -> Files:
    """Return the next root, signed by `root`, and the targets role and all bins signed by the new release key."""
    following = _next_root(current, root, now)
    for keyid in list(following.roles[TARGETS].keyids):
        following.revoke_key(keyid, TARGETS)
    following.add_key(new.targets.public_key, TARGETS)
    if new.root is not None:
        for keyid in list(following.roles[Root.type].keyids):
            if keyid != root.public_key.keyid:
                following.revoke_key(keyid, Root.type)
        following.add_key(new.root.public_key, Root.type)
    files = {f"{following.version}.root.json": _sign(following, root)}
    top = _targets_role(new.targets.public_key, current.targets.version + 1, now)
    files[f"{top.version}.targets.json"] = _sign(top, new.targets)
    for name, role in current.bins.items():
        files.update(_next(name, _copy(role), new.targets, now))
    return files


def _next_root(current: SourceSet, signer: CryptoSigner, now: datetime) -> Root:
    following = Root.from_dict(current.root.to_dict())
    if signer.public_key.keyid not in following.roles[Root.type].keyids:
        raise DeskError("this root key is not one of the source's", remedy="name the folder with the right root key")
    following.version += 1
    following.expires = _end(now, ROOT_LIFE)
    return following


def _next(name: str, role: Targets, signer: CryptoSigner, now: datetime) -> Files:
    role.version += 1
    role.expires = _end(now, TARGETS_LIFE)
    return {f"{role.version}.{name}.json": _sign(role, signer)}


def _check_signer(current: SourceSet, signer: CryptoSigner) -> None:
    if signer.public_key.keyid not in current.root.roles[TARGETS].keyids:
        raise DeskError(
            "this release key is not the source's any more",
            remedy="use the keys that `sopwith source keys` or `source recover` wrote last",
        )


def _targets_role(key: Key, version: int, now: datetime) -> Targets:
    succinct = SuccinctRoles([], 1, BIN_BITS, BIN_PREFIX)
    top = Targets(version=version, expires=_end(now, TARGETS_LIFE), delegations=Delegations({}, None, succinct))
    top.add_key(key)
    return top


def _delegation(targets: Targets) -> SuccinctRoles:
    if targets.delegations is None or targets.delegations.succinct_roles is None:
        raise DeskError("the targets role does not delegate to bins")
    return targets.delegations.succinct_roles


def _copy(role: Targets) -> Targets:
    return Targets.from_dict(role.to_dict())


def _sign(signed: Root | Targets, *signers: CryptoSigner) -> bytes:
    metadata: Metadata[Any] = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def _end(now: datetime, life: timedelta) -> datetime:
    return now.astimezone(UTC).replace(microsecond=0) + life
