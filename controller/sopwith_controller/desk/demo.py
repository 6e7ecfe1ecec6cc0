"""The demo: one whole update on real parts, a line per beat, everything by the commands that a person would type.

The play decides nothing about updates: it starts programs (`demo_stage`), writes a small product (`demo_release`) and
tells what it sees. A beat that does not show what it announces ends the demo with an error, so that `DEMO OK` means
that every line above it was true.
"""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from sopwith_controller.desk.demo_page import page
from sopwith_controller.desk.demo_release import write_release, write_rollout
from sopwith_controller.desk.demo_stage import Mailbox, Stage, program_path
from sopwith_controller.desk.errors import DeskError

COMPUTERS = 5
WAIT = ("--wait", "--timeout", "60s")
Say = Callable[[str], None]


class Play:
    """One performance; `say` prints a line for people."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.stage = Stage(folder)
        self.beats: list[tuple[float, str]] = []
        self.mail = ""
        self.entries: list[dict[str, Any]] = []
        self.verified = ""
        self._say = say
        self._began = time.monotonic()

    def perform(self) -> None:
        """Play all acts."""
        self._open_controller()
        self._sign_sop()
        self._enrol_computers()
        self._first_release()
        self._bad_update()
        self._swapped_file()
        self._mended_release()
        self._update_log()

    def beat(self, text: str) -> None:
        """Tell one thing that was seen."""
        at = time.monotonic() - self._began
        self.beats.append((at, text))
        self._say(f"{at:5.1f} s  {text}")

    def sopwith(self, *arguments: str, who: str = "c/owner/context.toml", expect: tuple[int, ...] = (0,)) -> Any:
        """Run one command of the admins' program."""
        return self.stage.run("sopwith", *arguments, context=who, expect=expect)

    def _open_controller(self) -> None:
        mailbox = self.stage.mailbox = Mailbox()
        self.stage.run(
            "sopwith-controller", "init", "--data", "c", "--organization", "Example Clinics", "--owner", "olivia",
            "--it-manager", "ivan", "--it-manager-email", "ivan@localhost", "--authority", "ada",
            "--profile", "standard", "--listen", "127.0.0.1", "--fleet-port", "0", "--web-port", "0",
            "--smtp", f"smtp://127.0.0.1:{mailbox.port}",
        )  # fmt: skip
        self._serve()
        self.beat("A controller runs: its own authority, mutual TLS on the fleet port, a mail server to write to.")

    def _serve(self) -> None:
        self.stage.start("sopwith-controller", "serve", "--data", "c", log="controller.log")
        self.stage.until("the controller's answer", lambda: self.sopwith("status", expect=(0, 6, 1)).code == 0)

    def _sign_sop(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._invite, ("ivan", "ada", "oscar")))
        self.sopwith("sop", "submit", "SU-SOP-001")
        self.sopwith("sop", "sign", "SU-SOP-001", "--yes")
        self.sopwith("sop", "sign", "SU-SOP-001", "--yes", who="ivan.toml")
        write_release(self.stage.folder / "lamp-1", "1", shines=True, summary="The first lamp")
        self.sopwith("source", "init", "--keys", "keys", "--backup-keys", "backup")
        self.sopwith("release", "publish", "lamp-1", "--keys", "keys", who="oscar.toml")
        self.beat("A source of signed files is designated; release lamp@1 is signed on the release manager's machine.")

    def _invite(self, name: str) -> None:
        roles = {"ivan": ("it_manager",), "ada": ("authority",), "oscar": ("operator", "release_manager")}[name]
        flags = [flag for role in roles for flag in ("--role", role)]
        join = self.sopwith("person", "invite", name, *flags, "-o", "json").document()["join"]
        (self.stage.folder / f"{name}.join").write_text(join, encoding="utf-8")
        self.stage.run("sopwith", "person", "accept", "--join-file", f"{name}.join", "--context", f"{name}.toml")

    def _enrol_computers(self) -> None:
        token = self.sopwith("token", "create", "--uses", str(COMPUTERS), "--label", "site=berlin", "-o", "json")
        (self.stage.folder / "computers.join").write_text(token.document()["join"], encoding="utf-8")
        with ThreadPoolExecutor(COMPUTERS) as pool:
            list(pool.map(self._start_computer, range(1, COMPUTERS + 1)))
        self.stage.until("all computers connected and ready", self._all_ready)
        self.beat(f"{COMPUTERS} computers are enrolled, connected, and have measured that they are ready.")

    def _start_computer(self, number: int) -> None:
        state = f"pc{number}"
        self.stage.run("sopwith-agent", "enroll", "--join-file", "computers.join", "--state", state, "--name", state)
        self.stage.start("sopwith-agent", "run", "--state", state, "--root", f"{state}-root", log=f"{state}.log")

    def _all_ready(self) -> bool:
        computers = self.sopwith("computer", "list", "-o", "json").document()
        ready = [c for c in computers if c["connected"] and (c["readiness"] or {}).get("verdict") == "READY"]
        return len(ready) == COMPUTERS

    def _first_release(self) -> None:
        write_rollout(self.stage.folder / "lamp-1.yaml", "1", "[{name: all, size: 100%}]", max_concurrency="5")
        rollout = self._create("lamp-1.yaml")
        refused = self.sopwith("rollout", "submit", rollout, who="oscar.toml", expect=(4,))
        self._must("sop_effective" in refused.err, "a rollout under an unsigned SOP is refused", refused.err)
        self.beat(f"Two of three signatures: the rollout is refused. {refused.err.splitlines()[0]}")
        self.sopwith("sop", "sign", "SU-SOP-001", "--yes", who="ada.toml")
        state = self.sopwith("sop", "show", "SU-SOP-001", "-o", "json").document()["state"]
        self._must(state == "EFFECTIVE", "three signatures make the SOP effective", state)
        self.sopwith("sop", "acknowledge", "SU-SOP-001", "--yes", who="oscar.toml")
        self.beat("The third signature makes SU-SOP-001 revision 1 effective; the operator acknowledges it.")
        self._run(rollout, "first installation", (0,))
        self._must(self._versions() == ["1"] * COMPUTERS, "every computer runs lamp 1", str(self._versions()))
        self.beat(f"lamp@1 runs on all {COMPUTERS} computers, read back from each.")

    def _bad_update(self) -> None:
        write_release(self.stage.folder / "lamp-2", "2", shines=False, summary="A brighter lamp, it says")
        self.sopwith("release", "publish", "lamp-2", "--keys", "keys", who="oscar.toml")
        write_rollout(self.stage.folder / "lamp-2.yaml", "2", "[{name: canary, size: 1}, {name: rest, size: 100%}]")
        rollout = self._create("lamp-2.yaml")
        shown = self._run(rollout, "monthly update", (5,))
        counts, versions = shown["counts"], self._versions()
        touched = counts["rolled_back"] + counts["failed"] + counts["succeeded"]
        self._must(
            (touched, counts["rolled_back"], versions) == (1, 1, ["1"] * COMPUTERS), "only the canary", str(shown)
        )
        untouched = COMPUTERS - touched
        self.beat(
            f"lamp@2 is bad: its canary fails the health check, rolls back. {touched} touched, {untouched} untouched."
        )
        mailbox = self.stage.mailbox
        self.stage.until("the IT manager's mail", lambda: mailbox and mailbox.messages, seconds=60)
        message = mailbox.messages[0] if mailbox else None
        self.mail = readable(message) if message else ""
        self._must("lamp@2" in self.mail, "the mail names the release", self.mail)
        self.beat(f"The IT manager has mail: {message['subject'] if message else ''}")
        self._acknowledge_all()
        self.sopwith(
            "release", "withdraw", "lamp@2", "--yes", "--reason", "stays dark", "--keys", "keys", who="oscar.toml"
        )
        state = self.sopwith("rollout", "show", rollout, "-o", "json").document()["state"]
        self._must(state == "COMPLETED", "a withdrawn release ends its rollout", state)
        self.beat("He acknowledges it. The release is withdrawn from the signed source, and that ends its rollout.")

    def _acknowledge_all(self) -> None:
        for incident in self.sopwith("incident", "list", "-o", "json").document():
            if incident["state"] == "OPEN":
                self.sopwith("incident", "acknowledge", incident["id"], who="ivan.toml")

    def _swapped_file(self) -> None:
        write_release(self.stage.folder / "lamp-3", "3", shines=True, summary="The mended lamp")
        self.sopwith("release", "publish", "lamp-3", "--keys", "keys", who="oscar.toml")
        served = next((self.stage.folder / "c" / "source" / "targets").rglob("*lamp-3.tar.gz"))
        honest = served.read_bytes()
        served.write_bytes(honest[:-9] + b"\0" * 9)
        write_rollout(
            self.stage.folder / "swapped.yaml", "3", "[{name: all, size: 100%}]", max_concurrency="5",
            error_threshold="{percent: 100, count: 99, lost: 99}",
        )  # fmt: skip
        rollout = self._create("swapped.yaml")
        shown = self._run(rollout, "with a swapped file", (5,))
        versions = self._versions()
        self._must(
            (shown["counts"]["failed"], versions) == (COMPUTERS, ["1"] * COMPUTERS), "all refuse", f"{shown} {versions}"
        )
        self.beat(
            f"A file is swapped on the controller: {COMPUTERS} of {COMPUTERS} computers refuse it, none installs it."
        )
        served.write_bytes(honest)
        self._acknowledge_all()

    def _mended_release(self) -> None:
        waves = "[{name: canary, size: 1, soak: 4s}, {name: rest, size: 100%}]"
        write_rollout(self.stage.folder / "lamp-3.yaml", "3", waves, max_concurrency="5", ticket="CHG-1234")
        rollout = self._create("lamp-3.yaml")
        self.sopwith("rollout", "submit", rollout, who="oscar.toml")
        self.sopwith("rollout", "start", rollout, "--yes", "--reason", "the mended lamp", who="oscar.toml")
        waiting = self.stage.until("a waiting computer", lambda: self._waiting(rollout))
        self.beat(f"explain says why {waiting['computer']} waits ({waiting['waits_for']}): {waiting['message']}")
        self.sopwith("rollout", "status", rollout, *WAIT, who="oscar.toml")
        self._must(self._versions() == ["3"] * COMPUTERS, "every computer runs lamp 3", str(self._versions()))
        self.beat(f"The mended lamp@3 runs on all {COMPUTERS} computers.")

    def _waiting(self, rollout: str) -> Any:
        reply = self.sopwith("rollout", "explain", rollout, "-o", "json", who="oscar.toml").document()
        found = [item for item in reply["explanations"] if item["waits_for"] in ("wave", "soak")]
        return found[0] if found else None

    def _update_log(self) -> None:
        self.entries = self.sopwith("log", "list", "-o", "json").document()
        outcomes = [entry for entry in self.entries if entry["outcome"]]
        verified = self.sopwith("log", "verify")
        self.verified = (verified.out + verified.err).strip()
        last = outcomes[-1]
        self.beat(f"The update log holds {len(self.entries)} entries, {len(outcomes)} of them outcomes; verified.")
        self.beat(
            f"Its last outcome: {last['date']} {last['time']} {last['computer']} {last['release']} {last['outcome']}"
        )
        self._falsify(last["index"])
        found = self.sopwith("log", "verify", expect=(1,))
        words = (found.out + found.err).strip().splitlines()
        self._must(str(last["index"]) in " ".join(words), "the falsified row is named", " ".join(words))
        self.beat(f"Somebody edits that row in the database: {words[-1]}")
        self._falsify(last["index"], back=True)

    def _falsify(self, index: int, *, back: bool = False) -> None:
        new, old = ("SUCCEEDED", "FAILED") if back else ("FAILED", "SUCCEEDED")
        with sqlite3.connect(self.stage.folder / "c" / "sopwith.db", timeout=10) as database:
            changed = database.execute(
                "UPDATE update_log SET outcome = ? WHERE entry_index = ? AND outcome = ?", (new, index, old)
            ).rowcount
        database.close()
        self._must(changed == 1, "one row was edited", str(changed))

    def _create(self, file: str) -> str:
        return str(self.sopwith("rollout", "create", "-f", file, "-o", "json", who="oscar.toml").document()["id"])

    def _run(self, rollout: str, reason: str, codes: tuple[int, ...]) -> Any:
        self.sopwith("rollout", "submit", rollout, who="oscar.toml")
        self.sopwith("rollout", "start", rollout, "--yes", "--reason", reason, who="oscar.toml")
        self.sopwith("rollout", "status", rollout, *WAIT, who="oscar.toml", expect=codes)
        return self.sopwith("rollout", "show", rollout, "-o", "json", who="oscar.toml").document()

    def _versions(self) -> list[str]:
        links = [self.stage.folder / f"pc{n}-root" / "opt" / "lamp" / "current" for n in range(1, COMPUTERS + 1)]
        return [link.readlink().name if link.is_symlink() else "" for link in links]

    def _must(self, held: object, what: str, seen: str) -> None:
        if not held:
            raise DeskError(f"the demo expected that {what}, and saw: {seen}", remedy=f"look into {self.stage.folder}")


def readable(message: EmailMessage) -> str:
    """Return a mail as a mail program shows it."""
    head = "\n".join(f"{name}: {message[name]}" for name in ("From", "To", "Subject", "Date") if message[name])
    return f"{head}\n\n{message.get_content()}"


def perform(folder: Path | None, *, keep: bool, say: Say) -> Path:
    """Perform; return the path of the closing page. Without a folder a temporary one is used and kept for the page."""
    place = folder or Path(tempfile.mkdtemp(prefix="sopwith-demo-"))
    place.mkdir(parents=True, exist_ok=True)
    if any(place.iterdir()):
        raise DeskError(f"{place} is not empty", remedy="name an empty folder with --dir")
    play = Play(place.resolve(), say)
    try:
        play.perform()
        path = place / "demo.html"
        title = "Sopwith: one update, from the signed procedure to the verified log"
        path.write_text(page(title, play.beats, play.mail, play.entries, play.verified), encoding="utf-8")
    except BaseException:
        play.stage.stop()
        raise
    if keep:
        _next_commands(play, say)
    else:
        play.stage.stop()
        for item in place.iterdir():
            if item.is_dir():
                shutil.rmtree(item)
            elif item != path:
                item.unlink()
    return path


def _next_commands(play: Play, say: Say) -> None:
    folder = play.stage.folder
    pids = " ".join(str(process.pid) for process in play.stage.processes)
    say("\nThe fleet goes on running. Next, type any of these:\n")
    enrol = (
        "sopwith token create --label site=here -o name > here.join; "
        "sopwith-agent enroll --join-file here.join --state here --name here; "
        "sopwith-agent run --state here > here.log 2>&1 &"
    )
    for line in (
        f"cd {folder}",
        f"export PATH={Path(program_path('sopwith')).parent}:$PATH SOPWITH_CONTEXT=c/owner/context.toml",
        "sopwith status",
        "sopwith computer list",
        "sopwith rollout list",
        "sopwith log list",
        f"kill {pids}   # ends the fleet, when you have seen enough",
        "",
        "# As root on Debian: enrol this very computer, and update a real package on it.",
        enrol,
        "apt-get download hello && sopwith --context oscar.toml update ./hello_*.deb --to site=here",
    ):
        say(f"  {line}")
