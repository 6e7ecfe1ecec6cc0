"""A computer that slept past its certificate comes back with its enrolled key; a revoked one does not."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from sopwith_certs.authority import Authority, Subject, certificate_pem
from sopwith_certs.identity import Kind, identity_of_certificate
from sopwith_certs.signing import as_p256
from sopwith_controller.desk.context import read_context
from tests.system.fleet import OWNER, Fleet

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]


def sleep_past_expiry(fleet: Fleet, name: str, days: int) -> x509.Certificate:
    """Put a certificate of the fleet's own authority in place that was issued so many days ago."""
    trust_domain = read_context(fleet.folder / OWNER).trust_domain
    path = fleet.folder / name / "identity" / "certificate.pem"
    living = x509.load_pem_x509_certificate(path.read_bytes())
    identity = identity_of_certificate(living, trust_domain)
    authority = Authority.load(fleet.folder / "c" / "pki", trust_domain)
    past = datetime.now(UTC) - timedelta(days=days)
    expired = authority.issue(as_p256(living.public_key()), Subject(Kind.COMPUTER, identity.id), past)
    path.write_bytes(certificate_pem(expired))
    return expired


def test_a_computer_that_slept_for_sixty_days_comes_back(governed_fleet: Fleet):
    fleet = governed_fleet
    fleet.computers("pc1")
    before = fleet.json("computer", "show", "pc1")
    fleet.kill_agent("pc1")
    expired = sleep_past_expiry(fleet, "pc1", 60)
    assert expired.not_valid_after_utc < datetime.now(UTC) - timedelta(days=29)

    fleet.run_agent("pc1")
    fleet.until("pc1 again", lambda: fleet.json("computer", "show", "pc1")["connected"], seconds=60)

    after = fleet.json("computer", "show", "pc1")
    assert (after["id"], after["key_fingerprint"]) == (before["id"], before["key_fingerprint"])
    renewed = x509.load_pem_x509_certificate((fleet.folder / "pc1" / "identity" / "certificate.pem").read_bytes())
    assert renewed.not_valid_after_utc > datetime.now(UTC) + timedelta(days=28)


def test_a_retired_computer_does_not_come_back(governed_fleet: Fleet):
    fleet = governed_fleet
    fleet.computers("sold")

    fleet.sopwith("computer", "retire", "sold", "--yes", "--reason", "sold")

    fleet.until("the cut stream", lambda: not fleet.json("computer", "show", "sold")["connected"], seconds=15)
    fleet.kill_agent("sold")
    sleep_past_expiry(fleet, "sold", 60)
    fleet.run_agent("sold")
    log = fleet.folder / "sold.log"
    fleet.until("the refusal", lambda: "refused" in log.read_text(), seconds=30)
    assert fleet.json("computer", "show", "sold")["state"] == "RETIRED"
    assert not fleet.json("computer", "show", "sold")["connected"]
