"""One unit of work over SQL: the repositories of one transaction, and its one commit."""

from sqlalchemy import select

from sopwith_controller.adapters.database.repositories.deviations import SqlDeviations
from sopwith_controller.adapters.database.repositories.fleet import SqlCertificates, SqlComputers
from sopwith_controller.adapters.database.repositories.incidents import SqlIncidents, SqlNotifications
from sopwith_controller.adapters.database.repositories.lasting import SqlBaselines, SqlRecoveries, SqlRepetitions
from sopwith_controller.adapters.database.repositories.measurements import SqlMeasurements
from sopwith_controller.adapters.database.repositories.messages import SqlAgentMessages, SqlRequests
from sopwith_controller.adapters.database.repositories.people import SqlPeople, SqlTokens
from sopwith_controller.adapters.database.repositories.practice import SqlPractice
from sopwith_controller.adapters.database.repositories.receipts import SqlReceipts
from sopwith_controller.adapters.database.repositories.releases import SqlReleases, SqlSops
from sopwith_controller.adapters.database.repositories.rollouts import SqlAssignments, SqlFreezes, SqlRollouts
from sopwith_controller.adapters.database.repositories.sop_life import (
    SqlSigningLinks,
    SqlSopAnnouncements,
    SqlSopComments,
    SqlSopReceipts,
)
from sopwith_controller.adapters.database.tables import settings
from sopwith_controller.adapters.database.to_the_end import to_the_end
from sopwith_controller.adapters.database.transaction import Transaction, columns_for, translated_errors
from sopwith_controller.adapters.database.update_log_store import SqlUpdateLog
from sopwith_controller.domain.entities import Settings
from sopwith_controller.domain.errors import NotFoundError
from sopwith_controller.services.ports import Clock


class SqlUnitOfWork:
    """Implements the `UnitOfWork` port."""

    def __init__(self, transaction: Transaction, clock: Clock, update_log: SqlUpdateLog) -> None:
        self._transaction = transaction
        self.computers = SqlComputers(transaction)
        self.certificates = SqlCertificates(transaction, clock)
        self.people = SqlPeople(transaction)
        self.tokens = SqlTokens(transaction)
        self.releases = SqlReleases(transaction)
        self.sops = SqlSops(transaction)
        self.sop_comments = SqlSopComments(transaction)
        self.sop_announcements = SqlSopAnnouncements(transaction)
        self.signing_links = SqlSigningLinks(transaction)
        self.sop_receipts = SqlSopReceipts(transaction)
        self.rollouts = SqlRollouts(transaction)
        self.assignments = SqlAssignments(transaction)
        self.measurements = SqlMeasurements(transaction)
        self.baselines = SqlBaselines(transaction)
        self.repetitions = SqlRepetitions(transaction)
        self.freezes = SqlFreezes(transaction)
        self.deviations = SqlDeviations(transaction)
        self.practice = SqlPractice(transaction)
        self.incidents = SqlIncidents(transaction)
        self.notifications = SqlNotifications(transaction)
        self.update_log = update_log
        self.agent_messages = SqlAgentMessages(transaction)
        self.receipts = SqlReceipts(transaction)
        self.recoveries = SqlRecoveries(transaction)
        self.requests = SqlRequests(transaction)
        self.committed = False

    async def settings(self) -> Settings:
        """Return the controller's identity card."""
        found = await self._transaction.entity(select(*columns_for(Settings, settings)), Settings)
        if found is None:
            raise NotFoundError("this controller has no settings", remedy="run `sopwith-controller init`")
        return found

    async def put_settings(self, card: Settings) -> None:
        """Write the identity card."""
        await self._transaction.put(settings, [{"row": 1, **vars(card)}])

    async def commit(self) -> None:
        """Make everything durable."""
        self._transaction.check_writable()
        await self.update_log.finish()
        with translated_errors():
            await to_the_end(self._commit())

    async def _commit(self) -> None:
        """Commit, and know it also where the one who waits was cancelled meanwhile."""
        await self._transaction.connection.commit()
        self.committed = True
        self._transaction.end()
