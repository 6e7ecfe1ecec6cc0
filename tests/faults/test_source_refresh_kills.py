"""Case 40: an agent killed between any two changes of its source's folder refreshes afterwards; nothing goes back."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sopwith_agent.adapters import source_folder
from sopwith_agent.adapters.source_folder import SourceFolder
from sopwith_agent.adapters.source_metadata import SourceMetadata
from sopwith_agent.adapters.source_transport import Transport
from sopwith_agent.domain.errors import StepError
from tests.faults.hostile_source import HostileServer, SourceRepository, serving


class Killed(BaseException):
    """The plug was pulled."""


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with serving(SourceRepository()) as running:
        yield running


def refresh(server: HostileServer, path: Path) -> dict[str, int]:
    with Transport() as transport:
        return SourceMetadata(SourceFolder(path), server.metadata_url, transport).refresh().versions


def killing(patch: pytest.MonkeyPatch, countdown: int) -> None:
    """Die before the N-th change of a name on disk, and do nothing after it."""
    left = [countdown]

    def dying(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def act(*arguments: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*arguments, **more)

        patch.setattr(owner, name, act)

    for name in ("replace", "remove", "symlink"):
        dying(os, name)
    dying(source_folder, "durable_replace")


def kept_timestamp(path: Path) -> int:
    """Return the highest version that the folder holds as received or as its floor."""
    held = [path / name for name in ("timestamp.json", "floor/timestamp") if (path / name).exists()]
    return max((int(json.loads(file.read_bytes())["signed"]["version"]) for file in held), default=0)


@pytest.mark.parametrize("known", [False, True])
def test_case_40_killed_refresh_is_repeated_and_nothing_goes_back(server, tmp_path, known):
    repository = server.repository
    first_root = repository.files["/metadata/1.root.json"]
    older = repository.files["/metadata/timestamp.json"]
    repository.rotate("root", count=2)
    repository.publish()
    newest = repository.files["/metadata/timestamp.json"]
    countdown, ended = 0, False
    while not ended:
        path = tmp_path / f"{countdown}"
        SourceFolder(path).trust(first_root)
        if known:
            repository.files["/metadata/timestamp.json"] = older
            refresh(server, path)
            repository.files["/metadata/timestamp.json"] = newest
        with pytest.MonkeyPatch.context() as patch:
            killing(patch, countdown)
            try:
                refresh(server, path)
                ended = True
            except Killed:
                pass

        if kept_timestamp(path) == 2:
            repository.files["/metadata/timestamp.json"] = older
            with pytest.raises(StepError):
                refresh(server, path)
            repository.files["/metadata/timestamp.json"] = newest
        assert refresh(server, path) == {"root": 3, "timestamp": 2, "snapshot": 2, "targets": 2}
        countdown += 1
    assert countdown > 5
