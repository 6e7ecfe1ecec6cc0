"""A backup is whole or refused, and a restore says into the log what it did (fault case 69)."""

import asyncio
import json
import shutil
import socket
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.database.engine import open_database
from sopwith_controller.bootstrap.paths import DataPaths, open_store
from sopwith_controller.config import read_config, write_settings
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, TrustError, UnavailableError
from sopwith_controller.operate.backing_up import back_up
from sopwith_controller.operate.backup_file import MANIFEST, read_manifest, unpack
from sopwith_controller.operate.restoring import Wish, restore
from sopwith_formats.errors import FormatError
from tests import builders as make
from tests.controller.house import free_port

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.fixture
def data(founded: Path, tmp_path: Path) -> Path:
    """Return a data folder of this test's own, at an address where nobody answers."""
    copy = tmp_path / "fleet" / "controller"
    shutil.copytree(founded, copy)
    config = read_config(copy).model_copy(update={"fleet_port": free_port(), "web_port": free_port()})
    (copy / "sopwith.toml").write_text(write_settings(config), encoding="utf-8")
    return copy


def wish(backup: Path, data: Path, reason: str = "the disk died") -> Wish:
    return Wish(backup, data, "olga", reason)


def made(data: Path) -> Path:
    path = data.parent / "monday.backup"
    back_up(data, read_config(data), path, NOW)
    return path


async def appended(data: Path, count: int) -> None:
    database = await open_store(DataPaths(data), read_config(data), SystemClock())
    for _ in range(count):
        async with database.write() as unit:
            await unit.update_log.append(make.log_draft())
            await unit.commit()
    await database.close()


def test_backup_is_for_its_user_only_and_holds_what_cannot_be_made_again(data: Path):
    path = made(data)

    names = set(read_manifest(path).files)
    assert path.stat().st_mode & 0o777 == 0o600
    assert names >= {"sopwith.db", "sopwith.toml", "pki/ca_key.pem", "pki/log_key", "pki/warrant_key.pem"}
    assert not any("lock" in name or "-wal" in name for name in names)
    assert not [left for left in data.parent.iterdir() if left.name.startswith(".")]


def test_backup_never_takes_the_place_of_another(data: Path):
    path = made(data)
    before = path.read_bytes()

    with pytest.raises(FileExistsError):
        made(data)

    assert path.read_bytes() == before


def test_backup_while_a_controller_writes_is_one_moment_of_a_whole_log(data: Path, tmp_path: Path):
    async def write_and_back_up() -> None:
        database = await open_store(DataPaths(data), read_config(data), SystemClock())
        stop = asyncio.Event()

        async def write() -> None:
            while not stop.is_set():
                async with database.write() as unit:
                    for _ in range(7):
                        await unit.update_log.append(make.log_draft())
                    await unit.commit()

        writing = asyncio.create_task(write())
        for number in range(3):
            path = tmp_path / f"{number}.backup"
            await asyncio.to_thread(back_up, data, read_config(data), path, NOW)
        stop.set()
        await writing
        await database.close()

    asyncio.run(write_and_back_up())

    begun = read_manifest(made(data)).log_size % 7
    sizes = []
    for number in range(3):
        back = restore(wish(tmp_path / f"{number}.backup", tmp_path / f"back-{number}"))
        sizes.append(back.log_size)
        assert back.log_size % 7 == begun
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2


def test_restored_log_goes_on_with_a_signed_recovery(data: Path, tmp_path: Path):
    asyncio.run(appended(data, 3))
    size = read_manifest(made(data)).log_size
    asyncio.run(appended(data, 5))

    back = restore(wish(data.parent / "monday.backup", tmp_path / "again"))

    async def read() -> None:
        database = await open_database(tmp_path / "again" / "sopwith.db", clock=SystemClock(), read_only=True)
        async with database.read() as unit:
            [entry] = await unit.update_log.entries(size, 1)
            [recovery] = await unit.recoveries.all()
            checkpoint = await unit.update_log.newest_checkpoint()
            [incident] = await unit.incidents.unresolved()
            count = await unit.update_log.size()
        await database.close()
        assert (entry.kind, entry.operator) == ("LOG_RECOVERED", "olga")
        assert json.loads(entry.details)["size"] == size == back.log_size
        assert (recovery.size, recovery.reason) == (size, "the disk died")
        assert int(checkpoint.splitlines()[1]) == count
        assert (incident.symptom, incident.severity) == ("LOG_INTEGRITY", 2)

    asyncio.run(read())


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _rewritten(change: Callable[[dict[str, bytes]], object]) -> Callable[[Path], None]:
    def act(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        change(content)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)

    return act


def _renamed(content: dict[str, bytes]) -> None:
    said = json.loads(content[MANIFEST])
    said["files"]["../../evil"] = said["files"].pop("sopwith.toml")
    content["files/../../evil"] = content.pop("files/sopwith.toml")
    content[MANIFEST] = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(_cut, id="cut off"),
        pytest.param(_flip, id="one bit"),
        pytest.param(_rewritten(lambda content: content.update({"files/extra": b"x"})), id="one file more"),
        pytest.param(_rewritten(lambda content: content.pop("files/pki/log_key")), id="one file less"),
        pytest.param(_rewritten(lambda content: content.update({"files/sopwith.toml": b"x"})), id="other content"),
        pytest.param(_rewritten(lambda content: content.pop(MANIFEST)), id="no list"),
        pytest.param(_rewritten(_renamed), id="a name outside"),
        pytest.param(lambda path: path.write_bytes(b"PK"), id="no archive"),
    ],
)
def test_damaged_backup_is_refused_and_leaves_nothing(data: Path, tmp_path: Path, damage: Callable[[Path], None]):
    path = made(data)
    damage(path)

    with pytest.raises(FormatError):
        restore(wish(path, tmp_path / "room" / "again"))

    assert not list((tmp_path / "room").glob("*")) or not (tmp_path / "room").exists()
    assert not list(tmp_path.rglob("evil"))


def test_backup_of_a_falsified_log_is_not_restored(data: Path, tmp_path: Path):
    async def falsify() -> None:
        database = await open_store(DataPaths(data), read_config(data), SystemClock())
        async with database.write() as unit:
            await unit._transaction.connection.execute(
                text("UPDATE update_log SET message = 'x' WHERE entry_index = 0")
            )
            await unit.commit()
        await database.close()

    asyncio.run(falsify())

    with pytest.raises(TrustError, match="not whole"):
        restore(wish(made(data), tmp_path / "again"))

    assert not (tmp_path / "again").exists()


def test_folder_in_use_is_never_restored_over(data: Path):
    path = made(data)

    async def while_it_runs() -> None:
        database = await open_store(DataPaths(data), read_config(data), SystemClock())
        try:
            with pytest.raises(ConflictError, match="a controller runs"):
                restore(wish(path, data))
        finally:
            await database.close()

    asyncio.run(while_it_runs())
    with pytest.raises(ConflictError, match="exists already"):
        restore(wish(path, data))
    shutil.rmtree(data)
    assert restore(wish(path, data)).data == data


def test_nothing_is_restored_while_something_answers_at_the_controllers_address(data: Path, tmp_path: Path):
    path = made(data)
    config = read_config(data)

    with socket.socket() as old:
        old.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        old.bind((config.listen, config.fleet_port))
        old.listen()
        with pytest.raises(ConflictError, match="something answers"):
            restore(wish(path, tmp_path / "again"))

    assert not (tmp_path / "again").exists()


def test_recovery_has_a_name_and_a_reason(data: Path, tmp_path: Path):
    with pytest.raises(InvalidInputError):
        restore(wish(made(data), tmp_path / "again", reason="  "))


def test_tables_elsewhere_are_left_to_their_own_backup(data: Path):
    config = read_config(data).model_copy(update={"database": "postgresql://x@localhost/x"})

    with pytest.raises(InvalidInputError, match="another database"):
        back_up(data, config, data.parent / "monday.backup", NOW)

    assert not (data.parent / "monday.backup").exists()


def test_damaged_database_is_not_backed_up_as_if_it_were_whole(data: Path):
    database = data / "sopwith.db"
    content = bytearray(database.read_bytes())
    content[4096 : 4096 * 40] = bytes(4096 * 39)
    database.write_bytes(content)

    with pytest.raises(UnavailableError):
        made(data)

    assert not list(data.parent.glob("*backup*"))


def test_unpacked_files_have_their_modes(data: Path, tmp_path: Path):
    target = tmp_path / "unpacked"
    target.mkdir()

    unpack(made(data), target)

    assert (target / "pki" / "ca_key.pem").stat().st_mode & 0o777 == 0o600
