"""What the controller tells about itself at `/.well-known/sopwith`, and whose certificates it shows at enrolment.

This module only holds the answers; `bootstrap` gathers them. It changes nothing and reads no file.
"""

from dataclasses import dataclass

from sopwith_certs.authority import Issuer


@dataclass(frozen=True)
class FleetTrust:
    """Fills the port `console.enrolment.Trust`. Keys are public; `fleet_address` is HOST:PORT as computers dial it."""

    authority: Issuer
    fleet_address: str
    log_key: str
    warrant_keys_pem: bytes
    controller_name: str

    def trust_bundle_pem(self) -> bytes:
        """Return the authorities that the fleet trusts, PEM."""
        return self.authority.trust_bundle_pem

    def directions(self) -> dict[str, str]:
        """Return where the fleet is and whose keys it uses."""
        return {
            "fleet_address": self.fleet_address,
            "trust_domain": self.authority.trust_domain,
            "log_key": self.log_key,
            "warrant_keys_pem": self.warrant_keys_pem.decode(),
            "trust_bundle_pem": self.authority.trust_bundle_pem.decode(),
            "controller_name": self.controller_name,
        }
