"""Secrets stay where they belong (fault case 76): everything runs at DEBUG and fails a little, then all is searched.

Canaries: join tokens, every private key, the passphrase of the source's keys, the mail server's password. They may lie
in the files that hold them and nowhere else: no log, no database, no journal, no export, no mail, no process list.
"""

import base64
import re
from pathlib import Path

import pytest

from sopwith_controller.desk.demo_release import write_release
from tests.system.fleet import MANAGER, OPERATOR, Fleet

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]

PASSPHRASE, PASSWORD = "canary passphrase 4711", "canary-password-0815"
ROLLOUT = """rollout: canaries
release: lamp@1
sop: SU-SOP-001
audience: ""
waves: [{name: all, size: 100%}]
"""


def debugging(fleet: Fleet) -> None:
    """Let the controller say all it has to say, and log in at its mail server."""
    path = fleet.folder / "c" / "sopwith.toml"
    (fleet.folder / "smtp.password").write_text(PASSWORD)
    text = path.read_text().replace('log_level = "info"', 'log_level = "debug"').replace("smtp://", "smtp://mailer@")
    path.write_text(text + f'password = "file:{fleet.folder}/smtp.password"\n')
    assert 'log_level = "debug"' in path.read_text()


def enrol_quietly(fleet: Fleet, name: str) -> str:
    """Enrol by a file, twice, so that one try is refused; return the token."""
    join = str(fleet.json("token", "create")["join"])
    (fleet.folder / f"{name}.join").write_text(join)
    for state, expect in ((name, (0,)), ("again", (4,))):
        fleet.stage.run(
            "sopwith-agent", "enroll", "--join-file", f"{name}.join", "--state", state, "--name", state, expect=expect
        )
    (fleet.folder / name / "agent.toml").write_text('log_level = "debug"\n')
    return join.partition("token=")[2]


def private_keys(folder: Path) -> dict[Path, list[bytes]]:
    """Return the secret part of every file that holds a private key, in the forms in which it could leak."""
    found: dict[Path, list[bytes]] = {}
    for path in folder.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        text = path.read_bytes()
        if block := re.search(rb"-----BEGIN (\w+ )?PRIVATE KEY-----\n(.+?)\n-----END", text, re.DOTALL):
            body = block[2].replace(b"\n", b"")
            der = base64.b64decode(body)
            # Where the number itself lies: what stands before it is the same in every key.
            start, end = (16, 48) if len(der) < 60 else (36, 66)
            found[path] = [body[start * 4 // 3 + 3 : end * 4 // 3 - 3], der[start:end]]
        elif text.startswith(b"PRIVATE+KEY+"):
            found[path] = [text.strip().rpartition(b"+")[2]]
    return found


def process_list() -> bytes:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            continue  # it ended meanwhile
    return b"\n".join(lines)


def test_no_secret_leaves_its_place(fleet: Fleet):
    fleet.init()
    debugging(fleet)
    fleet.serve()
    fleet.sign_sop()
    (fleet.folder / "passphrase").write_text(PASSPHRASE)
    phrase = ("--passphrase-file", "passphrase")
    fleet.sopwith("source", "init", "--keys", "keys", "--backup-keys", "backup", *phrase)
    write_release(fleet.folder / "lamp-1", "1", shines=False, summary="It stays dark")
    fleet.sopwith("release", "publish", "lamp-1", "--keys", "keys", *phrase, who=OPERATOR)
    token = enrol_quietly(fleet, "pc1")
    fleet.run_agent("pc1")
    fleet.until("a ready computer", lambda: fleet.all_ready(1))

    rollout = fleet.start(ROLLOUT)
    fleet.finish(rollout, expect=(5,), timeout=60)
    incident = fleet.json("incident", "list")[0]["id"]
    fleet.until("a try to send", lambda: fleet.json("incident", "show", incident)["notifications"])
    fleet.sopwith("incident", "acknowledge", incident, who=MANAGER)
    fleet.sopwith("log", "export", "--out", "log.zip")
    entries = fleet.sopwith("log", "list", "-o", "json").out.encode()
    fleet.sopwith("log", "verify")
    running = process_list()

    keys = private_keys(fleet.folder)
    assert len(keys) >= 8, sorted(keys)
    holders = {
        token.encode(): {fleet.folder / "pc1.join"},
        PASSPHRASE.encode(): {fleet.folder / "passphrase"},
        PASSWORD.encode(): {fleet.folder / "smtp.password"},
        base64.b64encode(f"\0mailer\0{PASSWORD}".encode()): set(),
    }
    for path, forms in keys.items():
        for form in forms:
            holders.setdefault(form, set()).add(path)
    searched = 0
    for path in fleet.folder.rglob("*"):
        if path.is_file():
            content, searched = path.read_bytes(), searched + 1
            leaks = [form for form, places in holders.items() if form in content and path.resolve() not in places]
            assert not leaks, f"{path} holds {leaks[0]!r}"
    said = entries + running + "\n".join(fleet.mails()).encode()
    assert not [form for form in holders if form in said]
    assert searched > 40
    assert (fleet.folder / "controller.log").read_bytes()
    assert (fleet.folder / "pc1.log").read_bytes()
