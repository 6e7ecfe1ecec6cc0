"""Everything that is made once and used by several: the adapters, the memory, the use cases.

This module decides what is made from what. Nothing here begins to work by being made; `controller` starts and stops.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from shutil import disk_usage

from sopwith_certs.authority import Authority
from sopwith_certs.log_key import LogKey, load_log_key
from sopwith_certs.log_key import verify as verify_checkpoint
from sopwith_certs.signing import read_public_key
from sopwith_certs.signing import verify as verify_signature
from sopwith_controller.adapters.clock import SteadySystemClock, SystemClock
from sopwith_controller.adapters.database.checkpoint_files import CheckpointFiles
from sopwith_controller.adapters.database.engine import SqlDatabase
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.adapters.issuer import BuiltInIssuer
from sopwith_controller.adapters.notifiers.file import FileNotifier
from sopwith_controller.adapters.notifiers.smtp import SmtpNotifier
from sopwith_controller.adapters.scheduler import Scheduler
from sopwith_controller.adapters.server_certificate import ServerCertificate
from sopwith_controller.adapters.sop_reader import StrictSopReader
from sopwith_controller.adapters.source.folder_source import FolderSource
from sopwith_controller.adapters.warrant_signer import WarrantKey
from sopwith_controller.api.briefing import Briefing, FleetKeys
from sopwith_controller.api.event_writer import EventWriter, Listeners
from sopwith_controller.api.presence import PresenceRegister
from sopwith_controller.api.watchers import Watchers
from sopwith_controller.bootstrap.paths import DataPaths, controller_subject
from sopwith_controller.config import Config
from sopwith_controller.domain.entities import Settings
from sopwith_controller.domain.rollout import ENDED_STATES
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.services.access import Access
from sopwith_controller.services.advance import Advance
from sopwith_controller.services.advancing import Advancing
from sopwith_controller.services.clock_guard import ClockGuard
from sopwith_controller.services.deviations import Deviations
from sopwith_controller.services.disk_watch import DiskWatch
from sopwith_controller.services.enrolment import Enrolment
from sopwith_controller.services.freezes import Freezes
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.kpis import Kpis
from sopwith_controller.services.log_watch import LogWatch
from sopwith_controller.services.newcomers import Newcomers
from sopwith_controller.services.notifying import Notifying, SecondChannel
from sopwith_controller.services.patch_days import PatchDays
from sopwith_controller.services.people import Roster
from sopwith_controller.services.planning import Planner
from sopwith_controller.services.ports import Clock, Database, Notifier
from sopwith_controller.services.profiles import Profiles
from sopwith_controller.services.progress import Progress
from sopwith_controller.services.review_clock import ReviewClock
from sopwith_controller.services.rollout_closing import RolloutClosing
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.rollout_reports import RolloutReports
from sopwith_controller.services.rollout_review import RolloutReviews
from sopwith_controller.services.rollout_status import RolloutStatuses
from sopwith_controller.services.rollouts import RolloutTools
from sopwith_controller.services.signing_links import SigningLinks
from sopwith_controller.services.sop_announcing import SopAnnouncing
from sopwith_controller.services.sop_distribution import SopDistribution
from sopwith_controller.services.sop_feedback import SopFeedback
from sopwith_controller.services.sop_records import SopRecords
from sopwith_controller.services.sop_reviews import SopReviews
from sopwith_controller.services.sops import Sops
from sopwith_controller.services.source_renewal import SourceRenewal
from sopwith_controller.services.training import Trainings
from sopwith_controller.services.update_log import UpdateLogs
from sopwith_controller.services.views import Views
from sopwith_controller.services.witnesses import Witnesses
from sopwith_formats.errors import FormatError
from sopwith_formats.receipt import PREFIX as RECEIPT_PREFIX

LAST_SEEN_FLUSH_EVERY = timedelta(seconds=30)
CERTIFICATE_LOOK_EVERY = timedelta(hours=12)
LOG_SHOWN_WITHIN = timedelta(seconds=1)
LOG_SHOWN_EVERY = timedelta(seconds=60)
SOP_LOOK_EVERY = timedelta(seconds=30)
ROSTER_LOOK_EVERY = timedelta(seconds=30)
DEVIATIONS_LOOK_EVERY = timedelta(seconds=30)
REVIEWS_LOOK_EVERY = timedelta(seconds=60)
PRACTICE_LOOK_EVERY = timedelta(minutes=10)
RETENTION_LOOK_EVERY = timedelta(hours=12)
HEARTBEAT = timedelta(seconds=30)


class Parts:
    """Everything that is made once and used by several."""

    def __init__(
        self, paths: DataPaths, config: Config, database: SqlDatabase, settings: Settings, authority: Authority
    ) -> None:
        self.paths, self.config, self.database, self.settings = paths, config, database, settings
        self.authority = authority
        self.version = version("sopwith")
        self.clock, self.ids = SystemClock(), RandomIds()
        self.log_key: LogKey = load_log_key(paths.log_key)
        self.warrant_key = WarrantKey.load(paths.warrant_key)
        self.scheduler = Scheduler(self.clock)
        self.access = Access(database, self.clock)
        self.source = FolderSource(paths.source, self.clock)
        self.records = RolloutRecords()
        self.watchers = Watchers()
        keys = FleetKeys(
            trust_bundle_pem=authority.trust_bundle_pem,
            warrant_keys_pem=self.warrant_key.public_key_pem,
            log_key=self.log_key.verifier.text(),
        )
        self.briefing = Briefing(
            database, self.clock, self.source, web_address=config.web_address, version=self.version, keys=keys
        )
        self.presence = PresenceRegister(self.clock, self.warrant_key, self.access, self.briefing)
        self.notifying = _notifying(database, self.clock, config)
        self.incidents = Incidents(
            database, self.clock, self.ids, self.records, timers=self.scheduler, wake=self.notifying.wake
        )
        self.witnesses = Witnesses(database, self.incidents, key=self.log_key.verifier, verify=verify_checkpoint)
        self.source_renewal = SourceRenewal(database, self.clock, self.source, self.incidents)
        self.disk_watch = DiskWatch(database, self.clock, self.incidents, lambda: disk_usage(paths.data).free)
        self.planner = Planner(self.source, self.clock)
        self.views = Views(self.presence, self.records, HEARTBEAT)
        advance = Advance(
            database,
            self.clock,
            self.presence,
            views=self.views,
            records=self.records,
            incidents=self.incidents,
            trusted=self._clock_agrees,
        )
        self.advancing = Advancing(
            advance,
            database,
            self.clock,
            self.scheduler,
            self._rollout_advanced,
        )
        self.rollout_tools = RolloutTools(
            database=database,
            clock=self.clock,
            ids=self.ids,
            planner=self.planner,
            records=self.records,
            incidents=self.incidents,
            changed=self.rollout_changed,
            trusted=self._trusted,
        )
        self.clock_guard = ClockGuard(
            database,
            self.clock,
            SteadySystemClock(),
            self.ids,
            self.incidents,
            gateway=self.presence,
            changed=self._clock_changed,
        )
        self.scheduler.run_only_while(self._trusted)
        self.patch_days = PatchDays(database, self.clock, self.ids, self.rollout_tools.planner, self.records)
        self.newcomers = Newcomers(self.rollout_tools, self.presence, self.scheduler)
        self.log_watch = LogWatch(database, self.clock, self.incidents, self.rollout_changed)
        self.update_logs = UpdateLogs(
            database,
            self.clock,
            growth=database,
            published=CheckpointFiles(paths.checkpoints),
            key=self.log_key.verifier,
            verify=verify_checkpoint,
            found=self.log_watch.report,
        )
        self.freezes = Freezes(
            database,
            self.clock,
            self.ids,
            self.presence,
            timers=self.scheduler,
            changed=self.advancing.poke_all,
            trusted=self.clock_guard.agrees,
        )
        self.reviews = RolloutReviews(database, self.clock, self.records, self.incidents)
        self.deviations = Deviations(database, self.clock, self.ids, self.planner, changed=self.advancing.poke_all)
        self.enrolment = Enrolment(database, BuiltInIssuer(authority), self.clock, self.ids, self.access)
        self.roster = Roster(database, self.clock, self.ids, self.access)
        self.sops = Sops(database, self.clock, StrictSopReader(), self.presence)
        self.sop_reviews = SopReviews(database, self.clock, self.ids, self.sops)
        self.signing_links = SigningLinks(
            database,
            self.clock,
            self.ids,
            self.sops,
            mail=bool(config.smtp.address),
            wake=self.notifying.wake,
        )
        self.sop_announcing = SopAnnouncing(
            database, self.clock, self.ids, mail=bool(config.smtp.address), wake=self.notifying.wake
        )
        self.sop_distribution = SopDistribution(database, self.clock, self.write_receipts_soon)
        self.profiles = Profiles(database, self.clock, self.access, self.advancing.poke_all)
        self._make_practice()
        self.certificate = ServerCertificate(authority, paths.controller_pair, controller_subject(config), self.clock)
        self.writer = self._event_writer()

    def _make_practice(self) -> None:
        """Make what keeps the SOP alive: training, feedback, reviews, records, figures."""
        database, clock, ids = self.database, self.clock, self.ids
        self.trainings = Trainings(database, clock, ids)
        self.sop_feedback = SopFeedback(database, clock, ids)
        self.sop_records = SopRecords(database, clock)
        statuses = RolloutStatuses(database, clock, self.records, self.views)
        self.rollout_closing = RolloutClosing(database, clock, RolloutReports(database, self.records, statuses))
        self.kpis = Kpis(database, clock, self.records, StrictSopReader())
        self.review_clock = ReviewClock(
            database,
            clock,
            ids,
            incidents=self.incidents,
            feedback=self.sop_feedback,
            source=self.source,
            missed=self.kpis.missed,
        )

    def _event_writer(self) -> EventWriter:
        progress = Progress(self.database, self.clock, self.incidents, self.records, _receipt_holds)
        return EventWriter(
            progress,
            Listeners(
                presence=self.presence,
                watchers=self.watchers,
                advancing=self.advancing,
                incidents=self.incidents,
                views=self.views,
                access=self.access,
                newcomers=self.newcomers,
            ),
        )

    def routines(self) -> list[tuple[str, timedelta, Callable[[], Awaitable[None]]]]:
        """Return what is done again and again: name, interval, work."""
        return [
            ("last seen", LAST_SEEN_FLUSH_EVERY, self.flush_last_seen),
            ("log witnesses", LOG_SHOWN_EVERY, self.show_log),
            ("own certificate", CERTIFICATE_LOOK_EVERY, self.keep_certificate),
            ("effective SOP", SOP_LOOK_EVERY, self.sops.activate_due),
            ("roster", ROSTER_LOOK_EVERY, self.roster.end_due),
            ("deviations", DEVIATIONS_LOOK_EVERY, self.deviations.expire_due),
            ("reviews", REVIEWS_LOOK_EVERY, self.reviews.escalate_overdue),
            ("rollout reviews", PRACTICE_LOOK_EVERY, self.rollout_closing.close_clean),
            ("reviews of the SOP", PRACTICE_LOOK_EVERY, self.review_clock.look),
            ("retention", RETENTION_LOOK_EVERY, self.sop_records.purge_due),
        ]

    async def flush_last_seen(self) -> None:
        """Write last contacts of all computers in one batch."""
        seen = self.presence.take_unflushed()
        if seen:
            async with self.database.write() as unit:
                await unit.computers.touch(seen)
                await unit.commit()

    async def show_log(self) -> None:
        """Show the grown update log to every connected computer."""
        self.presence.show_log(await self.witnesses.newer_than(self.presence.log_sizes()))

    def show_log_soon(self) -> None:
        """Show it within a second or so; many who come at once share one look."""
        self.scheduler.at("log shown soon", self.clock.now() + LOG_SHOWN_WITHIN, self.show_log)

    def write_receipts_soon(self) -> None:
        """Write which SOP computers hold within a second; many who say so at once share one transaction."""
        self.scheduler.at("SOP receipts", self.clock.now() + LOG_SHOWN_WITHIN, self.sop_distribution.flush)

    async def keep_certificate(self) -> None:
        """Renew the controller's own certificate when it is time; both ports follow the file."""
        await asyncio.to_thread(self.certificate.keep)

    def rollout_changed(self, rollout_id: str) -> None:
        """Look at a rollout at once, and tell whoever watches it."""
        self.advancing.poke(rollout_id)
        self.watchers.changed(rollout_id)
        self.newcomers.notice([])

    def _clock_agrees(self) -> bool:
        return self.clock_guard.agrees()

    async def _trusted(self) -> bool:
        return await self.clock_guard.trusted()

    def _clock_changed(self) -> None:
        """Count intervals anew, and look at every rollout."""
        self.scheduler.clock_was_set()
        self.advancing.poke_all()

    def computer_changed(self, computer_id: str) -> None:
        """Look at every running rollout, and at what this computer may have a share in now."""
        self.advancing.poke_all()
        self.newcomers.notice([computer_id])

    def release_changed(self) -> None:
        """Look at every running rollout, and at baselines whose release was withdrawn or permitted again."""
        self.advancing.poke_all()
        self.newcomers.notice_everybody()

    def _rollout_advanced(self, rollout: Rollout, changed: list[Assignment]) -> None:
        """Tell who watches; a rollout that has ended may leave a baseline to others."""
        self.watchers.changed(rollout.id, changed)
        if rollout.state in ENDED_STATES:
            self.newcomers.notice_everybody()


def _notifying(database: Database, clock: Clock, config: Config) -> Notifying:
    """Return the outbox worker over the channels that are set up; the file channel steps in when mail fails."""
    notifiers: dict[str, Notifier] = {}
    if config.smtp.address:
        notifiers["smtp"] = SmtpNotifier(config.smtp.address, config.smtp.sender, config.smtp.password)
    second = None
    if config.file.path:
        notifiers["file"] = FileNotifier(Path(config.file.path))
        second = SecondChannel("file", "")
    return Notifying(database, clock, notifiers, second=second)


def _receipt_holds(receipt_key_pem: str, payload: bytes, signature: bytes) -> bool:
    """Tell whether a receipt's signature holds; a key that is none holds nothing."""
    try:
        key = read_public_key(receipt_key_pem.encode())
    except FormatError:
        return False
    return verify_signature(key, RECEIPT_PREFIX + payload, signature)
