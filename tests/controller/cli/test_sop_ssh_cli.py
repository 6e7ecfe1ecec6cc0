"""Signing with an OpenSSH key and by a link, as people type it; proved by `sop verify` and by `ssh-keygen`."""

import asyncio
import base64
import json
from dataclasses import replace

import pytest

from sopwith_certs.ssh_signing import check_key
from sopwith_formats.ssh_signature import NAMESPACE
from tests.controller.cli.test_sop_cli import FLEETS, office, sopwith  # noqa: F401  a fixture
from tests.controller.sop_fleet import ID
from tests.controller.ssh_people import new_key, public

pytestmark = pytest.mark.needs_tool("ssh-keygen")


async def test_signature_of_ssh_keygen_is_made_taken_exported_and_proved_twice(office):  # noqa: F811  the fixture
    key = new_key(office, "authority")
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
    sign = ("--context", "authority.toml", "sop", "sign", ID, "--yes")
    unbound = await sopwith(*sign, "--ssh-key", "authority", folder=office, expect=1)
    await bind(office, "authority", check_key(public(key)).line())

    await sopwith(*sign, "--ssh-key", "authority", folder=office)
    await sopwith("--context", "owner.toml", "sop", "sign", ID, "--yes", folder=office)
    await sopwith("--context", "owner.toml", "sop", "show", ID, "--export", "sop.json", folder=office)
    proof = (await sopwith("sop", "verify", "sop.json", "-o", "json", folder=office)).document()

    assert "no SSH key is bound to authority" in unbound.err
    assert proof["valid"] == 2
    assert [one["key_id"] for one in proof["signatures"] if one["person"] == "authority"] == [
        check_key(public(key)).fingerprint
    ]
    (envelope,) = [one for one in json.loads((office / "sop.json").read_text())["envelopes"] if "sshSignature" in one]
    (office / "statement.sig").write_text(envelope["sshSignature"])
    (office / "allowed").write_text(f'authority namespaces="{NAMESPACE}" {public(key)}')
    command = ("-Y", "verify", "-f", "allowed", "-I", "authority", "-n", NAMESPACE, "-s", "statement.sig")
    known = await asyncio.create_subprocess_exec(
        "ssh-keygen", *command, cwd=office, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    await asyncio.wait_for(known.communicate(base64.b64decode(envelope["payload"])), 60)
    assert known.returncode == 0
    changed = office / "sop.json"
    changed.write_text(changed.read_text().replace('"document":"LS0t', '"document":"LS0u', 1))
    await sopwith("sop", "verify", "sop.json", folder=office, expect=1)


async def test_link_is_made_by_who_manages_and_says_how_it_is_proved(office):  # noqa: F811  the fixture
    key = new_key(office, "authority")
    await bind(office, "authority", check_key(public(key)).line())
    await sopwith("--context", "owner.toml", "sop", "submit", ID, folder=office)
    words = ("sop", "sign", ID, "--link", "authority", "--expires", "2d")

    await sopwith("--context", "authority.toml", *words, folder=office, expect=4)
    made = (await sopwith("--context", "owner.toml", *words, "-o", "json", folder=office)).document()
    shown = await sopwith("--context", "manager.toml", *words, folder=office)

    assert made["link"].startswith("https://127.0.0.1:7445/sign/")
    assert len(made["link"].rpartition("/")[2]) >= 43
    assert (made["person"], made["role"], made["revision"]) == ("authority", "authority", 1)
    assert made["ca_fingerprint"] in shown.out
    assert "give it to authority alone" in shown.err


async def bind(folder, name: str, line: str) -> None:
    """Bind a key as the owner does; the roster's service is not served here."""
    fleet = FLEETS[folder]
    async with fleet.database.write() as unit:
        person = await unit.people.find(name)
        assert person is not None
        await unit.people.put(replace(person, ssh_key=line))
        await unit.commit()
