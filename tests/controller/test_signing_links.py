"""A signatory who installs nothing, and signing anew: through the use cases, with keys of the real ssh-keygen."""

import json
from datetime import timedelta

import pytest

from sopwith_certs.errors import TrustError
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.desk.sop_bundle import verify_bundle, write_bundle
from sopwith_controller.domain.entities import SopState
from sopwith_controller.domain.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
)
from sopwith_controller.services.access import Access, Caller
from sopwith_controller.services.people import Roster
from sopwith_controller.services.signing_links import SigningLinks
from sopwith_formats.errors import FormatError
from sopwith_formats.ssh_statement import SshEnvelope, read_ssh_envelope
from tests.controller.sop_fleet import ID, SopFleet, revised
from tests.controller.ssh_people import new_key, public, signed

pytestmark = pytest.mark.needs_tool("ssh-keygen")


async def with_key(tmp_path, profile="standard"):
    """Return a SOP in review that two have signed, and the authority's key, which is bound to the authority."""
    fleet = await SopFleet().begin(profile)
    await fleet.sops.submit(fleet.caller("owner"), ID)
    await fleet.sign("owner", "owner")
    await fleet.sign("manager", "it_manager")
    key = new_key(tmp_path, "authority")
    roster = Roster(fleet.database, fleet.clock, RandomIds(), Access(fleet.database))
    await roster.bind_key(fleet.caller("owner"), "authority", public(key))
    return fleet, roster, key


async def mint(fleet):
    _, secret = await fleet.links.mint(fleet.caller("owner"), ID, "authority")
    return secret


async def test_third_signature_comes_by_a_link_and_makes_the_revision_effective(tmp_path):
    fleet, _, key = await with_key(tmp_path)
    secret = await mint(fleet)
    offer = await fleet.links.offer(secret)
    payload = await fleet.links.statement(secret, "approve")
    again = await fleet.links.statement(secret, "approve")

    view = await fleet.links.sign(secret, signed(key, payload))

    assert (offer.person.name, offer.link.role, offer.revision.revision) == ("authority", "authority", 1)
    assert payload == again
    assert json.loads(payload)["challenge"] == offer.link.id
    assert secret not in payload.decode()
    assert view.revision.state is SopState.EFFECTIVE
    proof = verify_bundle(write_bundle(view.revision.document, [one.envelope_json for one in view.revision.signatures]))
    assert proof.valid == 3
    changed = bytearray(view.revision.document)
    changed[-2] ^= 1
    none = verify_bundle(write_bundle(bytes(changed), [one.envelope_json for one in view.revision.signatures]))
    assert none.valid == 0
    assert "SIGNING_LINK_MADE" in await fleet.kinds()


async def test_link_is_good_for_one_signature(tmp_path):
    fleet, _, key = await with_key(tmp_path)
    secret = await mint(fleet)
    armoured = signed(key, await fleet.links.statement(secret, "approve"))
    await fleet.links.sign(secret, armoured)

    with pytest.raises(RefusedError, match="was used on"):
        await fleet.links.sign(secret, armoured)
    with pytest.raises(RefusedError, match="was used on"):
        await fleet.links.offer(secret)


async def test_signature_of_another_key_payload_or_purpose_is_refused_and_the_link_stays_good(tmp_path):
    fleet, _, key = await with_key(tmp_path)
    secret = await mint(fleet)
    with pytest.raises(InvalidInputError, match="no statement was downloaded"):
        await fleet.links.sign(secret, signed(key, b"something"))
    payload = await fleet.links.statement(secret, "approve")

    with pytest.raises(InvalidInputError, match=r"was made with the key SHA256:.*, not with SHA256:"):
        await fleet.links.sign(secret, signed(new_key(tmp_path, "stranger"), payload))
    with pytest.raises(InvalidInputError, match="does not hold over this statement"):
        await fleet.links.sign(secret, signed(key, payload + b"\n"))
    with pytest.raises(InvalidInputError, match="made for 'file', not for a SOP"):
        await fleet.links.sign(secret, signed(key, payload, "file"))
    with pytest.raises(InvalidInputError, match="no signature of ssh-keygen"):
        await fleet.links.sign(secret, "-----BEGIN OPENSSH PRIVATE KEY-----\n")

    assert (await fleet.sops.get(ID)).signatures_missing == ("authority",)
    assert (await fleet.links.sign(secret, signed(key, payload))).revision.state is SopState.EFFECTIVE


async def test_link_ends_with_its_time_and_with_an_edit(tmp_path):
    fleet, _, _ = await with_key(tmp_path)
    short = (await fleet.links.mint(fleet.caller("owner"), ID, "authority", life=timedelta(hours=1)))[1]
    long = await mint(fleet)
    fleet.clock.time += timedelta(hours=1)

    with pytest.raises(RefusedError, match="ended on"):
        await fleet.links.offer(short)
    await fleet.sops.submit(fleet.caller("owner"), ID, revised(1, ("It has three aims", "Its aims are three")))
    with pytest.raises(RefusedError, match="changed after this link was made"):
        await fleet.links.offer(long)
    for unknown in ("", "never-made"):
        with pytest.raises(RefusedError, match="not known"):
            await fleet.links.offer(unknown)


async def test_rejection_by_a_link_says_why(tmp_path):
    fleet, _, key = await with_key(tmp_path)
    secret = await mint(fleet)
    wrong = (("reject", " ", "says why"), ("maybe", "", "no decision"), ("reject", "x" * 1001, "at most"))
    for decision, comment, words in wrong:
        with pytest.raises(InvalidInputError, match=words):
            await fleet.links.statement(secret, decision, comment)
    await fleet.links.statement(secret, "approve")
    first = await fleet.links.statement(secret, "reject", "too fast")
    payload = await fleet.links.statement(secret, "reject", "much too fast")

    view = await fleet.links.sign(secret, signed(key, payload))

    assert first != payload
    assert view.revision.state is SopState.DRAFT
    assert view.revision.signatures[-1].decision == "reject"


async def test_link_is_made_for_who_may_sign_and_has_a_key(tmp_path):
    fleet, roster, key = await with_key(tmp_path)
    owner = fleet.caller("owner")
    for name, words in (("manager", "no SSH key is bound"), ("nobody", "nobody on the roster")):
        with pytest.raises((InvalidInputError, NotFoundError), match=words):
            await fleet.links.mint(owner, ID, name)
    with pytest.raises(NotFoundError, match="there is no SOP"):
        await fleet.links.mint(owner, "SU-SOP-009", "authority")
    await roster.bind_key(owner, "operator", public(new_key(tmp_path, "operator")))
    with pytest.raises(RefusedError, match="needs no signature as nobody"):
        await fleet.links.mint(owner, ID, "operator")
    with pytest.raises(ConflictError, match="this key is authority's already"):
        await roster.bind_key(owner, "operator", public(key))
    with pytest.raises(InvalidInputError, match="no OpenSSH public key"):
        await roster.bind_key(owner, "operator", "hello")

    secret = await mint(fleet)
    await roster.bind_key(owner, "authority", "")
    with pytest.raises(RefusedError, match="not on the roster with a key any more"):
        await fleet.links.offer(secret)


async def test_key_of_ssh_signs_for_its_person_over_the_wire_too(tmp_path):
    fleet, _, key = await with_key(tmp_path)
    line = " ".join(public(key).split()[:2])
    fingerprint = (await fleet.links.offer(await mint(fleet))).key_fingerprint
    statement = await fleet.statement("authority", "authority", key_id=fingerprint, public_key_pem=line)
    envelope = SshEnvelope(statement.payload(), signed(key, statement.payload())).to_json()

    with pytest.raises(NotFoundError, match="no SSH key is bound to manager"):
        await fleet.sops.sign(fleet.caller("manager"), ID, 1, envelope)
    foreign = await fleet.statement("authority", "authority")
    other = SshEnvelope(foreign.payload(), signed(key, foreign.payload())).to_json()
    with pytest.raises(TrustError, match="names another key"):
        await fleet.sops.sign(fleet.caller("authority"), ID, 1, other)
    with pytest.raises(FormatError):
        read_ssh_envelope(envelope.replace(b"sop-statement+json", b"x"))
    view = await fleet.sops.sign(fleet.caller("authority"), ID, 1, envelope)

    assert view.revision.state is SopState.EFFECTIVE
    assert view.revision.signatures[-1].key_id == fingerprint


async def test_regulated_signature_needs_a_code_that_was_sent_to_the_person():
    fleet = await SopFleet().begin("regulated")
    await fleet.sops.submit(fleet.caller("owner"), ID)
    with pytest.raises(RefusedError, match="asks for a code at each signature"):
        await fleet.sign("owner", "owner", challenge="")
    code = await fleet.code("owner")

    with pytest.raises(RefusedError, match="not known"):
        await fleet.sign("owner", "owner", challenge="AAAAA-AAAAA")
    with pytest.raises(RefusedError, match="somebody else"):
        await fleet.sign("manager", "it_manager", challenge=code)
    await fleet.sign("owner", "owner", challenge=code)
    late = await fleet.code("manager")
    fleet.clock.time += timedelta(minutes=10)

    with pytest.raises(RefusedError, match="ended on"):
        await fleet.sign("manager", "it_manager", challenge=late)
    with pytest.raises(RefusedError, match="was used on"):
        await fleet.sign("manager", "it_manager", challenge=code)
    assert (await fleet.sops.get(ID)).signatures_missing == ("it_manager", "authority")


async def test_regulated_signatory_signs_by_a_link_whose_id_alone_signs_nothing(tmp_path):
    fleet, _, key = await with_key(tmp_path, "regulated")
    secret = await mint(fleet)
    link = (await fleet.links.offer(secret)).link

    with pytest.raises(RefusedError, match="not known"):
        await fleet.sign("authority", "authority", challenge=link.id)
    view = await fleet.links.sign(secret, signed(key, await fleet.links.statement(secret, "approve")))

    assert view.revision.state is SopState.EFFECTIVE


async def test_code_needs_an_address_and_a_channel():
    fleet = await SopFleet().begin("regulated")
    deaf = SigningLinks(fleet.database, fleet.clock, RandomIds(), fleet.sops, mail=False, wake=lambda: None)

    with pytest.raises(InvalidInputError, match="no channel for mail"):
        await deaf.send_code(fleet.caller("owner"), ID)
    with pytest.raises(NotFoundError):
        await fleet.links.send_code(Caller("person", "p-none", "none"), ID)
