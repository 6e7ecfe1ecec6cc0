"""The backup gate: snapshot commands before an install, one retry, and SOPs that want one."""

from pathlib import Path
from typing import Any

import pytest

from sopwith_agent.steps.command_port import Moment
from sopwith_formats.agent_policy import AgentPolicy
from tests.agent.workshop import Workshop


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path)
    shop.install("1")
    return shop


def update(shop: Workshop, **policy: Any) -> None:
    shop.offer(shop.warrant(shop.publish("2"), policy=AgentPolicy(**policy).to_document()))
    shop.run()


def snapshots(shop: Workshop) -> list[str]:
    return [step["result"] for step in shop.receipt().steps if step["step"] == "snapshot"]


def test_snapshot_is_made_before_the_commit_point_and_stands_in_the_receipt(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.SNAPSHOT: []}
    commits: list[int] = []
    shop.commands.on_run = lambda _moment: commits.append(shop.installer.commits)

    update(shop, snapshot_required=True)

    assert (shop.receipt().outcome, commits, snapshots(shop)) == ("SUCCEEDED", [0], ["done"])


def test_snapshot_that_fails_once_is_made_again(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.SNAPSHOT: ["no room in the pool"]}

    update(shop)

    assert (shop.receipt().outcome, shop.commands.ran) == ("SUCCEEDED", [Moment.SNAPSHOT] * 2)


def test_snapshot_that_fails_twice_fails_the_update_and_changes_nothing(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.SNAPSHOT: ["no room in the pool"] * 9}

    update(shop)

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "BACKUP_FAILED")
    assert "no room in the pool" in shop.receipt().detail
    assert (shop.commands.ran, shop.installer.commits, shop.installed()) == ([Moment.SNAPSHOT] * 2, 0, "1")


def test_sop_that_wants_a_snapshot_lets_nothing_be_installed_where_nothing_makes_one(shop: Workshop) -> None:
    update(shop, snapshot_required=True)

    assert (shop.receipt().outcome, shop.receipt().symptom) == ("FAILED", "BACKUP_FAILED")
    assert "nothing makes one" in shop.receipt().detail
    assert shop.installed() == "1"


def test_without_commands_the_kept_version_is_backup_enough(shop: Workshop) -> None:
    update(shop)

    assert (shop.receipt().outcome, snapshots(shop)) == ("SUCCEEDED", [])


def test_agent_that_dies_after_its_snapshot_makes_no_second_one(shop: Workshop) -> None:
    shop.commands.refusals = {Moment.SNAPSHOT: []}
    shop.installer.fail["before_commit"] = [KeyboardInterrupt()]
    shop.offer(shop.warrant(shop.publish("2")))
    with pytest.raises(KeyboardInterrupt):
        shop.run()
    shop.start()

    shop.run()

    assert (shop.receipt().outcome, shop.commands.ran) == ("SUCCEEDED", [Moment.SNAPSHOT])
