"""Mail to people by SMTP.

This module decides how one message is handed to one mail server; when, how often, and what a failure means, is
`services.notifying`'s. Rules: delivered means that the server took responsibility (250 after the data); every step has
a time limit; the connection is encrypted wherever the server offers it, and then its certificate must hold (a server
that offers nothing is used in the clear, as a relay on the same machine does); smtps:// encrypts from the first byte.
The password is read from its address at each delivery, never kept, and stands in no error.
"""

import asyncio
import os
import ssl
from datetime import UTC, datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import aiosmtplib

from sopwith_controller.domain.errors import InvalidInputError, UnavailableError

STEP_TIMEOUT_SECONDS = 10.0
DELIVERY_TIMEOUT_SECONDS = 30.0
_SUBJECT_CHARACTERS_MAX = 200


class SmtpNotifier:
    """Implements the `Notifier` port."""

    channel = "smtp"

    def __init__(
        self, address: str, sender: str, password: str = "", *, timeout_seconds: float = DELIVERY_TIMEOUT_SECONDS
    ) -> None:
        """Take smtp://[USER@]HOST:PORT and where the password lies (`file:PATH` or `env:NAME`, empty for none)."""
        self._parts = _server(address)
        self._sender = sender
        self._password = password
        self._timeout_seconds = timeout_seconds

    async def deliver(self, target: str, subject: str, body: str) -> None:
        """Hand the message over; raise UnavailableError when the server did not take it."""
        parts = self._parts
        where = f"the mail server {parts.hostname}:{parts.port}"
        remedy = "see the mail server's own log, and [smtp] in sopwith.toml"
        try:
            message = compose(self._sender, target, subject, body)
            async with asyncio.timeout(self._timeout_seconds):
                await aiosmtplib.send(
                    message,
                    recipients=[target],
                    hostname=parts.hostname,
                    port=parts.port,
                    username=unquote(parts.username) if parts.username else None,
                    password=self._secret() if parts.username else None,
                    use_tls=parts.scheme == "smtps",
                    timeout=min(STEP_TIMEOUT_SECONDS, self._timeout_seconds),
                )
        except (TimeoutError, aiosmtplib.SMTPTimeoutError) as error:
            raise UnavailableError(f"{where} did not answer in time", remedy=remedy) from error
        except ssl.SSLError as error:
            raise UnavailableError(f"{where} shows a certificate that does not hold", remedy=remedy) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise UnavailableError(f"{where} did not take the message: {_reason(error)}", remedy=remedy) from error
        except (MessageError, ValueError) as error:
            raise UnavailableError(f"the message to {target!r} cannot be written: {error}", remedy=remedy) from error

    def _secret(self) -> str | None:
        kind, _, place = self._password.partition(":")
        if kind == "env":
            return os.environ.get(place)
        return Path(place).read_text(encoding="utf-8").strip() if kind == "file" else None


def compose(sender: str, target: str, subject: str, body: str) -> EmailMessage:
    """Return a plain text mail; whatever could break a header is taken out of the subject."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = target
    message["Subject"] = "".join(one for one in subject if one.isprintable())[:_SUBJECT_CHARACTERS_MAX]
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body.encode("utf-8", "replace").decode())
    return message


def _server(address: str) -> SplitResult:
    parts = urlsplit(address)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or not parts.port or parts.password:
        raise InvalidInputError(
            "the mail server's address cannot be used", remedy="write it like smtp://mail.example.org:25"
        )
    return parts


def _reason(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{one.code} {one.message}" for one in error.recipients)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {error.message}"
    return str(error) or type(error).__name__
