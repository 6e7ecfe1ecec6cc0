"""The controller's source killed between any two writes: a computer finds a whole source afterwards, old or new."""

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sopwith_agent.adapters.source_folder import SourceFolder
from sopwith_agent.adapters.source_metadata import SourceMetadata
from sopwith_agent.adapters.source_transport import Transport
from sopwith_agent.domain.errors import StepError
from sopwith_controller.adapters.source import folder_source
from sopwith_controller.adapters.source.folder_source import FolderSource
from sopwith_controller.domain.errors import UnavailableError
from tests.builders import FixedClock
from tests.faults.hostile_source import HostileServer, SourceRepository, serving
from tests.source_keys import Keys, upload

NAME = "hello/1/release.json"


class Killed(BaseException):
    """The plug was pulled."""


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with serving(SourceRepository()) as running:
        yield running


def serve(server: HostileServer, folder: Path) -> None:
    """Serve what lies on disk."""
    files = server.repository.files
    files.clear()
    for kind in ("metadata", "targets"):
        for path in (folder / kind).rglob("*"):
            if path.is_file():
                files[f"/{path.relative_to(folder)}"] = path.read_bytes()


def refreshed(server: HostileServer, root: bytes, path: Path) -> SourceMetadata:
    folder = SourceFolder(path)
    folder.trust(root)
    with Transport() as transport:
        metadata = SourceMetadata(folder, server.metadata_url, transport)
        metadata.refresh()
        with contextlib.suppress(NotListedError):
            look_up(metadata)
    return metadata


class NotListedError(Exception):
    """The old state: the file is not listed yet."""


def look_up(metadata: SourceMetadata) -> None:
    """Walk the bins; anything but listed or not listed is a fault."""
    try:
        metadata.look_up(NAME)
    except StepError as error:
        if error.symptom == "NOT_AUTHORISED_BY_SOURCE":
            raise NotListedError from error
        raise


def killing(monkeypatch: pytest.MonkeyPatch, countdown: int) -> None:
    """Die before the N-th write, move or removal."""
    left = [countdown]
    for name in ("durable_replace", "durable_move", "rmtree"):
        real = getattr(folder_source, name)

        def dying(*arguments: Any, real: Any = real, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*arguments, **more)

        monkeypatch.setattr(folder_source, name, dying)


@pytest.mark.parametrize("change", ["publish", "new key", "renew", "designate"])
def test_source_is_whole_after_a_kill_at_any_write(server, tmp_path, monkeypatch, change):
    clock = FixedClock(datetime.now(UTC))
    keys = Keys(clock.now())
    before, known = tmp_path / "before", tmp_path / "computer"
    asyncio.run(_prepare(FolderSource(before, clock), keys, designated=change != "designate"))
    if change != "designate":
        serve(server, before)
        refreshed(server, keys.source.root_json, known)
    work = _work(keys, change)
    countdown, ended = 0, False
    while not ended:
        place, computer = tmp_path / f"source-{countdown}", tmp_path / f"computer-{countdown}"
        for kept, copy in ((before, place), (known, computer)):
            if kept.exists():
                shutil.copytree(kept, copy, symlinks=True)
        with monkeypatch.context() as patch:
            killing(patch, countdown)
            try:
                asyncio.run(work(FolderSource(place, clock)))
                ended = True
            except Killed:
                pass

        view = asyncio.run(FolderSource(place, clock).view())
        if view is not None:
            asyncio.run(FolderSource(place, clock).renew())
            serve(server, place)
            refreshed(server, keys.source.root_json, computer)
        else:
            assert change == "designate"
        countdown += 1 if countdown < 5 else 31
    assert countdown > 1


async def _prepare(store: FolderSource, keys: Keys, *, designated: bool) -> None:
    if designated:
        await store.designate(keys.source.root_json, keys.source.files, keys.online_pem)
        await upload(store, NAME)


def _work(keys: Keys, change: str) -> Callable[[FolderSource], Coroutine[Any, Any, object]]:
    """Sign what the change needs, once."""
    if change == "designate":
        return lambda store: store.designate(keys.source.root_json, keys.source.files, keys.online_pem)
    if change == "renew":
        return lambda store: store.renew()
    files = keys.signed(NAME) if change == "publish" else keys.new_release_key()
    return lambda store: store.commit(files)


def test_snapshot_is_renewed_when_half_its_life_is_over(tmp_path):
    clock = FixedClock(datetime.now(UTC))
    store, keys = FolderSource(tmp_path, clock), Keys(clock.now())
    asyncio.run(_prepare(store, keys, designated=True))

    asyncio.run(store.renew())
    same = asyncio.run(store.view())
    clock.advance(days=4)
    asyncio.run(store.renew())
    newer = asyncio.run(store.view())

    assert same is not None
    assert newer is not None
    assert [role.version for role in same.roles] == [1, 1, 1, 1, 2]
    assert [role.version for role in newer.roles] == [1, 1, 1, 2, 3]


def test_online_key_is_private_and_not_served(tmp_path):
    clock = FixedClock(datetime.now(UTC))
    store, keys = FolderSource(tmp_path, clock), Keys(clock.now())
    asyncio.run(_prepare(store, keys, designated=True))

    assert (tmp_path / "online_key.pem").stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / "metadata").glob("*.pem"))
    assert b"PRIVATE" not in b"".join(path.read_bytes() for path in (tmp_path / "metadata").iterdir())


@pytest.mark.parametrize("change", ["publish", "new key", "renew"])
def test_full_disk_leaves_the_source_as_it_was_and_the_next_try_succeeds(server, tmp_path, monkeypatch, change):
    clock = FixedClock(datetime.now(UTC))
    keys, store = Keys(clock.now()), FolderSource(tmp_path / "source", clock)
    asyncio.run(_prepare(store, keys, designated=True))
    work = _work(keys, change)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(folder_source, "durable_replace", full)
        with pytest.raises(UnavailableError, match="No space left"):
            asyncio.run(work(store))
    asyncio.run(work(store))

    serve(server, tmp_path / "source")
    refreshed(server, keys.source.root_json, tmp_path / "computer")
