"""What an operating system's refusal means to an installer: one table from error numbers to symptoms."""

import contextlib
import errno
from collections.abc import Iterator

from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom

_SYMPTOMS = {
    errno.ENOSPC: (Symptom.DISK_FULL, "free space on this file system"),
    errno.EDQUOT: (Symptom.DISK_FULL, "raise the quota or free space"),
    errno.EACCES: (Symptom.PERMISSION_DENIED, "run the agent as a user who may write there"),
    errno.EPERM: (Symptom.PERMISSION_DENIED, "run the agent as a user who may write there"),
    errno.EROFS: (Symptom.PERMISSION_DENIED, "mount the file system for writing"),
    errno.ETXTBSY: (Symptom.FILE_OR_SERVICE_IN_USE, "end the program that runs from this file"),
    errno.EBUSY: (Symptom.FILE_OR_SERVICE_IN_USE, "end what uses the file"),
}


@contextlib.contextmanager
def classified(act: str, *, changed: bool = False) -> Iterator[None]:
    """Turn an OSError of the block into a StepError with its symptom; `act` says what was being done."""
    try:
        yield
    except OSError as error:
        symptom, remedy = _SYMPTOMS.get(error.errno or 0, (Symptom.UNKNOWN, ""))
        where = f" at {error.filename}" if error.filename else ""
        message = f"{act} failed{where}: {error.strerror or error}"
        raise StepError(symptom, message, remedy=remedy, changed=changed) from error
