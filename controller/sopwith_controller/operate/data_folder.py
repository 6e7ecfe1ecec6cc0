"""Making a controller's data folder: everything or nothing.

This module decides the order in which keys, roster, SOP draft and settings come into being. Rules: a folder that exists
with anything in it is refused; everything is made beside its final place and gets its name in the last step, so that a
failure leaves nothing half-written; private keys are 0600 in folders of 0700; the owner gets a context, the others are
invited and make their keys on their own machines.
"""

import asyncio
import re
import secrets
import shutil
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sopwith_certs.authority import Authority, Subject, certificate_pem
from sopwith_certs.identity import Kind, serial_of
from sopwith_certs.log_key import make_log_key
from sopwith_certs.signing import fingerprint, new_key, public_key_pem, save_private_key
from sopwith_controller.bootstrap.paths import CONTROLLER_ID, DataPaths, open_store
from sopwith_controller.config import ENDPOINTS_FILE, SETTINGS_FILE, Config, write_settings
from sopwith_controller.domain import sop as sop_rules
from sopwith_controller.domain.entities import Certificate, LogDraft, Person, Settings, SopRevision
from sopwith_controller.domain.errors import ConflictError, InvalidInputError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.people import check_person
from sopwith_controller.services.ports import Clock, Ids, SopReader, UnitOfWork
from sopwith_controller.services.sops import draft_revision
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_move, durable_replace, make_private_folder
from sopwith_formats.errors import FormatError
from sopwith_formats.sop_template import SopBlanks, fill_template

_SLUG = re.compile(r"[^a-z0-9]+")
_SLUG_LENGTH_MAX = 40


@dataclass(frozen=True)
class Founding:
    """What `init` was asked for."""

    data: Path
    organization: str
    owner: str
    it_manager: str
    it_manager_email: str
    authority: str
    profile: str
    config: Config
    owner_email: str = ""
    authority_email: str = ""
    window: str = ""


@dataclass(frozen=True)
class Tools:
    """What making a folder needs from outside."""

    clock: Clock
    ids: Ids
    reader: SopReader


@dataclass(frozen=True)
class Founded:
    """What was made."""

    data: Path
    trust_domain: str
    ca_fingerprint: str
    context: Path


def found(founding: Founding, tools: Tools) -> Founded:
    """Make the data folder; raise DomainError or FormatError and leave nothing behind when anything is wrong."""
    data = founding.data.absolute()
    _refuse_existing(data)
    people = roster(founding, tools.ids)
    document = _sop(founding, tools.clock.now())
    draft = draft_revision(tools.reader.read(document), document, tools.clock.now())
    data.parent.mkdir(parents=True, exist_ok=True)
    workshop = data.parent / f".{data.name}.{secrets.token_hex(4)}.init"
    try:
        founded = _make(founding, tools, workshop, people, draft)
        if data.exists():
            data.rmdir()
        durable_move(workshop, data)
    except BaseException:
        shutil.rmtree(workshop, ignore_errors=True)
        raise
    return replace(founded, data=data, context=data / "owner" / "context.toml")


def roster(founding: Founding, ids: Ids) -> list[Person]:
    """Return the three named people; one person in several roles stands once."""
    named = (
        ("owner", founding.owner, founding.owner_email),
        ("it_manager", founding.it_manager, founding.it_manager_email),
        ("authority", founding.authority, founding.authority_email),
    )
    people: dict[str, Person] = {}
    for role, name, email in named:
        check_person(name, (role,), email)
        person = people.get(name) or Person(id=ids.new("p"), name=name, roles=())
        people[name] = replace(person, roles=(*person.roles, role), email=person.email or email)
    if founding.profile == "evaluation":
        # One person shall be able to try everything.
        owner = people[founding.owner]
        people[founding.owner] = replace(owner, roles=(*owner.roles, "operator", "release_manager"))
    return list(people.values())


def _refuse_existing(data: Path) -> None:
    if data.is_symlink() or (data.exists() and (not data.is_dir() or any(data.iterdir()))):
        raise ConflictError(
            f"{data} exists already", remedy="name another folder with --data, or remove this one if nothing needs it"
        )
    refuse_mounted(data)


def refuse_mounted(data: Path) -> None:
    """Refuse a place that gets no folder put there in one step, because a disk is mounted at it."""
    if data.is_mount():
        raise ConflictError(
            f"a disk is mounted at {data} itself", remedy=f"name a folder on it, for example --data {data / 'sopwith'}"
        )


def _sop(founding: Founding, now: datetime) -> bytes:
    try:
        return fill_template(
            SopBlanks(
                organization=founding.organization,
                owner=founding.owner,
                it_manager=founding.it_manager,
                it_manager_email=founding.it_manager_email,
                authority=founding.authority,
                date=f"{now:%Y-%m-%d}",
                owner_email=founding.owner_email,
                authority_email=founding.authority_email,
                window=founding.window,
                profile=founding.profile,
            )
        )
    except FormatError as error:
        option = f"--{error.where.replace('_', '-')}: " if error.where else ""
        raise InvalidInputError(f"{option}{error.message}", remedy=error.remedy) from error


def _make(founding: Founding, tools: Tools, folder: Path, people: list[Person], draft: SopRevision) -> Founded:
    make_private_folder(folder)
    paths = DataPaths(folder)
    for private in (paths.pki, paths.source, paths.checkpoints, paths.owner):
        make_private_folder(private)
    now = tools.clock.now()
    trust_domain = _trust_domain(founding.organization)
    authority = Authority.create(founding.organization, trust_domain, now)
    authority.save(paths.pki)
    save_private_key(paths.warrant_key, new_key())
    log_key = make_log_key(trust_domain)
    log_key.save(paths.log_key)
    config = founding.config
    durable_replace(folder / SETTINGS_FILE, write_settings(config).encode(), 0o600)
    durable_replace(folder / ENDPOINTS_FILE, endpoints(config), 0o644)
    people, certificate = _give_owner_a_key(people, authority, paths.owner, now)
    _write_context(paths.owner / "context.toml", founding, authority, log_key.verifier.text())
    settings = Settings(
        organization=founding.organization,
        trust_domain=trust_domain,
        profile=founding.profile,
        controller_id=CONTROLLER_ID,
        created_time=now,
    )
    asyncio.run(
        _fill_database(paths, config, tools, settings=settings, people=people, certificate=certificate, draft=draft)
    )
    return Founded(folder, trust_domain, authority.fingerprint, paths.owner / "context.toml")


def endpoints(config: Config) -> bytes:
    """Return the content of `endpoints.json`."""
    document = {
        "fleet_address": config.fleet_address,
        "web_address": config.web_address,
        "listen": config.listen,
        "fleet_port": config.fleet_port,
        "web_port": config.web_port,
    }
    return canonical_json.encode(document) + b"\n"


def _give_owner_a_key(
    people: list[Person], authority: Authority, folder: Path, now: datetime
) -> tuple[list[Person], Certificate]:
    owner = next(person for person in people if "owner" in person.roles)
    key = new_key()
    issued = authority.issue(key.public_key(), Subject(Kind.PERSON, owner.id), now)
    save_private_key(folder / "key.pem", key)
    durable_replace(folder / "certificate.pem", certificate_pem(issued))
    durable_replace(folder / "ca.pem", authority.trust_bundle_pem)
    certificate = Certificate(
        serial=serial_of(issued),
        subject_kind=Kind.PERSON.value,
        subject_id=owner.id,
        key_fingerprint=fingerprint(key.public_key()),
        issued_time=now,
        expires_time=issued.not_valid_after_utc,
    )
    active = replace(
        owner,
        state="ACTIVE",
        key_fingerprint=certificate.key_fingerprint,
        public_key_pem=public_key_pem(key.public_key()).decode(),
        certificate_expires_time=certificate.expires_time,
    )
    return [active if person is owner else person for person in people], certificate


def _write_context(path: Path, founding: Founding, authority: Authority, log_key: str) -> None:
    config = founding.config
    values = {
        "organization": founding.organization,
        "trust_domain": authority.trust_domain,
        "person": founding.owner,
        "fleet_address": config.fleet_address,
        "web_address": config.web_address,
        "ca_fingerprint": authority.fingerprint,
        "trust_bundle": "file:ca.pem",
        "certificate": "file:certificate.pem",
        "key": "file:key.pem",
        "log_key": log_key,
        "source_root": "",
    }
    quoted = {key: value.replace("\\", "\\\\").replace('"', '\\"') for key, value in values.items()}
    lines = [
        "# The owner's context: addresses and fingerprints, no secret; the key lies beside it. Move the folder to",
        "# where you work, then name this file with --context or SOPWITH_CONTEXT.",
        "format = 1",
        *(f'{key} = "{value}"' for key, value in quoted.items()),
    ]
    durable_replace(path, ("\n".join(lines) + "\n").encode(), 0o600)


async def _fill_database(
    paths: DataPaths,
    config: Config,
    tools: Tools,
    *,
    settings: Settings,
    people: list[Person],
    certificate: Certificate,
    draft: SopRevision,
) -> None:
    database = await open_store(paths, config, tools.clock)
    try:
        async with database.write() as unit:
            await _refuse_used(unit, config)
            await unit.put_settings(settings)
            for person in people:
                await unit.people.put(person)
            await unit.certificates.put(certificate)
            owner = next(person.name for person in people if "owner" in person.roles)
            await unit.update_log.append(
                LogDraft(
                    kind=LogKind.CONTROLLER_INITIALISED,
                    message=f"controller of {settings.organization} made, profile {settings.profile}",
                    operator=owner,
                    details={
                        "trust_domain": settings.trust_domain,
                        "roster": {person.name: list(person.roles) for person in people},
                    },
                )
            )
            await unit.update_log.append(
                LogDraft(
                    kind=LogKind.SOP_DRAFTED,
                    message=f"{draft.id} revision {draft.revision} drafted from the shipped form",
                    operator=owner,
                    sop_id=draft.id,
                    sop_revision=draft.revision,
                    details={"document_sha256": draft.document_sha256, "policy_sha256": draft.policy_sha256},
                )
            )
            if settings.profile == "evaluation":
                draft = await _into_effect_unsigned(unit, draft, settings.created_time)
            await unit.sops.put(draft)
            await unit.commit()
    finally:
        await database.close()


async def _into_effect_unsigned(unit: UnitOfWork, draft: SopRevision, now: datetime) -> SopRevision:
    """Bring the SOP of an evaluation into effect without signatures, and record that nobody signed it."""
    submitted = sop_rules.submit(draft, now)
    effective, _ = sop_rules.activate(sop_rules.approve(submitted, now), None, now)
    await unit.update_log.append(
        LogDraft(
            kind=LogKind.SOP_EFFECTIVE,
            message=f"EVALUATION: {draft.id} revision {draft.revision} is in effect unsigned",
            sop_id=draft.id,
            sop_revision=draft.revision,
        )
    )
    return effective


async def _refuse_used(unit: UnitOfWork, config: Config) -> None:
    if config.database and await unit.people.all():
        raise ConflictError(
            "this database belongs to a controller already", remedy="name an empty database with --database"
        )


def _trust_domain(organization: str) -> str:
    slug = _SLUG.sub("-", organization.lower()).strip("-")[:_SLUG_LENGTH_MAX].strip("-") or "fleet"
    return f"{slug}-{secrets.token_hex(3)}"
