"""From the options of `init` to a founded controller: ports and names are chosen here, everything else is checked.

What is made, and that it is all or nothing, is `data_folder`'s.
"""

from pathlib import Path
from typing import Any

from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.adapters.sop_reader import StrictSopReader
from sopwith_controller.config import Config, Mail, check_smtp
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.operate.data_folder import Founding, Tools, found
from sopwith_controller.operate.ports_choice import advertised_name, check_host, resolve_ports


def found_from_options(data: Path, given: dict[str, Any]) -> dict[str, str]:
    """Make a data folder and return what `init -o json` prints."""
    listen = given["listen"]
    advertise = given["advertise"] or advertised_name(listen)
    check_host(listen, "--listen")
    check_host(advertise, "--advertise")
    if given["smtp"]:
        try:
            check_smtp(given["smtp"])
        except ValueError as error:
            raise InvalidInputError(f"--smtp: {error}") from error
    fleet_port, web_port = resolve_ports(listen, given["fleet_port"], given["web_port"])
    config = Config(
        listen=listen,
        advertise=advertise,
        fleet_port=fleet_port,
        web_port=web_port,
        database=given["database"],
        smtp=Mail(address=given["smtp"], sender=f"sopwith@{advertise if '.' in advertise else 'localhost'}"),
    )
    founding = Founding(
        data=data,
        organization=given["organization"],
        owner=given["owner"],
        it_manager=given["it_manager"],
        it_manager_email=given["it_manager_email"],
        authority=given["authority"],
        profile=given["profile"],
        config=config,
        owner_email=given["owner_email"],
        authority_email=given["authority_email"],
        window=given["window"],
    )
    founded = found(founding, Tools(SystemClock(), RandomIds(), StrictSopReader()))
    return {
        "data": str(founded.data),
        "organization": founding.organization,
        "trust_domain": founded.trust_domain,
        "profile": founding.profile,
        "ca_fingerprint": founded.ca_fingerprint,
        "fleet_address": config.fleet_address,
        "web_address": config.web_address,
        "context": str(founded.context),
    }
