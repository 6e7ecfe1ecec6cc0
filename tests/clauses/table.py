"""The clauses of the source texts, in their order: what each became, and what has to be shown of it.

This module is data. A test says what it shows by `@pytest.mark.clause("V.C Safety", "freeze")`: the row's id and the
proof's key. `collected` finds the tests, `page` writes docs/clauses.md, and a test fails where a proof has none.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One clause."""

    id: str
    behaviour: str
    proofs: dict[str, str]
    """Key to what a test has to show."""
    later: str = ""
    """What of the clause has its first form only; empty: the row stands whole."""


ROWS = (
    Row(
        "I Purpose",
        "Section I is rendered with the organisation's name; placeholders are faults",
        {
            "fresh": "a fresh form has one fault per placeholder",
            "filled": "a form that `init` filled in has none",
            "name": "the paper names the organisation",
        },
    ),
    Row(
        "I Consistency",
        "Every computer of a rollout runs under one policy digest; content is proved at each computer; known computers "
        "are enrolled, or excused with a reason and an end",
        {
            "digest": "a rollout that was approved under another policy goes back",
            "content": "a falsified file is executed nowhere and raises an incident",
            "coverage": "known computers are enrolled, excused until a date, or named as missing",
        },
    ),
    Row(
        "II Scope",
        "People act by their roster entry and role; rollouts stay within `scope.targets`",
        {
            "roster": "a certificate of nobody on the roster is refused and recorded",
            "targets": "a rollout outside the scope is refused by `sop_scope`",
        },
    ),
    Row(
        "III Responsibilities",
        "One owner; the IT manager hears of incidents, approves deviations and gives guidance; steps have an order",
        {
            "owner": "nothing is activated that the owner has not signed",
            "guidance": "the IT manager's guidance stands in `rollout status`",
            "order": "a start before its preparation is refused by `sop_step_order`",
        },
    ),
    Row(
        "IV Equipment",
        "Each computer's facts and connectivity are measured, sensor by sensor, with the time",
        {
            "sensors": "each question has its own answer: name, connection, trust, latency, throughput, clock, proxy",
            "readiness": "a computer's readiness is shown with what was measured and when",
            "blocked": "a source out of reach is NET_SOURCE_UNREACHABLE",
        },
    ),
    Row(
        "IV Materials",
        "A plan lists each material as present or missing, and is not startable while one is missing",
        {"missing": "a plan with a missing material is refused"},
    ),
    Row(
        "V.A Gather",
        "Files come from the designated source only, verified when fetched and again before the install, never older "
        "than seen",
        {
            "file": "a staged file that was changed is not installed",
            "replay": "older metadata is refused: METADATA_ROLLBACK",
            "source": "a source that nobody designated is refused: SOURCE_NOT_DESIGNATED",
            "gather": "`release gather` fetches what a computer lacks, by its distribution's own keys",
        },
    ),
    Row(
        "V.A Equipment",
        "Each computer of the audience is ready, not ready with reason and remedy, or excused; nobody is dropped",
        {
            "sum": "members and exclusions together are the audience",
            "quorum": "a start below the ready quorum is refused",
        },
    ),
    Row(
        "V.B.1 Initiate",
        "One warrant per computer, run at most once, across restarts of either side",
        {
            "controller": "a controller killed again and again: one outcome per computer, one install",
            "agents": "agents killed in every state: one outcome per computer, one install",
        },
    ),
    Row(
        "V.B.2 Monitor",
        "States with percent, heartbeats, stalls; a live view and a stream",
        {
            "watch": "the whole run is watched by `rollout status`",
            "lost": "a computer that falls silent is LOST_CONTACT after three heartbeats, and found again",
            "stall": "a computer that stalls is told of",
        },
    ),
    Row(
        "V.C PPE",
        "Remote work needs none; hands-on work lists its equipment and wants an acknowledgement",
        {
            "remote": "the paper says that remote work needs no equipment",
            "hands-on": "a hands-on incident is not resolved until its equipment is acknowledged",
        },
    ),
    Row(
        "V.C Safety",
        "Backup, power, canary, caps, soak, thresholds, automatic rollback, windows, freezes, do-not-disturb",
        {
            "threshold": "failures above the threshold suspend the rollout within a tick",
            "freeze": "nothing starts in a freeze, and everything goes on after it",
            "canary": "a bad release meets its canary and touches nobody else",
            "soak": "a wave is watched before the next one opens",
            "caps": "no more computers at once than the plan allows",
            "rollback": "an unhealthy release goes back by itself",
            "window": "nothing starts outside its window",
            "backup": "without a way back an install is refused",
            "quiet": "a do-not-disturb label and a weak battery hold an install back",
        },
    ),
    Row(
        "V.D Troubleshooting",
        "A failure is classified; the SOP maps the symptom to ordered, bounded remedies",
        {
            "order": "remedies come in the SOP's order and are bounded",
            "recorded": "every symptom of a computer has its row in the paper",
        },
        later="each symptom forced on a real computer comes with the rest of the troubleshooting catalogue",
    ),
    Row(
        "V.D Update fails to install",
        "The shipped runbook: one row per symptom",
        {
            "rows": "a symptom without an answer is a fault of the document",
            "symptoms": "symptoms met in an update end as their row says",
        },
        later="the runbook's remaining symptoms, one real failure each",
    ),
    Row(
        "V.E Record keeping",
        "An entry with date, time and outcome for every assignment, never-started ones too; the log proves itself",
        {
            "columns": "`log list` has the columns of the contract",
            "every": "every computer of a rollout has one entry with its outcome",
            "edit": "an edited row is found",
            "verify": "the log is verified live and from its export",
        },
        later="package changes made outside Sopwith (OBSERVED)",
    ),
    Row(
        "V.E Report at once",
        "What is significant is a list of predicates; the message leaves within 60 s, is taken or climbs",
        {
            "predicates": "severity follows outcome, symptom and the SOP's list",
            "climbs": "what nobody acknowledges is repeated and climbs",
            "second": "where the mail server does not answer the second channel does",
            "latency": "`report kpi` tells how long messages took",
        },
    ),
    Row(
        "VI References",
        "A typed list with edition and date; clauses map to controls",
        {
            "empty": "an empty list is warned of",
            "controls": "the auditor's view shows which control each clause supports",
        },
        later="`report compliance --framework` and the framework packs",
    ),
    Row(
        "VII Approval",
        "Three signatures with meaning, printed name and time over the exact digest",
        {
            "three": "effective with the third signature, not with two",
            "byte": "one changed byte leaves no valid signature",
            "offline": "signatures are proved without a controller",
        },
    ),
    Row(
        "VIII Revision history",
        "Generated from signed events, strictly one up; old revisions stay readable",
        {
            "columns": "the history has the form's four columns",
            "counts": "revisions count up by one",
            "old": "the first revision still verifies after five more",
        },
    ),
    Row(
        "1 Objectives",
        "Each objective is tied to a KPI and a target",
        {"targets": "`report kpi --against-objectives` says which objective is met"},
        later="a target per severity and importance",
    ),
    Row(
        "2 Develop",
        "Each step has actor, precondition, action, success test, risk, mitigation and time limit",
        {"steps": "a step that lacks one is named with its line"},
    ),
    Row(
        "3 Review and approval",
        "Reviewers comment; an open blocking comment prevents approval; an edit voids the signatures",
        {
            "void": "an edit in review voids what was signed and keeps it",
            "comment": "an open blocking comment takes nobody's signature until it is resolved",
        },
    ),
    Row(
        "4 Communicate and train",
        "Announced by mail, meeting or session; operators acknowledge what changed; a drill trains them",
        {
            "mail": "an announcement's mail reaches every recipient, and its delivery is read",
            "session": "a training session is recorded with its attendees",
            "gate": "who has not acknowledged after the grace is refused by `operator_trained`",
            "carried": "an editorial revision carries acknowledgements over",
            "status": "`sop training` says who is current, due and overdue",
            "drill": "a drill under the effective SOP ends in a training record and touches no computer",
        },
    ),
    Row(
        "5 Distribute and integrate",
        "Every agent holds the effective revision and digest; the site is there for everybody",
        {
            "agent": "the agent keeps revision and digest for people, without the controller",
            "receipts": "receipts of computers and words of people are counted, and who lacks them is named",
            "site": "the site links every revision",
        },
    ),
    Row(
        "6 Monitor and evaluate",
        "KPIs, and an adherence trace per rollout",
        {
            "trace": "`rollout trace` names every clause with pass, fail or deviation and its evidence",
            "kpi": "the formulas give what was counted by hand",
        },
        later="audits with a recorded sample seed",
    ),
    Row(
        "7 Continuous improvement",
        "A review clock with triggers, feedback by clause, proposals from recurring deviations",
        {
            "clock": "an overdue review warns and climbs, and blocks only with hard_expiry",
            "triggers": "a new platform, a new source, a severity 1 and a missed KPI ask for a review",
            "no-change": "a review without a change is a record and sets the next date",
            "feedback": "feedback by clause is disposed of with a reason",
            "hotspots": "recurring deviations open a proposal",
            "rollout": "a clean rollout's review is drafted and closes itself after a day",
        },
    ),
    Row(
        "8 Records",
        "SOPs, revisions, training and reviews are kept for the retention, counted from the end of effect",
        {
            "retention": "what ended longer ago than the retention is purged, nothing earlier",
            "purge": "a purge is a record with digests, and the log still verifies",
            "auditor": "an auditor reads everything, changes nothing, and is recorded as a reader of the log",
        },
    ),
    Row(
        "Article",
        "One source, several forms and audiences, tables and a flow diagram, the digests at the end",
        {
            "views": "each audience is shown what it needs",
            "flow": "the flow diagram shows every step below its actor",
            "footer": "both digests stand at the end of every form",
        },
    ),
)
"""The rows, in the order of the texts."""

PROOFS = {(row.id, key): text for row in ROWS for key, text in row.proofs.items()}

COMING: frozenset[tuple[str, str]] = frozenset()
"""Proofs that are being built; the page calls them so."""
