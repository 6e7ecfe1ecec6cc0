"""What is kept in memory answers as the tables do, whatever was committed, undone, or read in between."""

import asyncio
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sopwith_controller.adapters.database.engine import open_database
from sopwith_controller.services.mirrors import AssignmentMirror, ComputerMirror
from tests import builders as make
from tests.builders import FixedClock
from tests.fakes.database import FakeDatabase

NUMBERS = st.integers(0, 5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), NUMBERS, st.integers(0, 100)),
        st.tuples(st.just("undo"), NUMBERS, st.integers(0, 100)),
        st.tuples(st.sampled_from(["read", "read_in_writer", "read_after_writing", "read_older", "forget"])),
    ),
    max_size=25,
)


class Both:
    """The tables and what is kept of them."""

    def __init__(self, database):
        self.database = database
        self.assignments = AssignmentMirror()
        self.computers = ComputerMirror()

    async def write(self, number: int, percent: int, *, commit: bool) -> None:
        async with self.database.write() as unit:
            await self.put(unit, number, percent)
            if commit:
                await unit.commit()

    async def put(self, unit, number: int, percent: int) -> None:
        await unit.rollouts.put(make.rollout())
        await unit.computers.put(make.computer(f"pc{number}", labels={"percent": str(percent)}))
        await unit.assignments.put_all(
            [make.assignment(number, computer_id=f"c-pc{number}", percent=percent)],
        )

    async def answers_are_equal(self, unit) -> None:
        rows = await unit.assignments.of_rollout("r-1")
        ids = [row.computer_id for row in rows]
        computers = {one.id: one.labels for one in await unit.computers.many(ids)}

        kept = await self.assignments.of_rollout(unit, "r-1")
        views = await self.computers.many(unit, ids)

        assert list(kept) == list(rows)
        assert {key: view.labels for key, view in views.items()} == computers


async def carry_out(database, steps) -> None:
    both = Both(database)
    for step in steps:
        match step:
            case ("commit" | "undo" as kind, number, percent):
                await both.write(number, percent, commit=kind == "commit")
            case ("read",):
                async with database.read() as unit:
                    await both.answers_are_equal(unit)
            case ("read_in_writer",):
                async with database.write() as unit:
                    await both.answers_are_equal(unit)
            case ("read_after_writing",):
                async with database.write() as unit:
                    await both.put(unit, 0, 77)
                    await both.answers_are_equal(unit)
            case ("read_older",):
                async with database.read() as older:
                    await older.rollouts.all()
                    await both.write(1, 50, commit=True)
                    async with database.read() as newer:
                        await both.answers_are_equal(newer)
                    await both.answers_are_equal(older)
            case _:
                both.assignments.forget("r-1")
                both.computers.forget()
    async with database.read() as unit:
        await both.answers_are_equal(unit)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_the_kept_rows_are_the_tables_rows(steps):
    asyncio.run(carry_out(FakeDatabase(FixedClock()), steps))


async def test_kept_rows_are_the_tables_rows_in_sqlite_too(tmp_path):
    database = await open_database(tmp_path / "sopwith.db", clock=FixedClock())
    steps = [("commit", 1, 5), ("read",), ("undo", 1, 9), ("read_in_writer",), ("read_after_writing",), ("read_older",)]

    await carry_out(database, [*steps, ("commit", 0, 1), *steps])

    await database.close()


async def test_two_readers_at_once_do_not_mix_an_older_state_into_the_newer_one(tmp_path):
    database = await open_database(tmp_path / "sopwith.db", clock=FixedClock())
    both = Both(database)
    await both.write(0, 1, commit=True)
    async with database.read() as unit:
        await both.answers_are_equal(unit)

    async def read() -> None:
        async with database.read() as unit:
            await both.assignments.of_rollout(unit, "r-1")
            await both.computers.many(unit, ["c-pc0", "c-pc1"])

    for percent in range(20):
        await asyncio.gather(read(), both.write(percent % 2, percent, commit=True), read())

    async with database.read() as unit:
        await both.answers_are_equal(unit)
    await database.close()


async def test_only_what_changed_is_read_again():
    database = FakeDatabase(FixedClock())
    both = Both(database)
    for number in range(3):
        await both.write(number, 1, commit=True)
    async with database.read() as unit:
        before = await both.assignments.of_rollout(unit, "r-1")
        views = await both.computers.many(unit, ["c-pc0", "c-pc1"])
    await both.write(1, 2, commit=True)

    async with database.read() as unit:
        after = await both.assignments.of_rollout(unit, "r-1")
        views_after = await both.computers.many(unit, ["c-pc0", "c-pc1"])

    assert [one is two for one, two in zip(before, after, strict=True)] == [True, False, True]
    assert views["c-pc0"] is views_after["c-pc0"]
    assert after[1] == replace(before[1], percent=2)
