"""`sopwith sop comment`, `comments`, `resolve`, `retire` as people type them, against a real server."""

from tests.controller.cli.test_sop_cli import office, sopwith  # noqa: F401  a fixture
from tests.controller.sop_fleet import ID


async def test_blocking_comment_holds_the_signatures_until_it_is_resolved(office):  # noqa: F811  the fixture
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
    words = ("sop", "comment", ID, "--on", "accuracy", "--clause", "V.C", "--blocking", "Three are too many.")
    made = (await sopwith("--context", "operator.toml", *words, "-o", "json", folder=office)).document()

    refused = await sopwith("--context", "owner.toml", "sop", "sign", ID, "--yes", folder=office, expect=4)
    listed = await sopwith("--context", "manager.toml", "sop", "comments", ID, folder=office)
    mend = ("sop", "resolve", made["id"], "It is two in the next draft.")
    await sopwith("--context", "owner.toml", *mend, folder=office)
    signed = await sopwith("--context", "owner.toml", "sop", "sign", ID, "--yes", folder=office)

    assert (made["question"], made["clause"], made["blocking"], made["author"]) == ("accuracy", "V.C", True, "operator")
    assert f"operator's comment {made['id']} on accuracy is open and blocks" in refused.err
    assert f"sopwith sop resolve {made['id']}" in refused.err
    assert "clause VII" in refused.err
    assert "Three are too many." in listed.out
    assert "owner" in signed.out


async def test_only_the_owner_retires_and_says_why(office):  # noqa: F811  the fixture
    for name in ("owner", "manager", "authority"):
        if name == "owner":
            await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
        await sopwith("--context", f"{name}.toml", "sop", "sign", ID, "--yes", folder=office)

    words = ("sop", "retire", ID, "--yes")
    await sopwith("--context", "manager.toml", *words, "--reason", "x", folder=office, expect=4)
    await sopwith("--context", "owner.toml", *words, folder=office, expect=2)
    retired = await sopwith("--context", "owner.toml", *words, "--reason", "merged", "-o", "json", folder=office)

    assert retired.document()["state"] == "RETIRED"
