"""The real agent, with one difference: it is killed right after its journal says that a state was entered.

Usage: python agent_that_dies.py STATE run --state DIR ... (arguments of sopwith-agent). A process of its own, so
that no other agent knows about it.
"""

import os
import signal
import sys

from sopwith_agent.adapters.journal import FileJournal
from sopwith_agent.domain.record import Record


def main() -> None:
    fatal = sys.argv[1]
    save = FileJournal.save

    def save_and_die(self: FileJournal, record: Record) -> None:
        save(self, record)
        if record.state == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    FileJournal.save = save_and_die  # type: ignore[method-assign]
    sys.argv = ["sopwith-agent", *sys.argv[2:]]

    from sopwith_agent.__main__ import main as agent_main

    sys.exit(agent_main())


if __name__ == "__main__":
    main()
