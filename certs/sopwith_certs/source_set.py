"""What the offline keys of a source signed, as one set: the chain of roots, the targets role, its hash bins.

This module decides whether such a set holds: it is read by the release manager's machine before anything is signed on
top of it, and by the controller before it is served. Fetching, snapshot and timestamp are not its matter, and computers
do not rely on it: they verify by python-tuf's client.

Rules: trust begins at one pinned root and goes from version to version, each signed by the former's and its own keys;
the targets role lists no files itself, it delegates all names to hash bins of one key set; every bin is there, signed
and not expired; a file's name inside the set says its version, and no role names one key under two key ids.

Served names: `2.root.json`, `7.targets.json`, `3.bins-0a.json`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, SuccinctRoles, TargetFile, Targets

from sopwith_certs.errors import TrustError

BIN_PREFIX = "bins"
BIN_BITS = 6
TARGETS = "targets"
_SERVED = re.compile(r"([1-9]\d{0,9})\.(root|targets|bins-[0-9a-f]{1,4})\.json")


@dataclass(frozen=True)
class SourceSet:
    """A set that holds. `files` maps served names to exact bytes; `roles` maps targets and each bin to what it says."""

    files: dict[str, bytes]
    root: Root
    roles: dict[str, Targets]

    @property
    def targets(self) -> Targets:
        """Return the top-level targets role."""
        return self.roles[TARGETS]

    @property
    def bins(self) -> dict[str, Targets]:
        """Return the bins by role name."""
        return {name: role for name, role in self.roles.items() if name != TARGETS}

    def listed(self) -> dict[str, TargetFile]:
        """Return every listed target by name."""
        return {name: target for role in self.bins.values() for name, target in role.targets.items()}

    def find(self, name: str) -> TargetFile | None:
        """Return what is signed about a target, None when nothing is."""
        return self.roles[bin_of(self.targets, name)].targets.get(name)

    def name_of(self, role: str) -> str:
        """Return the served name of the targets role or a bin."""
        return f"{self.roles[role].version}.{role}.json"


def read_source_set(files: Mapping[str, bytes], pinned_root: bytes, now: datetime | None) -> SourceSet:
    """Return the newest set in the files; raise TrustError when anything in it does not hold.

    Of each role the highest version counts; files of other names are left out. Without a time, expiry is not judged:
    so is a set read that is to be signed anew.
    """
    newest: dict[str, int] = {}
    for name in files:
        match = _SERVED.fullmatch(name)
        if match and match[2] != "root":
            newest[match[2]] = max(newest.get(match[2], 0), int(match[1]))
    root, kept = _walk_roots(files, pinned_root, now)

    def role(delegator: Root | Targets, name: str) -> Targets:
        served = f"{newest.get(name, 0)}.{name}.json"
        if served not in files:
            raise TrustError(f"{name}.json is missing")
        kept[served] = files[served]
        return _role(files[served], served, delegator, name, now)

    roles = {TARGETS: role(root, TARGETS)}
    delegation = _bins_of(roles[TARGETS])
    for name in delegation.get_roles():
        roles[name] = role(roles[TARGETS], name)
        stray = [target for target in roles[name].targets if delegation.get_role_for_target(target) != name]
        if stray or roles[name].delegations is not None:
            raise TrustError(f"{name} lists what belongs elsewhere")
    return SourceSet(kept, root, roles)


def read_root(data: bytes) -> Root:
    """Return a root that its own keys signed; raise TrustError for anything else."""
    metadata = _parse(data, Root, "the root")
    root: Root = metadata.signed
    _verify(root, Root.type, metadata, "the root")
    return root


def bin_of(targets: Targets, name: str) -> str:
    """Return the name of the bin that a target belongs to."""
    return _bins_of(targets).get_role_for_target(name)


def is_served_name(name: str) -> bool:
    """Tell whether a file of this name may be part of a set."""
    return _SERVED.fullmatch(name) is not None


def _walk_roots(files: Mapping[str, bytes], pinned_root: bytes, now: datetime | None) -> tuple[Root, dict[str, bytes]]:
    root = read_root(pinned_root)
    kept = {f"{root.version}.root.json": pinned_root}
    if files.get(f"{root.version}.root.json", pinned_root) != pinned_root:
        raise TrustError("the source begins with another root than the pinned one")
    while data := files.get(f"{root.version + 1}.root.json"):
        what = f"root {root.version + 1}"
        metadata = _parse(data, Root, what)
        _verify(root, Root.type, metadata, what)
        _verify(metadata.signed, Root.type, metadata, what)
        if metadata.signed.version != root.version + 1:
            raise TrustError(f"{what} says that it is version {metadata.signed.version}")
        root = metadata.signed
        kept[f"{root.version}.root.json"] = data
    _in_time(root, f"root {root.version}", now)
    if not root.consistent_snapshot:
        raise TrustError(f"root {root.version} does not ask for consistent snapshots")
    return root, kept


def _role(data: bytes, served: str, delegator: Root | Targets, role: str, now: datetime | None) -> Targets:
    metadata = _parse(data, Targets, served)
    _verify(delegator, role, metadata, served)
    signed: Targets = metadata.signed
    if f"{signed.version}.{role}.json" != served:
        raise TrustError(f"{served} says that it is version {signed.version}")
    _in_time(signed, served, now)
    return signed


def _in_time(signed: Root | Targets, what: str, now: datetime | None) -> None:
    if now is not None and signed.is_expired(now):
        raise TrustError(f"{what} expired on {signed.expires:%Y-%m-%d}", remedy="sopwith source sign --keys DIR")


def _bins_of(targets: Targets) -> SuccinctRoles:
    delegations = targets.delegations
    if targets.targets or delegations is None or delegations.succinct_roles is None:
        raise TrustError("the targets role does not delegate to hash bins")
    if delegations.succinct_roles.name_prefix != BIN_PREFIX or delegations.succinct_roles.bit_length > 2 * BIN_BITS:
        raise TrustError("the targets role delegates to bins of another kind")
    return delegations.succinct_roles


def _parse(data: bytes, kind: type[Root | Targets], what: str) -> Metadata[Any]:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except (RepositoryError, ValueError) as error:
        raise TrustError(f"{what} is no metadata") from error
    if not isinstance(metadata.signed, kind):
        raise TrustError(f"{what} is metadata of another kind")
    return metadata


def _verify(delegator: Root | Targets, role: str, metadata: Metadata[Any], what: str) -> None:
    try:
        result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise TrustError(f"{what} does not hold: {error}") from error
    # A threshold counts keys, not key ids: one key under two ids counts once.
    distinct = {str(key.keyval.get("public")).strip().lower() for key in result.signed.values()}
    if len(distinct) < result.threshold:
        raise TrustError(f"{what} is signed by {len(distinct)} of the {result.threshold} keys needed")
