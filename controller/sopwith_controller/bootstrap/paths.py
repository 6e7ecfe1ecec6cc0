"""Where what lies in a data folder, under which names the controller is dialled, and how its database is opened."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from sopwith_certs.authority import Subject
from sopwith_certs.identity import Kind
from sopwith_certs.log_key import load_log_key
from sopwith_controller.adapters.database.engine import SqlDatabase, open_database
from sopwith_controller.config import DATABASE_FILE, Config
from sopwith_controller.services.ports import Clock

CONTROLLER_ID = "controller"


@dataclass(frozen=True)
class DataPaths:
    """Where what lies in a data folder (contract, section 8)."""

    data: Path

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.data / "pki"

    @property
    def controller_pair(self) -> Path:
        """The controller's own key and certificate."""
        return self.pki / "controller"

    @property
    def authorities(self) -> Path:
        """The authorities that the fleet trusts."""
        return self.pki / "ca.pem"

    @property
    def warrant_key(self) -> Path:
        """The key that signs warrants."""
        return self.pki / "warrant_key.pem"

    @property
    def log_key(self) -> Path:
        """The key that signs checkpoints of the update log."""
        return self.pki / "log_key"

    @property
    def source(self) -> Path:
        """The signed source."""
        return self.data / "source"

    @property
    def checkpoints(self) -> Path:
        """Published checkpoints."""
        return self.data / "log" / "checkpoints"

    @property
    def owner(self) -> Path:
        """The owner's context."""
        return self.data / "owner"


async def open_store(paths: DataPaths, config: Config, clock: Clock) -> SqlDatabase:
    """Open the database of a data folder with its log key, bringing its tables up to date."""
    return await open_database(
        config.database or paths.data / DATABASE_FILE,
        clock=clock,
        signer=load_log_key(paths.log_key),
        checkpoints=paths.checkpoints,
    )


def controller_subject(config: Config) -> Subject:
    """Return whom the controller's certificate names: every name and address under which it is dialled."""
    names, addresses = {"localhost"}, {"127.0.0.1"}
    for host in (config.advertise, config.listen):
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            names.add(host)
        else:
            if not address.is_unspecified:
                addresses.add(str(address))
    return Subject(Kind.CONTROLLER, CONTROLLER_ID, tuple(sorted(names)), tuple(sorted(addresses)))
