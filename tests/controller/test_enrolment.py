"""Who gets a certificate, who does not, and what the update log keeps of it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sopwith_certs.authority import Authority, read_certificate
from sopwith_certs.est_messages import make_request
from sopwith_certs.identity import Kind, identity_of_certificate
from sopwith_certs.log_key import make_log_key
from sopwith_certs.signing import fingerprint, new_key
from sopwith_controller.adapters.database.engine import open_database
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.adapters.issuer import BuiltInIssuer
from sopwith_controller.domain.entities import Computer, ComputerState, Person, Settings, Token
from sopwith_controller.domain.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    TrustError,
    UnavailableError,
)
from sopwith_controller.services import enrolment
from sopwith_controller.services.access import Access, Caller
from sopwith_controller.services.enrolment import Enrolment, Issued, Waiting
from tests.builders import FixedClock
from tests.fakes.database import FakeDatabase
from tests.fakes.log_signer import FakeLogSigner

TRUST_DOMAIN = "example.test"
SECRET = "a-secret-of-a-token"


class Fleet:
    """A controller's enrolment over the fake database and a real authority."""

    def __init__(self, database: Any = None, clock: FixedClock | None = None) -> None:
        self.clock = clock or FixedClock()
        self.database = database or FakeDatabase(self.clock, FakeLogSigner())
        self.access = Access(self.database)
        self.authority = Authority.create("Example", TRUST_DOMAIN, self.clock.now())
        self.enrolment = Enrolment(self.database, BuiltInIssuer(self.authority), self.clock, RandomIds(), self.access)
        self.cuts: list[str] = []
        self.access.on_cut(lambda subject_id, _reason: self.cuts.append(subject_id))

    async def token(self, secret: str = SECRET, **changes: Any) -> Token:
        token = Token(
            id=f"t-{secret}",
            secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
            kind="computer",
            person_id="",
            labels={"site": "berlin"},
            uses_left=1,
            expires_time=self.clock.now() + timedelta(hours=24),
            created_by="owner",
            created_time=self.clock.now(),
        )
        token = replace(token, **changes)
        await self.put("tokens", token)
        return token

    async def invitation(self, person: Person, secret: str = SECRET) -> Person:
        await self.put("people", person)
        await self.token(secret, kind="person", person_id=person.id, labels={})
        return person

    async def put(self, repository: str, entity: Any) -> Any:
        async with self.database.write() as unit:
            await unit.put_settings(Settings("Example", TRUST_DOMAIN, "standard", "k", self.clock.now()))
            await getattr(unit, repository).put(entity)
            await unit.commit()
        return entity

    async def get(self, repository: str, key: str) -> Any:
        async with self.database.read() as unit:
            return await getattr(unit, repository).get(key)

    async def computers(self) -> Sequence[Computer]:
        async with self.database.read() as unit:
            return await unit.computers.all()

    async def log_kinds(self) -> list[str]:
        async with self.database.read() as unit:
            return [entry.kind for entry in await unit.update_log.entries(0, 100)]

    def identity(self, answer: Issued | Waiting) -> Any:
        assert isinstance(answer, Issued)
        certificate = read_certificate(answer.certificate_pem)
        certificate.verify_directly_issued_by(self.authority.certificate)
        return identity_of_certificate(certificate, TRUST_DOMAIN)

    def admitted(self, answer: Issued | Waiting) -> Caller:
        identity = self.identity(answer)
        return self.access.admit(identity.kind.value, identity.id, identity.serial)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
async def fleet_on_disk(tmp_path: Path) -> AsyncIterator[Fleet]:
    """The same over the real database."""
    clock, key = FixedClock(), make_log_key("log.example.test")
    database = await open_database(
        tmp_path / "sopwith.db", clock=clock, signer=key, checkpoints=tmp_path / "checkpoints"
    )
    yield Fleet(database, clock)
    await database.close()


async def test_computer_with_a_token_is_accepted_at_once_with_the_tokens_labels(fleet: Fleet) -> None:
    await fleet.token()
    key = new_key()

    answer = await fleet.enrolment.enrol(make_request(key), name="pc1", token=SECRET)

    identity = fleet.identity(answer)
    computer = await fleet.get("computers", identity.id)
    assert identity.kind is Kind.COMPUTER
    assert (computer.name, computer.state, computer.labels) == ("pc1", ComputerState.ACCEPTED, {"site": "berlin"})
    assert computer.key_fingerprint == fingerprint(key.public_key())
    assert await fleet.log_kinds() == ["COMPUTER_ENROLLED"]
    assert fleet.admitted(answer).name == "pc1"
    certificate = await fleet.get("certificates", identity.serial)
    assert (certificate.subject_kind, certificate.subject_id) == ("computer", identity.id)


async def test_used_token_is_refused(fleet: Fleet) -> None:
    await fleet.token()
    await fleet.enrolment.enrol(make_request(new_key()), name="pc1", token=SECRET)

    with pytest.raises(RefusedError, match="used already"):
        await fleet.enrolment.enrol(make_request(new_key()), name="pc2", token=SECRET)
    assert [computer.name for computer in await fleet.computers()] == ["pc1"]


async def test_last_use_of_a_token_is_spent_once_by_many_at_a_time(fleet: Fleet) -> None:
    await fleet.token(uses_left=3)

    answers = await asyncio.gather(
        *(fleet.enrolment.enrol(make_request(new_key()), name=f"pc{n}", token=SECRET) for n in range(12)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, Issued) for answer in answers) == 3
    assert sum(isinstance(answer, RefusedError) for answer in answers) == 9
    assert len(await fleet.computers()) == 3


async def test_last_use_of_a_token_is_spent_once_on_the_real_database(fleet_on_disk: Fleet) -> None:
    fleet = fleet_on_disk
    await fleet.token(uses_left=3)

    answers = await asyncio.gather(
        *(fleet.enrolment.enrol(make_request(new_key()), name=f"pc{n}", token=SECRET) for n in range(12)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, Issued) for answer in answers) == 3
    assert sum(isinstance(answer, RefusedError) for answer in answers) == 9
    assert len(await fleet.computers()) == 3


async def test_lost_answer_is_given_again_without_spending_the_token(fleet: Fleet) -> None:
    await fleet.token(uses_left=2)
    request = make_request(new_key())
    first = await fleet.enrolment.enrol(request, name="pc1", token=SECRET)

    second = await fleet.enrolment.enrol(request, name="pc1", token=SECRET)

    assert fleet.identity(first).id == fleet.identity(second).id
    assert (await fleet.get("tokens", f"t-{SECRET}")).uses_left == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"revoked": True}, "was revoked"),
        ({"expires_time": FixedClock().now()}, "ended on"),
        ({"uses_left": 0}, "used"),
    ],
)
async def test_token_that_is_over_is_refused(fleet: Fleet, changes: dict[str, Any], words: str) -> None:
    await fleet.token(**changes)

    with pytest.raises(RefusedError, match=words) as refusal:
        await fleet.enrolment.enrol(make_request(new_key()), name="pc1", token=SECRET)
    assert "sopwith token create" in refusal.value.remedy
    assert SECRET not in str(refusal.value)


async def test_unknown_token_is_refused_and_not_repeated(fleet: Fleet) -> None:
    with pytest.raises(RefusedError, match="not known") as refusal:
        await fleet.enrolment.enrol(make_request(new_key()), name="pc1", token="another-secret-of-a-token")
    assert "another-secret" not in str(refusal.value)


async def test_taken_name_is_refused_and_costs_no_token(fleet: Fleet) -> None:
    await fleet.token(uses_left=2)
    await fleet.enrolment.enrol(make_request(new_key()), name="pc1", token=SECRET)

    with pytest.raises(ConflictError, match="a computer pc1 already") as conflict:
        await fleet.enrolment.enrol(make_request(new_key()), name="pc1", token=SECRET)
    assert "--name" in conflict.value.remedy
    assert (await fleet.get("tokens", f"t-{SECRET}")).uses_left == 1


async def test_name_of_a_retired_computer_is_free_again(fleet: Fleet) -> None:
    await fleet.token(uses_left=2)
    first = fleet.identity(await fleet.enrolment.enrol(make_request(new_key()), name="pc1", token=SECRET))
    await fleet.put("computers", replace(await fleet.get("computers", first.id), state=ComputerState.RETIRED))

    second = fleet.identity(await fleet.enrolment.enrol(make_request(new_key()), name="pc1", token=SECRET))

    assert second.id != first.id


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 64, "-pc", "pc\n1", "pc\x1b[31m"])
async def test_name_that_is_none_is_refused(fleet: Fleet, name: str) -> None:
    await fleet.token()

    with pytest.raises(InvalidInputError, match="is no name for a computer"):
        await fleet.enrolment.enrol(make_request(new_key()), name=name, token=SECRET)


async def test_computer_without_a_token_waits_until_a_person_accepts_it(fleet: Fleet) -> None:
    request = make_request(key := new_key())

    first = await fleet.enrolment.enrol(request, name="pc1")
    second = await fleet.enrolment.enrol(request, name="pc1")
    (waiting,) = await fleet.computers()
    await fleet.put("computers", replace(waiting, state=ComputerState.ACCEPTED))
    third = await fleet.enrolment.enrol(request, name="pc1")

    assert first == second == Waiting(enrolment.RETRY_AFTER_SECONDS, fingerprint(key.public_key()))
    assert waiting.state is ComputerState.PENDING
    assert fleet.identity(third).id == waiting.id
    assert await fleet.log_kinds() == ["COMPUTER_ENROLLED"]


async def test_waiting_computer_comes_in_with_a_token(fleet: Fleet) -> None:
    await fleet.token()
    request = make_request(new_key())
    await fleet.enrolment.enrol(request, name="pc1")

    answer = await fleet.enrolment.enrol(request, name="pc1", token=SECRET)

    (computer,) = await fleet.computers()
    assert fleet.identity(answer).id == computer.id
    assert (computer.state, computer.labels) == (ComputerState.ACCEPTED, {"site": "berlin"})


async def test_waiting_room_has_an_end(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment, "PENDING_COMPUTERS_MAX", 2)
    for name in ("pc1", "pc2"):
        await fleet.enrolment.enrol(make_request(new_key()), name=name)

    with pytest.raises(UnavailableError, match="wait to be accepted"):
        await fleet.enrolment.enrol(make_request(new_key()), name="pc3")


async def test_known_computer_comes_back_sixty_days_after_its_certificate_ended(fleet: Fleet) -> None:
    await fleet.token()
    key = new_key()
    first = fleet.identity(await fleet.enrolment.enrol(make_request(key), name="pc1", token=SECRET))
    fleet.clock.time += timedelta(days=90)

    answer = await fleet.enrolment.reenrol(make_request(key))

    again = fleet.identity(answer)
    assert (again.id, again.serial == first.serial) == (first.id, False)
    assert again.not_after > fleet.clock.now() + timedelta(days=29)
    assert await fleet.log_kinds() == ["COMPUTER_ENROLLED", "CERTIFICATE_RENEWED"]


@pytest.mark.parametrize(
    "state", [ComputerState.PENDING, ComputerState.REJECTED, ComputerState.RETIRED, ComputerState.QUARANTINED]
)
async def test_computer_that_is_not_accepted_gets_no_certificate_again(fleet: Fleet, state: ComputerState) -> None:
    await fleet.token(uses_left=2)
    key = new_key()
    identity = fleet.identity(await fleet.enrolment.enrol(make_request(key), name="pc1", token=SECRET))
    await fleet.put("computers", replace(await fleet.get("computers", identity.id), state=state))

    with pytest.raises(RefusedError, match=f"pc1 is {state}"):
        await fleet.enrolment.reenrol(make_request(key))
    with pytest.raises(RefusedError, match=f"pc1 is {state}"):
        await fleet.enrolment.renew(Caller("computer", identity.id, "pc1"), make_request(key))


async def test_retired_key_does_not_come_back_with_a_new_token(fleet: Fleet) -> None:
    await fleet.token(uses_left=2)
    key = new_key()
    identity = fleet.identity(await fleet.enrolment.enrol(make_request(key), name="pc1", token=SECRET))
    await fleet.put("computers", replace(await fleet.get("computers", identity.id), state=ComputerState.RETIRED))

    with pytest.raises(RefusedError, match="pc1 is RETIRED"):
        await fleet.enrolment.enrol(make_request(key), name="pc1", token=SECRET)


async def test_unknown_key_gets_nothing_by_reenrolment(fleet: Fleet) -> None:
    with pytest.raises(RefusedError, match="has this key"):
        await fleet.enrolment.reenrol(make_request(new_key()))
    assert await fleet.computers() == []


async def test_invitation_binds_the_key_to_its_person(fleet: Fleet) -> None:
    await fleet.invitation(Person("p-1", "manager", ("it_manager",), state="INVITED"))
    key = new_key()

    answer = await fleet.enrolment.enrol(make_request(key), name="owner", token=SECRET)

    person = await fleet.get("people", "p-1")
    assert fleet.identity(answer).kind is Kind.PERSON
    assert (person.name, person.state) == ("manager", "ACTIVE")
    assert person.key_fingerprint == fingerprint(key.public_key())
    assert person.certificate_expires_time == fleet.identity(answer).not_after
    assert fleet.admitted(answer).roles == {"it_manager"}
    assert await fleet.log_kinds() == ["PERSON_JOINED"]


async def test_invitation_is_good_for_one_key_only(fleet: Fleet) -> None:
    await fleet.invitation(Person("p-1", "manager", ("it_manager",), state="INVITED"))
    await fleet.enrolment.enrol(make_request(new_key()), token=SECRET)

    with pytest.raises(RefusedError, match="used already"):
        await fleet.enrolment.enrol(make_request(new_key()), token=SECRET)


async def test_new_invitation_ends_the_certificates_of_the_lost_key(fleet: Fleet) -> None:
    person = await fleet.invitation(Person("p-1", "manager", ("it_manager",), state="INVITED"))
    old = await fleet.enrolment.enrol(make_request(new_key()), token=SECRET)
    await fleet.token("another-secret-of-a-token", kind="person", person_id=person.id)

    new = await fleet.enrolment.enrol(make_request(new_key()), token="another-secret-of-a-token")

    assert fleet.admitted(new).name == "manager"
    with pytest.raises(TrustError, match="revoked"):
        fleet.admitted(old)
    assert fleet.cuts == ["p-1"]


async def test_one_key_never_belongs_to_two_people(fleet: Fleet) -> None:
    key = new_key()
    await fleet.invitation(Person("p-1", "manager", ("it_manager",), state="INVITED"))
    await fleet.enrolment.enrol(make_request(key), token=SECRET)
    await fleet.invitation(Person("p-2", "authority", ("authority",), state="INVITED"), "another-secret-of-a-token")

    with pytest.raises(ConflictError, match="somebody else"):
        await fleet.enrolment.enrol(make_request(key), token="another-secret-of-a-token")


async def test_a_persons_key_makes_no_computer(fleet: Fleet) -> None:
    key = new_key()
    await fleet.invitation(Person("p-1", "manager", ("it_manager",), state="INVITED"))
    await fleet.enrolment.enrol(make_request(key), token=SECRET)
    await fleet.token("another-secret-of-a-token")

    with pytest.raises(RefusedError, match="belongs to a person"):
        await fleet.enrolment.enrol(make_request(key), name="pc1", token="another-secret-of-a-token")


async def test_revoked_person_gets_no_certificate(fleet: Fleet) -> None:
    key = new_key()
    await fleet.invitation(Person("p-1", "manager", ("it_manager",), state="INVITED"))
    await fleet.enrolment.enrol(make_request(key), token=SECRET)
    await fleet.put("people", replace(await fleet.get("people", "p-1"), state="REVOKED"))

    with pytest.raises(RefusedError, match="manager is REVOKED"):
        await fleet.enrolment.reenrol(make_request(key))


async def test_living_certificate_is_renewed_for_a_new_key(fleet: Fleet) -> None:
    await fleet.token()
    first = fleet.identity(await fleet.enrolment.enrol(make_request(new_key()), name="pc1", token=SECRET))
    key = new_key()

    answer = await fleet.enrolment.renew(Caller("computer", first.id, "pc1"), make_request(key))

    assert fleet.identity(answer).id == first.id
    assert (await fleet.get("computers", first.id)).key_fingerprint == fingerprint(key.public_key())


async def test_renewal_takes_nobody_elses_key(fleet: Fleet) -> None:
    await fleet.token(uses_left=2)
    key = new_key()
    await fleet.enrolment.enrol(make_request(key), name="pc1", token=SECRET)
    other = fleet.identity(await fleet.enrolment.enrol(make_request(new_key()), name="pc2", token=SECRET))

    with pytest.raises(ConflictError, match="somebody else"):
        await fleet.enrolment.renew(Caller("computer", other.id, "pc2"), make_request(key))
    with pytest.raises(NotFoundError):
        await fleet.enrolment.renew(Caller("controller", "k-1", ""), make_request(new_key()))


async def test_bytes_that_are_no_request_are_invalid(fleet: Fleet) -> None:
    with pytest.raises(InvalidInputError, match="no certificate request"):
        await fleet.enrolment.enrol(b"hello", name="pc1", token=SECRET)
