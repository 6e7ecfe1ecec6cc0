"""Releases and the source between the controller's records and the wire: converts, decides nothing."""

from sopwith.v1 import release_pb2
from sopwith.v1 import release_service_pb2 as wire
from sopwith_controller.api.translate import to_timestamp
from sopwith_controller.domain.entities import Release
from sopwith_controller.services.ports import SourceRole, SourceView
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import read_manifest


def to_release(release: Release) -> release_pb2.Release:
    """Return a release as it travels; what its manifest says is read from the signed bytes."""
    message = release_pb2.Release(
        name=release.name,
        version=release.version,
        state=release_pb2.ReleaseState.Value(f"RELEASE_STATE_{release.state}"),
        manifest_sha256=release.manifest_sha256,
        manifest_json=release.manifest_json,
        published_by=release.published_by,
        published_time=to_timestamp(release.published_time),
        withdrawn_reason=release.withdrawn_reason,
        withdrawal_signed=release.withdrawal_signed,
    )
    try:
        manifest = read_manifest(release.manifest_json.encode())
    except FormatError:
        return message  # a stored manifest of a later version: its fields are not known here
    message.summary = manifest.summary
    message.severity = manifest.severity
    message.change_class = manifest.change_class
    message.files.extend(
        release_pb2.ReleaseFile(
            file=artifact.file,
            target=manifest.target(artifact.file),
            length=artifact.length,
            sha256=artifact.sha256,
            installer=artifact.installer,
        )
        for artifact in manifest.artifacts
    )
    return message


def to_source(view: SourceView | None, metadata_url: str, files_url: str) -> wire.GetSourceResponse:
    """Return the source as it travels."""
    if view is None:
        return wire.GetSourceResponse(designated=False)
    return wire.GetSourceResponse(
        designated=True,
        root_sha256=view.root_sha256,
        metadata=[wire.MetadataFile(name=name, content=content) for name, content in sorted(view.metadata.items())],
        roles=[_to_role(role) for role in view.roles],
        metadata_url=metadata_url,
        files_url=files_url,
        targets=view.targets,
    )


def _to_role(role: SourceRole) -> wire.SourceRole:
    return wire.SourceRole(
        name=role.name, version=role.version, expires_time=to_timestamp(role.expires_time), key_ids=role.key_ids
    )
