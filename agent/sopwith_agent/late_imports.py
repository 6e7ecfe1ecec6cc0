"""Parts of libraries that load when something first uses them, and not when the library around them does.

Decides which parts wait and how they come; who loads the library says when (`at_start`, `for_the_source`). What is
loaded stays for as long as the agent runs, and these parts an agent at rest never uses. Rules:

- Nothing is taken away. A waiting part loads at its first use and then is as it always was. Only what a library
  provides for being without may seem missing to it.
- Others are not concerned: once the library is loaded, whoever imports the part gets it at once.
- Hashes are Python's own until the source is first asked. OpenSSL's are five times as fast and cost 3.4 MiB, which the
  connection to the source takes anyway; the one to the controller does not need them.
"""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Self


def _passed_on(name: str, function: str) -> Callable[..., Any]:
    """Return a function that loads a module and passes the call on."""

    def call(*arguments: Any, **named: Any) -> Any:
        return getattr(importlib.import_module(name), function)(*arguments, **named)

    call.__name__ = function
    return call


_WITHOUT = ("ssl", "rich", "greenlet")
"""For asyncio and structlog: gRPC brings a TLS of its own, and nobody looks at colours."""
_AT_START: dict[str, dict[str, Any]] = {
    "google.protobuf.internal.python_message": {},  # messages in pure Python, beside those in C: 0.8 MiB
    "typing_extensions": {"Self": Self},  # of which it is only another name
    "asyncio.sslproto": {},
    "bz2": {},
    "lzma": {},
    "uuid": {},
}
_FOR_THE_SOURCE: dict[str, dict[str, Any]] = {
    "tuf.ngclient.urllib3_fetcher": {"Urllib3Fetcher": _passed_on("tuf.ngclient.urllib3_fetcher", "Urllib3Fetcher")},
    "importlib.metadata": {"version": _passed_on("importlib.metadata", "version")},
    "mimetypes": {},
}
"""Of the first two a name is imported and never called: the agent brings a fetcher of its own, and speaks no HTTP/2."""


@contextlib.contextmanager
def at_start() -> Iterator[None]:
    """Import the agent itself in here."""
    openssl = ("_hashlib",) if _hashes_without_openssl() else ()
    with _missing(*_WITHOUT, *openssl), _waiting(_AT_START):
        yield


@contextlib.contextmanager
def for_the_source() -> Iterator[None]:
    """Import what asks the source in here; from now on, OpenSSL hashes."""
    if "_hashlib" not in sys.modules and "hashlib" in sys.modules:
        importlib.reload(sys.modules["hashlib"])  # its functions are replaced one by one, by equal ones
    with _missing("backports.zstd", "compression.zstd"), _waiting(_FOR_THE_SOURCE):
        yield


@contextlib.contextmanager
def _missing(*names: str) -> Iterator[None]:
    """Let modules that are not loaded yet seem missing; their absence is provided for by whoever imports them."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # this is how an import is made to fail
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def _waiting(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Let modules that are not loaded yet wait; what is named with them can be had of them without loading."""
    waiting = {name: _Waiting(name, known) for name, known in parts.items() if name not in sys.modules}
    sys.modules.update(waiting)
    try:
        yield
    finally:
        for name, module in waiting.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _Waiting(ModuleType):
    """Stands where a module will be; its first attribute loads that."""

    def __init__(self, name: str, known: Mapping[str, Any]) -> None:
        super().__init__(name)
        vars(self).update(known)

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # the import system asks for these, and no part is called so
            raise AttributeError(attribute)
        return getattr(_loaded(self), attribute)


def _loaded(waiting: _Waiting) -> ModuleType:
    name = waiting.__name__
    if sys.modules.get(name) is waiting:
        del sys.modules[name]
    return importlib.import_module(name)


def _hashes_without_openssl() -> bool:
    """Tell whether this Python brings every hash itself; some are built to have them from OpenSSL alone."""
    sha2 = ("_sha2",) if sys.version_info >= (3, 12) else ("_sha256", "_sha512")
    try:
        for name in ("_md5", "_sha1", *sha2, "_sha3", "_blake2"):
            importlib.import_module(name)
    except ImportError:
        return False
    return True
