"""Who may call what: one row per call of the wire, from the table of the SOP's clause III (contract, section 2).

This module is data. The interceptor asks it before anything else looks at a request; a call without a row is refused to
everybody, and a test enumerates the wire so that none is forgotten. Conditions that need to know more than the caller's
roles (never one's own rollout, only the own rollouts' incidents) are checked by the services.
"""

OWNER = "owner"
IT_MANAGER = "it_manager"
AUTHORITY = "authority"
OPERATOR = "operator"
RELEASE_MANAGER = "release_manager"
AUDITOR = "auditor"
VIEWER = "viewer"
REVIEWER = "reviewer"
"""Experts, lawyers, outside consultants: read and comment SOPs, see nothing of the fleet."""

ALL_ROLES = frozenset({OWNER, IT_MANAGER, AUTHORITY, OPERATOR, RELEASE_MANAGER, AUDITOR, VIEWER})
EVERYBODY = ALL_ROLES | {REVIEWER}
COMPUTER = "computer"
"""Stands for every computer of the fleet; no person ever has it."""

_READERS = ALL_ROLES
_LOG_READERS = ALL_ROLES - {VIEWER}
_MANAGERS = frozenset({OWNER, IT_MANAGER})
_RUNNERS = frozenset({OWNER, IT_MANAGER, OPERATOR})
_KEEPERS = frozenset({OWNER, IT_MANAGER, AUDITOR})
_OWNER = frozenset({OWNER})
_PUBLISHER = frozenset({RELEASE_MANAGER})
_COMMENTERS = frozenset({OWNER, IT_MANAGER, AUTHORITY, OPERATOR, RELEASE_MANAGER, REVIEWER})
_SIGNERS = frozenset({OWNER, IT_MANAGER, AUTHORITY})

_BY_SERVICE: dict[str, dict[str, frozenset[str]]] = {
    "sopwith.v1.AgentService": {
        "Connect": frozenset({COMPUTER}),
        "RenewCertificate": frozenset({COMPUTER}),
    },
    "sopwith.v1.FleetService": {
        "ListComputers": _READERS,
        "GetComputer": _READERS,
        "MeasureReadiness": _READERS,
        "LabelComputer": _RUNNERS,
        "AcceptComputer": _RUNNERS,
        "RejectComputer": _RUNNERS,
        "RetireComputer": _RUNNERS,
        "QuarantineComputer": _RUNNERS,
        "StartFreeze": _RUNNERS,
        "ImportFreezes": _RUNNERS,
        "EndFreeze": _MANAGERS,
        "ListFreezes": _READERS,
        "GetOverview": EVERYBODY,
        "RunDoctor": _OWNER,
        "ImportComputers": _RUNNERS,
        "ExcuseComputer": _RUNNERS,
        "GetCoverage": _READERS,
    },
    "sopwith.v1.PeopleService": {
        "ListPeople": _READERS,
        "InvitePerson": _OWNER,
        "GrantRole": _OWNER,
        "RevokePerson": _OWNER,
        "CreateToken": _OWNER,
        "ListTokens": _READERS,
        "RevokeToken": _OWNER,
        "RenewPersonCertificate": EVERYBODY,
        "LeavePerson": _OWNER,
        "BindSshKey": _OWNER,
        "SetPersonAway": _SIGNERS | {OPERATOR, RELEASE_MANAGER},
    },
    "sopwith.v1.ReleaseService": {
        "UploadTarget": _PUBLISHER,
        "CommitSource": _PUBLISHER | _OWNER,
        "DesignateSource": _OWNER,
        "GetSource": _READERS,
        "ListReleases": _READERS,
        "GetRelease": _READERS,
        "WithdrawRelease": _PUBLISHER,
        "PermitRelease": _MANAGERS,
    },
    "sopwith.v1.SopService": {
        "ListSops": EVERYBODY,
        "GetSop": EVERYBODY,
        "SubmitSop": _OWNER,
        "SignSop": _SIGNERS,
        "ActivateSop": _MANAGERS,
        "AcknowledgeSop": _SIGNERS | {OPERATOR, RELEASE_MANAGER},
        "ListSopRevisions": EVERYBODY,
    },
    "sopwith.v1.SopLifeService": {
        "CommentSop": _COMMENTERS,
        "ResolveSopComment": _COMMENTERS,
        "ListSopComments": EVERYBODY,
        "RetireSop": _OWNER,
        "MakeSigningLink": _MANAGERS,
        "SendSigningCode": _SIGNERS,
        "AnnounceSop": _MANAGERS,
        "ListSopAnnouncements": _READERS,
        "GetSopDistribution": _READERS,
        "ConvertProfile": _OWNER,
    },
    "sopwith.v1.PracticeService": {
        "GetTraining": _READERS,
        "RecordDrill": _RUNNERS,
        "GetSopReviews": _READERS,
        "CloseSopReview": _MANAGERS,
        "GiveSopFeedback": _SIGNERS | {OPERATOR, RELEASE_MANAGER},
        "ListSopFeedback": _READERS,
        "DisposeSopFeedback": _MANAGERS,
    },
    "sopwith.v1.ReportService": {
        "GetKpis": _READERS,
        "TraceRollout": _READERS,
    },
    "sopwith.v1.RolloutService": {
        "PlanRollout": _READERS,
        "CreateRollout": _RUNNERS,
        "SubmitRollout": _RUNNERS,
        "ApproveRollout": _MANAGERS,
        "RejectRollout": _MANAGERS,
        "StartRollout": _RUNNERS,
        "PauseRollout": _RUNNERS,
        "ResumeRollout": _RUNNERS,
        "AbortRollout": _RUNNERS,
        "RetryRollout": _RUNNERS,
        "ReviewRollout": _RUNNERS,
        "GetRollout": _READERS,
        "ListRollouts": _READERS,
        "ListAssignments": _READERS,
        "WatchRollout": _READERS,
        "ExplainRollout": _READERS,
        "GetRolloutReport": _READERS,
    },
    "sopwith.v1.DeviationService": {
        "OpenDeviation": _RUNNERS,
        "ApproveDeviation": _MANAGERS,
        "CloseDeviation": _RUNNERS,
        "ListDeviations": _READERS,
    },
    "sopwith.v1.IncidentService": {
        "ListIncidents": _READERS,
        "GetIncident": _READERS,
        "AcknowledgeIncident": _RUNNERS,
        "NoteIncident": _RUNNERS,
        "ResolveIncident": _RUNNERS,
    },
    "sopwith.v1.UpdateLogService": {
        "ListEntries": _LOG_READERS,
        "FollowEntries": _LOG_READERS,
        "VerifyLog": _LOG_READERS,
        "GetCheckpoint": _KEEPERS,
        "ExportLog": _KEEPERS,
    },
    "grpc.health.v1.Health": {
        "Check": EVERYBODY | {COMPUTER},
        "List": EVERYBODY | {COMPUTER},
        "Watch": EVERYBODY | {COMPUTER},
    },
    # Present with --development only.
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": ALL_ROLES},
}

ROLES: dict[str, frozenset[str]] = {
    f"/{service}/{method}": roles for service, methods in _BY_SERVICE.items() for method, roles in methods.items()
}
"""Full name of a call, as gRPC writes it, to the roles that may make it."""


def allowed(method: str, roles: frozenset[str]) -> bool:
    """Tell whether somebody with these roles may make the call; one without a row is nobody's."""
    return not ROLES.get(method, frozenset()).isdisjoint(roles)
