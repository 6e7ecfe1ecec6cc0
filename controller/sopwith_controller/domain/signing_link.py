"""Leave to sign once: the link of a signatory who installs nothing, and the code that signing anew asks for.

Decides how long it is good, what it is good for, and when it is good no more; who made it and how it travels is decided
elsewhere. Rules:

- it is for one person, one role and the exact document as it stood when it was made; an edit ends it;
- it is good once: the signature that it brought uses it up, opening its page does not;
- in `regulated` every signature carries one: the page's link, or a code that was sent to the person's own address and
  is good for ten minutes. A key file alone signs nothing there.
"""

from datetime import datetime, timedelta

from sopwith_controller.domain.entities import SopRevision, SopState
from sopwith_controller.domain.errors import InvalidInputError, Refusal, RefusedError
from sopwith_controller.domain.sop_life_entities import SigningLink

PAGE, CODE = "page", "code"
LINK_LIFE_DEFAULT = timedelta(days=7)
LINK_LIFE_MAX = timedelta(days=30)
CODE_LIFE = timedelta(minutes=10)


def life_of(wanted: timedelta | None) -> timedelta:
    """Return how long a link is good."""
    life = LINK_LIFE_DEFAULT if wanted is None else wanted
    if not timedelta(0) < life <= LINK_LIFE_MAX:
        raise InvalidInputError(
            f"a signing link lasts at most {LINK_LIFE_MAX.days} days, not {life}", remedy="give another --expires"
        )
    return life


def check_good(link: SigningLink | None, revision: SopRevision | None, now: datetime) -> SigningLink:
    """Return the link when it still lets its person sign; raise RefusedError that says why not."""
    if link is None:
        raise refusal("this link is not known here")
    if link.used_time is not None:
        raise refusal(f"this link was used on {link.used_time:%Y-%m-%d %H:%M} UTC; it is good for one signature")
    if now >= link.expires_time:
        raise refusal(f"this link ended on {link.expires_time:%Y-%m-%d %H:%M} UTC")
    if revision is None or revision.document_sha256 != link.document_sha256:
        raise refusal("the document was changed after this link was made")
    if revision.state is not SopState.IN_REVIEW:
        where = f"{revision.id} revision {revision.revision} is {revision.state}"
        raise refusal(f"{where}; only a revision in review is signed")
    return link


def check_signed_anew(
    challenge: str, link: SigningLink | None, *, person_id: str, revision: SopRevision, profile: str, now: datetime
) -> None:
    """Raise RefusedError unless the signature was made anew for this revision where the profile asks for it."""
    if not challenge and profile != "regulated":
        return
    if not challenge:
        raise RefusedError(
            Refusal(
                "sop_effective",
                "VII",
                "the profile regulated asks for a code at each signature",
                f"sopwith sop sign {revision.id} --send-code, then the same with --code CODE",
            )
        )
    good = check_good(link, revision, now)
    if (good.person_id, good.sop_id, good.revision) != (person_id, revision.id, revision.revision):
        raise refusal("this code or link was made for somebody else or another revision")


def refusal(reason: str) -> RefusedError:
    """Return the refusal of a link or code, with the way to a new one."""
    remedy = "ask the owner for a new link: sopwith sop sign ID --link NAME; or for a new code: --send-code"
    return RefusedError(Refusal("sop_effective", "VII", reason, remedy))
