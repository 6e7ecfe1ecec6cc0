"""Releases and the source they come from: designated, uploaded, committed, withdrawn, permitted again.

This module decides who did what and what is recorded; whether metadata holds is the `SourceStore`'s, what a release may
contain was linted and signed on the release manager's machine.

Rules: a release exists from the moment its signed `release.json` is in force; its content never changes; withdrawing
stops warrants at once, and its signature into the source may follow; a release that rolled back somewhere is offered
there again only after a second person said so, never by who published it; the same request id has no further effect.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from sopwith_controller.domain.entities import LogDraft, Release, ReleaseState
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, NotFoundError, Refusal, RefusedError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.access import Caller, require_role
from sopwith_controller.services.ports import AgentGateway, Clock, Database, SourceStore, SourceView, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Manifest, manifest_target, read_manifest, split_release


@dataclass(frozen=True)
class Committed:
    """What a commit led to."""

    view: SourceView
    release: Release | None


class Releases:
    """Use cases of releases and of the source. `changed()` wakes every running rollout."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        source: SourceStore,
        gateway: AgentGateway,
        *,
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._source = source
        self._gateway = gateway
        self._changed = changed

    async def source(self) -> SourceView | None:
        """Return what is served, None before designation."""
        return await self._source.view()

    async def designate(
        self, caller: Caller, root_json: bytes, metadata: dict[str, bytes], online_key_pem: bytes
    ) -> SourceView:
        """Take a new source, once, and tell every connected computer."""
        designated_before = await self._source.view() is not None
        view = await self._source.designate(root_json, metadata, online_key_pem)
        if not designated_before:
            await self._record(
                LogKind.SOURCE_DESIGNATED,
                f"{caller.name} designated the source with the root sha256:{view.root_sha256}",
                caller,
                {"root_sha256": view.root_sha256},
            )
            await self._gateway.designate_source()
        return view

    async def upload(self, target: str, length: int, sha256: str, pieces: AsyncIterator[bytes]) -> bool:
        """Store a file; return False when it lay there already."""
        return await self._source.store_target(target, length, sha256, pieces)

    async def commit(self, caller: Caller, metadata: dict[str, bytes], *, publishes: str, withdraws: str) -> Committed:
        """Put signed metadata into force; record the release that it publishes or withdraws."""
        if publishes or withdraws:
            require_role(caller, "release_manager", act="publish and withdraw releases")
        if publishes and withdraws:
            raise InvalidInputError("one commit publishes or withdraws, not both")
        named = split_release(publishes or withdraws) if publishes or withdraws else None
        if await self._was_done(caller, publishes or withdraws):
            return await self._done_before(named)
        before = await self._source.view()
        if named and publishes:
            await self._refuse_republishing(*named, metadata)
        view = await self._source.commit(metadata)
        manifest = await self._signed_manifest(*named) if named and publishes else None
        async with self._database.write() as unit:
            release = None
            if before is None or before.metadata != view.metadata:
                await unit.update_log.append(self._committed(caller, view))
            if manifest is not None:
                release = await self._publish(unit, caller, manifest)
            elif named is not None:
                release = await self._sign_withdrawal(unit, caller, *named)
            await remember(unit, caller, LogKind.SOURCE_COMMITTED, publishes or withdraws, self._clock.now())
            await unit.commit()
        self._changed()
        return Committed(view, release)

    async def withdraw(self, caller: Caller, name_version: str, reason: str) -> Release:
        """Stop warrants for a release from now on; twice is no error."""
        if not reason.strip():
            raise InvalidInputError("a reason is needed, because it is recorded", remedy='add --reason "TEXT"')
        async with self._database.write() as unit:
            before = await _find(unit, name_version)
            await done_before(unit, caller, LogKind.RELEASE_WITHDRAWN, before.release)
            if before.state is ReleaseState.WITHDRAWN:
                return before
            release = replace(before, state=ReleaseState.WITHDRAWN, withdrawn_reason=reason.strip())
            await unit.releases.put(release)
            await unit.update_log.append(
                LogDraft(
                    kind=LogKind.RELEASE_WITHDRAWN,
                    message=f"{caller.name} withdrew {release.release}: {release.withdrawn_reason}",
                    release=release.release,
                    operator=caller.name,
                )
            )
            await remember(unit, caller, LogKind.RELEASE_WITHDRAWN, release.release, self._clock.now())
            await unit.commit()
        self._changed()
        return release

    async def permit(self, caller: Caller, name_version: str, computers: Sequence[str], reason: str) -> list[str]:
        """Let a release be offered again to computers that rolled it back; return their names."""
        async with self._database.write() as unit:
            release = await _find(unit, name_version)
            if release.published_by == caller.name:
                raise RefusedError(
                    Refusal(
                        "second_person",
                        "V.D",
                        f"{caller.name} published {release.release}; somebody else permits it again",
                        "ask another IT manager or the owner",
                    )
                )
            done = await done_before(unit, caller, LogKind.RELEASE_PERMITTED)
            if done is not None:
                return [name for name in done.partition(" ")[2].split(",") if name]
            ids = set(await unit.releases.rolled_back_on(release.name, release.version))
            chosen = list(await unit.computers.many(sorted(ids)))
            if computers:
                unknown = sorted(set(computers) - {computer.name for computer in chosen})
                if unknown:
                    raise NotFoundError(f"{release.release} was not rolled back on {', '.join(unknown)}")
                chosen = [computer for computer in chosen if computer.name in computers]
            names = sorted(computer.name for computer in chosen)
            await unit.releases.permit(release.name, release.version, [computer.id for computer in chosen], caller.name)
            await unit.update_log.append(
                LogDraft(
                    kind=LogKind.RELEASE_PERMITTED,
                    message=f"{caller.name} permitted {release.release} again: {reason.strip() or 'no reason given'}",
                    release=release.release,
                    operator=caller.name,
                    details={"computers": names},
                )
            )
            thing = f"{release.release} {','.join(names)}"
            await remember(unit, caller, LogKind.RELEASE_PERMITTED, thing, self._clock.now())
            await unit.commit()
        self._changed()
        return names

    async def all(self) -> Sequence[Release]:
        """Return all releases by name and time of publishing."""
        async with self._database.read() as unit:
            return await unit.releases.all()

    async def get(self, name_version: str) -> Release:
        """Return one release."""
        async with self._database.read() as unit:
            return await _find(unit, name_version)

    async def _signed_manifest(self, name: str, version: str) -> Manifest:
        data = await self._source.read_target(manifest_target(name, version))
        if data is None:
            raise InvalidInputError(
                f"the signed metadata does not list {manifest_target(name, version)}", remedy="publish the folder again"
            )
        try:
            manifest = read_manifest(data)
        except FormatError as error:
            raise InvalidInputError(f"release.json of {name}@{version}: {error}") from error
        signed = await self._source.signed_targets(f"{name}/{version}/")
        listed = {manifest.target(artifact.file): (artifact.length, artifact.sha256) for artifact in manifest.artifacts}
        if (manifest.name, manifest.version) != (name, version) or not listed.items() <= signed.items():
            raise InvalidInputError(f"release.json of {name}@{version} speaks of other files than those signed")
        return manifest

    async def _refuse_republishing(self, name: str, version: str, metadata: dict[str, bytes]) -> None:
        """Refuse before anything is in force: other content under a known release, and a withdrawn release."""
        async with self._database.read() as unit:
            known = await unit.releases.get(name, version)
        if known is not None:
            _check_same(known, _announced(metadata, manifest_target(name, version)) or known.manifest_sha256)

    async def _publish(self, unit: UnitOfWork, caller: Caller, manifest: Manifest) -> Release:
        data = manifest.to_json()
        digest = hashlib.sha256(data).hexdigest()
        known = await unit.releases.get(manifest.name, manifest.version)
        if known is not None:
            _check_same(known, digest)
            return known
        release = Release(
            name=manifest.name,
            version=manifest.version,
            state=ReleaseState.PUBLISHED,
            manifest_json=data.decode(),
            manifest_sha256=digest,
            published_by=caller.name,
            published_time=self._clock.now(),
        )
        await unit.releases.put(release)
        await unit.update_log.append(
            LogDraft(
                kind=LogKind.RELEASE_PUBLISHED,
                message=f"{caller.name} published {release.release}",
                release=release.release,
                version_after=release.version,
                operator=caller.name,
                details={"manifest_sha256": digest},
            )
        )
        return release

    async def _sign_withdrawal(self, unit: UnitOfWork, caller: Caller, name: str, version: str) -> Release:
        known = await unit.releases.get(name, version)
        if known is None:
            raise NotFoundError(f"there is no release {name}@{version}", remedy="sopwith release list")
        if await self._source.signed_targets(f"{name}/{version}/"):
            raise InvalidInputError(f"the signed metadata still lists files of {known.release}")
        if known.withdrawal_signed:
            return known
        reason = known.withdrawn_reason or "signed out of the source"
        release = replace(known, state=ReleaseState.WITHDRAWN, withdrawn_reason=reason, withdrawal_signed=True)
        await unit.releases.put(release)
        await unit.update_log.append(
            LogDraft(
                kind=LogKind.RELEASE_WITHDRAWN,
                message=f"{caller.name} signed {release.release} out of the source",
                release=release.release,
                operator=caller.name,
            )
        )
        return release

    async def _was_done(self, caller: Caller, named: str) -> bool:
        async with self._database.read() as unit:
            return await done_before(unit, caller, LogKind.SOURCE_COMMITTED, named) is not None

    async def _done_before(self, named: tuple[str, str] | None) -> Committed:
        view = await self._source.view()
        if view is None:
            raise NotFoundError("no source is designated")
        async with self._database.read() as unit:
            return Committed(view, await unit.releases.get(*named) if named else None)

    def _committed(self, caller: Caller, view: SourceView) -> LogDraft:
        versions = {role.name: role.version for role in view.roles}
        return LogDraft(
            kind=LogKind.SOURCE_COMMITTED,
            message=f"{caller.name} committed signed metadata: {view.targets} files are listed",
            operator=caller.name,
            details={"versions": versions, "targets": view.targets},
        )

    async def _record(self, kind: LogKind, message: str, caller: Caller, details: dict[str, str]) -> None:
        async with self._database.write() as unit:
            await unit.update_log.append(LogDraft(kind=kind, message=message, operator=caller.name, details=details))
            await unit.commit()


def _check_same(known: Release, digest: str) -> None:
    if known.manifest_sha256 != digest:
        raise ConflictError(
            f"{known.release} was published with other content", remedy="give the changed release a new version"
        )
    if known.state is ReleaseState.WITHDRAWN:
        raise ConflictError(f"{known.release} was withdrawn", remedy="publish it under a new version")


def _announced(metadata: dict[str, bytes], target: str) -> str:
    """Return the digest that new metadata gives a target, empty for none; whether it holds is not judged here."""
    for content in metadata.values():
        try:
            return str(json.loads(content)["signed"]["targets"][target]["hashes"]["sha256"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return ""


async def _find(unit: UnitOfWork, name_version: str) -> Release:
    release = await unit.releases.get(*split_release(name_version))
    if release is None:
        raise NotFoundError(f"there is no release {name_version}", remedy="sopwith release list")
    return release
