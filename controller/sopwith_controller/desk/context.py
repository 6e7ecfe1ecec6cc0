"""The context: how one person on one machine reaches one controller, without any secret in it.

Found by `--context FILE`, else `SOPWITH_CONTEXT`, else `sopwith/context.toml` in the user's configuration folder. Keys
stand as addresses (`file:key.pem`, relative to the context file). The source's root is pinned here, too: empty until
the first publish or `source init` of this person, then never changed by what a controller says.
"""

import os
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from sopwith_controller.desk.errors import DeskError
from sopwith_formats.durable import durable_write

FORMAT = 1
_HEADER = "# A Sopwith context: addresses and fingerprints, no secret. `sopwith --context FILE ...` uses it.\n"


@dataclass(frozen=True)
class Context:
    """One context file. Addresses are HOST:PORT; fingerprints "sha256:" and 64 hexadecimal digits."""

    path: Path
    organization: str
    trust_domain: str
    person: str
    fleet_address: str
    web_address: str
    ca_fingerprint: str
    trust_bundle: str
    certificate: str
    key: str
    log_key: str = ""
    source_root: str = ""
    source_keys: str = ""
    """Where this person's release key lies, remembered from the last publish; `sopwith update` looks there."""

    def file(self, address: str) -> Path:
        """Return the path of a `file:` address, relative to the context file."""
        scheme, _, name = address.partition(":")
        if scheme != "file" or not name:
            raise DeskError(
                f"{self.path}: {address!r} is no address of a file", remedy='write it like "file:certificate.pem"'
            )
        return self.path.parent / name

    def read(self, address: str) -> bytes:
        """Return the bytes behind a `file:` address."""
        path = self.file(address)
        try:
            return path.read_bytes()
        except OSError as error:
            raise DeskError(
                f"{self.path} names {path}, which cannot be read: {error.strerror}",
                remedy="ask the owner for a new `sopwith person invite`",
            ) from error

    def source_root_bytes(self) -> bytes:
        """Return the pinned root metadata of the source, empty before it is pinned."""
        return self.read(self.source_root) if self.source_root else b""

    def pin_source_root(self, root_json: bytes) -> "Context":
        """Write the root metadata beside the context and pin it; a pinned root stays."""
        if self.source_root:
            if self.source_root_bytes() != root_json:
                raise DeskError(
                    f"{self.path} pins another source root than this one",
                    remedy="use the keys of the designated source, or a context of the other controller",
                )
            return self
        name = f"{self.path.stem}.root.json"
        durable_write(self.path.parent / name, root_json)
        pinned = replace(self, source_root=f"file:{name}")
        write_context(pinned)
        return pinned

    def remember_keys(self, folder: Path) -> "Context":
        """Write down where the release key lies, so that it need not be named again."""
        address = f"file:{folder.resolve()}"
        if address == self.source_keys:
            return self
        remembering = replace(self, source_keys=address)
        write_context(remembering)
        return remembering


def context_path(given: str | None) -> Path:
    """Return the path of the context in force."""
    if given:
        return Path(given)
    if os.environ.get("SOPWITH_CONTEXT"):
        return Path(os.environ["SOPWITH_CONTEXT"])
    folder = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(folder) / "sopwith" / "context.toml"


def read_context(path: Path) -> Context:
    """Return the context of a file; raise DeskError with the mend."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DeskError(
            f"there is no context at {path}",
            remedy="name one with --context FILE or SOPWITH_CONTEXT; `sopwith person accept` makes one",
        ) from error
    except OSError as error:
        raise DeskError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no TOML, a giant number, a tower of brackets
        raise DeskError(f"{path} is no TOML file: {error}", remedy="make the context anew") from error
    if document.pop("format", None) != FORMAT:
        raise DeskError(f"{path} is no context of a known format", remedy=f"it must say format = {FORMAT}")
    known = {field.name for field in fields(Context)} - {"path"}
    odd = sorted(document.keys() - known)
    missing = sorted(known - document.keys() - {"log_key", "source_root", "source_keys"})
    wrong = sorted(key for key, value in document.items() if not isinstance(value, str))
    if odd or missing or wrong:
        parts = [
            f"{label} {', '.join(keys)}"
            for label, keys in (("unknown", odd), ("missing", missing), ("no text:", wrong))
            if keys
        ]
        raise DeskError(f"{path}: {'; '.join(parts)}", remedy="make the context anew with `sopwith person accept`")
    return Context(path=path, **document)


def write_context(context: Context) -> None:
    """Write a context file durably."""
    lines = [f"format = {FORMAT}"]
    for field in fields(Context):
        if field.name != "path":
            value = getattr(context, field.name).replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'{field.name} = "{value}"')
    durable_write(context.path, (_HEADER + "\n".join(lines) + "\n").encode())
