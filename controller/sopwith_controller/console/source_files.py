"""The source's files over HTTPS, as they lie on the controller's disk.

This module decides which file a path means and how it is sent. It checks no content: computers do that themselves, by
the metadata that the release manager signed, so that a controller that was broken into can only make them refuse.

Rules: metadata is read whole and sent in one piece, because a newer version may take its name in between; targets are
sent with Range, so that a download is resumed; there is no listing; a path never leaves its folder, not by dots, not by
links, not by hidden names, and everything that is not there is a plain 404.
"""

import asyncio
from pathlib import Path
from typing import Protocol

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

METADATA_SIZE_MAX = 16 * 2**20
_NAME_LENGTH_MAX = 255


class SourceFiles(Protocol):
    """Where the source's files are."""

    def metadata(self, name: str) -> Path | None:
        """Return the metadata file that is served under this name, None when there is none."""
        ...

    def target(self, name: str) -> Path | None:
        """Return the target file that is served under this name, None when there is none."""
        ...


class SourceFolder:
    """A source that lies in one folder, as `metadata/` and `targets/`."""

    def __init__(self, folder: Path) -> None:
        self._metadata = folder / "metadata"
        self._targets = folder / "targets"

    def metadata(self, name: str) -> Path | None:
        """Return the metadata file that is served under this name, None when there is none."""
        return _inside(self._metadata, name) if "/" not in name and name.endswith(".json") else None

    def target(self, name: str) -> Path | None:
        """Return the target file that is served under this name, None when there is none."""
        return _inside(self._targets, name)


class SourceRoutes:
    """The routes over one source."""

    def __init__(self, source: SourceFiles) -> None:
        self._source = source

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/source/metadata/{name:path}", self.metadata, methods=["GET"]),
            Route("/source/targets/{name:path}", self.target, methods=["GET"]),
        ]

    async def metadata(self, request: Request) -> Response:
        """Send a metadata file whole."""
        data = await asyncio.to_thread(self._read_metadata, request.path_params["name"])
        if data is None:
            return not_found()
        return Response(data, media_type="application/json", headers={"Cache-Control": "no-cache"})

    async def target(self, request: Request) -> Response:
        """Send a target file, or the part that the computer still lacks."""
        path = await asyncio.to_thread(self._source.target, request.path_params["name"])
        if path is None:
            return not_found()
        return _TargetResponse(path, media_type="application/octet-stream", headers={"Cache-Control": "no-cache"})

    def _read_metadata(self, name: str) -> bytes | None:
        path = self._source.metadata(name)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                return file.read(METADATA_SIZE_MAX)
        except OSError:
            return None


class _TargetResponse(FileResponse):
    """Sends larger pieces than the library's own: each piece costs a change of threads."""

    chunk_size = 2**20


def not_found() -> Response:
    """Return the one answer for everything that is not there."""
    return PlainTextResponse("not found", 404)


def _inside(folder: Path, name: str) -> Path | None:
    """Return the regular file of this name below the folder, None for everything else."""
    parts = name.split("/")
    if any(not part or part.startswith(".") or len(part) > _NAME_LENGTH_MAX for part in parts):
        return None
    if not name.isprintable() or "\\" in name:
        return None
    path = folder.joinpath(*parts)
    try:
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path
    except OSError:
        return None
    return None
