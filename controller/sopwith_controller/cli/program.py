"""The `sopwith` program: nouns, each loaded only when it is named, so that every command starts fast.

A noun's module defines one click group named `group` (or a command named `command` for words without verbs) and makes
its commands with `cli.verbs`, which adds `--context` and `-o` to each.
"""

import os
import sys

NOUNS = {
    "update": ("update", "Update computers with one file: publish, plan, ask once, start, watch."),
    "status": ("status", "Show on one screen what needs a person."),
    "person": ("person", "Invite, list and revoke people."),
    "token": ("token", "Make and revoke join strings for computers."),
    "computer": ("computer", "Look after computers."),
    "source": ("source", "Designate and look after the source of update files."),
    "release": ("release", "Write, publish and withdraw releases."),
    "sop": ("sop", "Write, sign and read the Standard Operating Procedure."),
    "rollout": ("rollout", "Plan, start, watch and stop rollouts."),
    "freeze": ("freeze", "Forbid and allow installing on the whole fleet."),
    "incident": ("incident", "Take and close incidents."),
    "deviation": ("deviation", "Ask for, approve and end exceptions to single gates."),
    "report": ("report", "Read how well the fleet is looked after."),
    "log": ("log", "Read, verify and export the update log."),
    "profile": ("profile", "Show the profile, and make it stricter."),
    "doctor": ("doctor", "Check the controller's set-up."),
    "demo": ("demo", "Show one whole update on real parts, in a minute."),
    "completion": ("completion", "Print shell completion."),
}


def main() -> None:
    """Run the program and leave with its exit code."""
    if sys.argv[1:] == ["--version"]:
        # Before anything heavy is imported: asking for the version takes no time.
        from sopwith_formats.version import VERSION

        print(f"sopwith {VERSION}")
        return
    # What goes wrong is said once and by us; the library's own lines on stderr would come before it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from sopwith_controller.cli.errors import run
    from sopwith_controller.cli.nouns import build

    sys.exit(run(lambda: build(NOUNS).main(prog_name="sopwith", standalone_mode=False)))


if __name__ == "__main__":
    main()
