"""Releases as use cases, over the working fakes."""

from dataclasses import replace
from typing import Any

import pytest

from sopwith_controller.desk.source_signing import with_targets
from sopwith_controller.domain.entities import ReleaseState
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, NotFoundError, RefusedError
from sopwith_controller.services.access import Caller
from sopwith_controller.services.releases import Releases
from sopwith_formats.manifest import Artifact, Manifest
from tests.builders import FixedClock, computer
from tests.fakes.database import FakeDatabase
from tests.fakes.log_signer import FakeLogSigner
from tests.fakes.source import FakeSource
from tests.source_keys import Keys, target_of, upload

OWNER = Caller("person", "p-owner", "owner", frozenset({"owner"}))
MANAGER = Caller("person", "p-manager", "manager", frozenset({"release_manager"}))
LAMP = b"light"


class House:
    """A controller's release side."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.database = FakeDatabase(self.clock, FakeLogSigner())
        self.source = FakeSource(self.clock)
        self.keys = Keys(self.clock.now())
        self.woken = 0
        self.designations = 0
        gateway: Any = self
        self.releases = Releases(self.database, self.clock, self.source, gateway, changed=self.wake)

    def wake(self) -> None:
        self.woken += 1

    async def designate_source(self) -> None:
        self.designations += 1

    async def designate(self) -> "House":
        await self.releases.designate(OWNER, self.keys.source.root_json, self.keys.source.files, self.keys.online_pem)
        return self

    async def signed(self, version: str = "1", *, listed: bool = True) -> dict[str, bytes]:
        """Upload a release and sign it."""
        digest = target_of("x", LAMP).hashes["sha256"]
        manifest = Manifest("lamp", version, (Artifact("lamp.tgz", "deb", len(LAMP), digest),))
        files = {manifest.target("release.json"): manifest.to_json()}
        if listed:
            files[manifest.target("lamp.tgz")] = LAMP
        for name, content in files.items():
            await upload(self.source, name, content)
        add = {name: target_of(name, content) for name, content in files.items()}
        return self.keys.take(with_targets(self.keys.current, add, (), self.keys.targets, self.keys.now))

    async def publish(self, version: str = "1", caller: Caller = MANAGER, request_id: str = "") -> Any:
        return await self.releases.commit(
            replace(caller, request_id=request_id),
            await self.signed(version),
            publishes=f"lamp@{version}",
            withdraws="",
        )

    async def kinds(self) -> list[str]:
        async with self.database.read() as unit:
            return [row.kind for row in await unit.update_log.entries(0, 100)]


@pytest.fixture
async def house() -> House:
    return await House().designate()


async def test_designation_is_logged_and_told_once(house: House) -> None:
    await house.designate()

    assert await house.kinds() == ["SOURCE_DESIGNATED"]
    assert house.designations == 1


async def test_published_release_is_recorded_with_the_commit(house: House) -> None:
    done = await house.publish()

    assert (done.release.state, done.release.published_by) == (ReleaseState.PUBLISHED, "manager")
    assert await house.kinds() == ["SOURCE_DESIGNATED", "SOURCE_COMMITTED", "RELEASE_PUBLISHED"]
    assert await house.releases.get("lamp@1") == done.release
    assert house.woken == 1


async def test_repeated_request_has_no_further_effect(house: House) -> None:
    await house.publish(request_id="same")
    again = await house.releases.commit(replace(MANAGER, request_id="same"), {}, publishes="lamp@1", withdraws="")

    assert again.release == await house.releases.get("lamp@1")
    assert (await house.kinds()).count("RELEASE_PUBLISHED") == 1


async def test_release_without_signed_manifest_is_refused(house: House) -> None:
    with pytest.raises(InvalidInputError, match=r"does not list lamp/9/release\.json"):
        await house.releases.commit(MANAGER, {}, publishes="lamp@9", withdraws="")


async def test_manifest_that_speaks_of_unsigned_files_is_refused(house: House) -> None:
    files = await house.signed(listed=False)

    with pytest.raises(InvalidInputError, match="other files"):
        await house.releases.commit(MANAGER, files, publishes="lamp@1", withdraws="")


async def test_publishing_needs_the_role_and_renewing_signatures_does_not(house: House) -> None:
    with pytest.raises(RefusedError):
        await house.publish(caller=OWNER)

    done = await house.releases.commit(OWNER, house.keys.new_release_key(), publishes="", withdraws="")

    assert done.release is None


async def test_withdrawn_release_stays_withdrawn(house: House) -> None:
    await house.publish()

    withdrawn = await house.releases.withdraw(MANAGER, "lamp@1", "stays dark")
    again = await house.releases.withdraw(MANAGER, "lamp@1", "another reason")

    assert (withdrawn.state, withdrawn.withdrawn_reason) == (ReleaseState.WITHDRAWN, "stays dark")
    assert again == withdrawn
    with pytest.raises(ConflictError, match="withdrawn"):
        await house.releases.commit(MANAGER, {}, publishes="lamp@1", withdraws="")


async def test_withdrawn_release_is_not_signed_in_again(house: House) -> None:
    await house.publish()
    gone = house.keys.signed(remove=("lamp/1/release.json", "lamp/1/lamp.tgz"))
    await house.releases.commit(MANAGER, gone, publishes="", withdraws="lamp@1")

    with pytest.raises(ConflictError, match="withdrawn"):
        await house.publish()

    assert await house.source.signed_targets("lamp/") == {}


async def test_withdrawal_needs_a_reason_and_a_release(house: House) -> None:
    await house.publish()

    with pytest.raises(InvalidInputError):
        await house.releases.withdraw(MANAGER, "lamp@1", " ")
    with pytest.raises(NotFoundError):
        await house.releases.withdraw(MANAGER, "lamp@2", "x")


async def test_withdrawal_is_signed_only_when_nothing_is_listed_any_more(house: House) -> None:
    await house.publish()
    with pytest.raises(InvalidInputError, match="still lists"):
        await house.releases.commit(MANAGER, {}, publishes="", withdraws="lamp@1")
    gone = house.keys.signed(remove=("lamp/1/release.json", "lamp/1/lamp.tgz"))

    done = await house.releases.commit(MANAGER, gone, publishes="", withdraws="lamp@1")

    withdrawn = await house.releases.get("lamp@1")
    assert done.release == withdrawn
    assert withdrawn.withdrawal_signed
    assert withdrawn.state is ReleaseState.WITHDRAWN


async def roll_back(house: House, *names: str) -> None:
    async with house.database.write() as unit:
        for name in names:
            await unit.computers.put(computer(name))
            await unit.releases.note_rolled_back("lamp", "1", f"c-{name}")
        await unit.commit()


async def test_second_person_permits_a_release_again(house: House) -> None:
    await house.publish()
    await roll_back(house, "pc1", "pc2")

    first = await house.releases.permit(OWNER, "lamp@1", ["pc1"], "mended")
    rest = await house.releases.permit(OWNER, "lamp@1", [], "mended")

    assert (first, rest) == (["pc1"], ["pc2"])
    assert (await house.kinds())[-1] == "RELEASE_PERMITTED"


async def test_who_published_does_not_permit(house: House) -> None:
    await house.publish()

    with pytest.raises(RefusedError) as caught:
        await house.releases.permit(MANAGER, "lamp@1", [], "mended")

    assert caught.value.refusal.gate == "second_person"


async def test_permission_for_a_computer_that_did_not_roll_back_is_refused(house: House) -> None:
    await house.publish()

    with pytest.raises(NotFoundError, match="pc9"):
        await house.releases.permit(OWNER, "lamp@1", ["pc9"], "mended")


async def test_releases_are_listed_by_name_and_time(house: House) -> None:
    await house.publish("1")
    house.clock.advance(hours=1)
    await house.publish("2")

    assert [release.version for release in await house.releases.all()] == ["1", "2"]
