"""Where the trial of a new agent version is written, and which version this process is.

Decides where both are found; what follows from them is `domain.trial`'s. A version is started by its own
`bin/sopwith-agent`, which names its folder in SOPWITH_AGENT_HOME; an agent that was installed in another way has no
versions beside it and cannot update itself. Old and new version write the file in turns, never at the same time: the
watcher before it starts the new one and after it has ended it, the new one in between.
"""

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.domain.trial import Trial, Verdict, read_trial
from sopwith_formats.durable import durable_remove, durable_replace, make_private_folder
from sopwith_formats.errors import FormatError

INTO = "/opt/sopwith-agent"
LINK = "current"
PROGRAM = "bin/sopwith-agent"
HOME_VARIABLE = "SOPWITH_AGENT_HOME"
TRIED_VARIABLE = "SOPWITH_AGENT_TRIAL"
"""Set for a version that is tried, to its own name: it does not watch itself."""

_log = structlog.get_logger()


def trial_path(kept: Path) -> Path:
    """Return where the trial is written, given the agent's folder for rollback material."""
    return kept / "agent" / "trial.json"


def read(kept: Path) -> Trial | None:
    """Return the trial that is written, None where there is none or it cannot be read."""
    path = trial_path(kept)
    try:
        return read_trial(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, FormatError) as error:
        _log.error("trial_unreadable", path=str(path), error=str(error))
        return None


def write(kept: Path, trial: Trial) -> None:
    """Make the trial durable."""
    make_private_folder(trial_path(kept).parent)
    durable_replace(trial_path(kept), trial.to_json(), 0o600)


def forget(kept: Path) -> None:
    """Remove the trial."""
    if trial_path(kept).exists():
        durable_remove(trial_path(kept))


def running_version(root: Path) -> str:
    """Return the version that this process is, empty for an agent that has no versions beside it."""
    home = os.environ.get(HOME_VARIABLE, "")
    if not home:
        return ""
    folder, own = below_root(root, INTO).resolve(), Path(home).resolve()
    return own.name if own.parent == folder else ""


def watched(kept: Path, root: Path) -> Trial | None:
    """Return the trial that this process has to watch; settle one that others have decided or overtaken."""
    trial = read(kept)
    if trial is None or TRIED_VARIABLE in os.environ:
        return None
    running = running_version(root)
    if running == trial.before:
        return trial if trial.verdict is not Verdict.FELL_BACK else None
    if running != trial.after:
        why = f"Agent {running or 'of another kind'} was installed while {trial.after} was tried."
        write(kept, trial.judged(Verdict.FELL_BACK, why))
    elif trial.verdict is Verdict.CONFIRMED:
        forget(kept)  # the link was switched, and whoever switched it died before it could say so
    return None


class FileTrials:
    """The trial as the update steps see it."""

    def __init__(self, kept: Path, root: Path, stop: Callable[[], None]) -> None:
        """`stop` asks this process to end in order."""
        self._kept = kept
        self._root = root
        self._stop = stop
        self.connected: Callable[[], bool] = lambda: False
        """Tells whether the controller welcomed this process and the stream lives; set by whoever holds the stream."""
        self.handing_over = False
        """Whether this process ends to let the other version work."""

    def running_version(self) -> str:
        """Return the version that this process is."""
        return running_version(self._root)

    def trial(self) -> Trial | None:
        """Return the trial that is written."""
        return read(self._kept)

    def confirm(self) -> None:
        """Write down that the new version, which this process is, stays."""
        self._judge(Verdict.CONFIRMED, "")

    def fall_back(self, why: str) -> None:
        """Write down that the new version, which this process is, goes back."""
        self._judge(Verdict.FELL_BACK, why)

    def hand_over(self) -> None:
        """End this process in order, for the other version to work."""
        if not self.handing_over:
            self.handing_over = True
            self._stop()

    def _judge(self, verdict: Verdict, why: str) -> None:
        trial = read(self._kept)
        if trial is not None:
            write(self._kept, trial.judged(verdict, why))
