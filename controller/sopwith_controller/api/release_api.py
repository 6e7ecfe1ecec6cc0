"""ReleaseService: the wire's side of `services.releases`. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from collections.abc import AsyncIterator, Iterable
from typing import Any

from sopwith.v1 import release_service_pb2 as wire
from sopwith.v1 import release_service_pb2_grpc
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.translate_release import to_release, to_source
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.services.releases import Releases

PIECE_BYTES_MAX = 2**20


class ReleaseApi(release_service_pb2_grpc.ReleaseServiceServicer):
    """Serves the calls of releases and of the source."""

    def __init__(self, releases: Releases, *, metadata_url: str, files_url: str) -> None:
        self._releases = releases
        self._metadata_url = metadata_url
        self._files_url = files_url

    async def UploadTarget(
        self, request_iterator: AsyncIterator[wire.UploadTargetRequest], context: Any
    ) -> wire.UploadTargetResponse:
        """Store one file from its pieces."""
        first = await anext(aiter(request_iterator), None)
        if first is None or first.WhichOneof("content") != "header":
            raise InvalidInputError("an upload begins with its header")
        header = first.header
        stored = await self._releases.upload(header.target, header.length, header.sha256, _pieces(request_iterator))
        return wire.UploadTargetResponse(length=header.length, already_present=not stored)

    async def CommitSource(self, request: wire.CommitSourceRequest, context: Any) -> wire.CommitSourceResponse:
        """Put signed metadata into force."""
        done = await self._releases.commit(
            caller(context),
            _files(request.metadata),
            publishes=request.publishes,
            withdraws=request.withdraws,
        )
        versions = {role.name: role.version for role in done.view.roles}
        return wire.CommitSourceResponse(
            release=to_release(done.release) if done.release else None, targets_version=versions["targets"]
        )

    async def DesignateSource(self, request: wire.DesignateSourceRequest, context: Any) -> wire.DesignateSourceResponse:
        """Take a new source."""
        view = await self._releases.designate(
            caller(context), request.root_json, _files(request.metadata), request.online_key_pem
        )
        return wire.DesignateSourceResponse(root_sha256=view.root_sha256)

    async def GetSource(self, request: wire.GetSourceRequest, context: Any) -> wire.GetSourceResponse:
        """Read what is served."""
        return to_source(await self._releases.source(), self._metadata_url, self._files_url)

    async def ListReleases(self, request: wire.ListReleasesRequest, context: Any) -> wire.ListReleasesResponse:
        """Read all releases."""
        return wire.ListReleasesResponse(releases=[to_release(one) for one in await self._releases.all()])

    async def GetRelease(self, request: wire.GetReleaseRequest, context: Any) -> wire.GetReleaseResponse:
        """Read one release."""
        return wire.GetReleaseResponse(release=to_release(await self._releases.get(request.release)))

    async def WithdrawRelease(self, request: wire.WithdrawReleaseRequest, context: Any) -> wire.WithdrawReleaseResponse:
        """Stop warrants for a release."""
        release = await self._releases.withdraw(caller(context), request.release, request.reason)
        return wire.WithdrawReleaseResponse(release=to_release(release))

    async def PermitRelease(self, request: wire.PermitReleaseRequest, context: Any) -> wire.PermitReleaseResponse:
        """Let a release be offered again where it rolled back."""
        names = await self._releases.permit(caller(context), request.release, request.computers, request.reason)
        return wire.PermitReleaseResponse(computers=names)


async def _pieces(requests: AsyncIterator[wire.UploadTargetRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if request.WhichOneof("content") != "piece" or len(request.piece) > PIECE_BYTES_MAX:
            raise InvalidInputError(f"an upload goes on with pieces of at most {PIECE_BYTES_MAX} bytes")
        yield request.piece


def _files(metadata: Iterable[wire.MetadataFile]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for file in metadata:
        if files.setdefault(file.name, file.content) != file.content:
            raise InvalidInputError(f"{file.name} came twice with different bytes")
    return files
