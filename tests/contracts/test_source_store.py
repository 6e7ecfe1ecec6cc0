"""What every `SourceStore` promises, on the fake and on the folder."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sopwith_controller.adapters.source.folder_source import FolderSource
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, NotFoundError, TrustError
from sopwith_controller.services.ports import SourceStore
from tests.builders import FixedClock
from tests.fakes.source import FakeSource
from tests.source_keys import Keys, pieces_of, upload

NAME = "hello/1/release.json"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime.now(UTC))


@pytest.fixture(params=["fake", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> SourceStore:
    return FakeSource(clock) if request.param == "fake" else FolderSource(tmp_path / "source", clock)


@pytest.fixture
def keys(clock: FixedClock) -> Keys:
    return Keys(clock.now())


async def designate(store: SourceStore, keys: Keys) -> None:
    await store.designate(keys.source.root_json, keys.source.files, keys.online_pem)


async def test_nothing_is_served_before_designation(store, keys):
    assert await store.view() is None
    await store.renew()
    with pytest.raises(NotFoundError):
        await store.commit(keys.signed(NAME))


async def test_designated_source_is_served_as_it_was_signed(store, keys):
    view = await store.designate(keys.source.root_json, keys.source.files, keys.online_pem)

    assert view.root_sha256 == hashlib.sha256(keys.source.root_json).hexdigest()
    assert view.metadata.items() >= keys.source.files.items()
    assert [role.name for role in view.roles] == ["root", "targets", "bins", "snapshot", "timestamp"]
    assert view.targets == 0
    assert await store.view() == view


async def test_a_source_is_designated_once(store, keys, clock):
    await designate(store, keys)

    await designate(store, keys)
    other = Keys(clock.now())
    with pytest.raises(ConflictError):
        await designate(store, other)


async def test_root_that_lacks_signed_bins_is_refused(store, keys):
    files = dict(keys.source.files)
    del files["1.bins-00.json"]

    with pytest.raises(TrustError):
        await store.designate(keys.source.root_json, files, keys.online_pem)

    assert await store.view() is None


async def test_online_key_that_is_no_key_is_refused(store, keys):
    with pytest.raises(InvalidInputError):
        await store.designate(keys.source.root_json, keys.source.files, b"nothing")


async def test_uploaded_target_is_served_once_it_is_signed(store, keys):
    await designate(store, keys)

    assert await upload(store, NAME) is True
    assert await store.read_target(NAME) is None
    view = await store.commit(keys.signed(NAME))

    assert view.targets == 1
    assert await store.read_target(NAME) == NAME.encode()
    assert await store.signed_targets("hello/1/") == {NAME: (len(NAME), hashlib.sha256(NAME.encode()).hexdigest())}
    assert await store.signed_targets("other/") == {}


async def test_file_that_lies_there_is_not_taken_again(store):
    await upload(store, NAME)

    assert await upload(store, NAME) is False


@pytest.mark.parametrize("sent", [b"short", NAME.encode() + b"longer", b"x" * len(NAME)])
async def test_upload_that_is_not_what_was_announced_is_refused(store, keys, sent):
    digest = hashlib.sha256(NAME.encode()).hexdigest()
    await designate(store, keys)

    with pytest.raises(InvalidInputError):
        await store.store_target(NAME, len(NAME), digest, pieces_of(sent))

    with pytest.raises(InvalidInputError):
        await store.commit(keys.signed(NAME))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/x/y", "a/b", "a/../b", "a//b"])
async def test_upload_under_an_odd_name_is_refused(store, name):
    with pytest.raises(InvalidInputError):
        await upload(store, name)


async def test_metadata_that_lists_a_missing_file_is_refused(store, keys):
    await designate(store, keys)
    before = await store.view()

    with pytest.raises(InvalidInputError, match="not uploaded"):
        await store.commit(keys.signed(NAME))

    assert await store.view() == before


async def test_metadata_signed_by_a_stranger_is_refused(store, keys, clock):
    await designate(store, keys)
    await upload(store, NAME)
    stranger = Keys(clock.now())

    with pytest.raises(TrustError):
        await store.commit(stranger.signed(NAME))

    assert await store.read_target(NAME) is None


async def test_published_name_never_gets_other_content(store, keys):
    await designate(store, keys)
    await upload(store, NAME)
    await store.commit(keys.signed(NAME))
    keys.signed(remove=(NAME,))
    await upload(store, NAME, b"other")

    with pytest.raises(TrustError, match="other content"):
        await store.commit(keys.signed(NAME, content=b"other"))


async def test_version_in_force_never_gets_other_bytes(store, keys):
    await designate(store, keys)

    with pytest.raises(TrustError, match="other bytes"):
        await store.commit({"1.targets.json": b"{}"})


async def test_name_that_is_no_metadata_is_refused(store, keys):
    await designate(store, keys)

    for name in ("timestamp.json", "2.snapshot.json", "../1.root.json"):
        with pytest.raises(InvalidInputError):
            await store.commit({name: b"{}"})


async def test_withdrawn_target_is_listed_no_more(store, keys):
    await designate(store, keys)
    await upload(store, NAME)
    await store.commit(keys.signed(NAME))

    await store.commit(keys.signed(remove=(NAME,)))

    assert await store.signed_targets("hello/") == {}


async def test_new_release_key_takes_the_old_one_s_place(store, keys):
    await designate(store, keys)
    await upload(store, NAME)
    old = keys.targets
    view = await store.commit(keys.new_release_key())
    now_signed = keys.signed(NAME)

    assert view.roles[0].version == 2
    assert (await store.commit(now_signed)).targets == 1
    keys.targets = old
    with pytest.raises(Exception, match="not the source's any more"):
        keys.signed("hello/2/release.json")


async def test_renewal_brings_a_newer_timestamp(store, keys):
    await designate(store, keys)
    before = (await store.view()).roles[-1].version

    await store.renew()

    assert (await store.view()).roles[-1].version == before + 1
