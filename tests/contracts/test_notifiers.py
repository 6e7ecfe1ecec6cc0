"""What a channel to people promises: it delivers, or it says that it did not, in time; mail by a real SMTP server."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from sopwith_controller.adapters.notifiers.file import FileNotifier
from sopwith_controller.adapters.notifiers.smtp import SmtpNotifier
from sopwith_controller.domain.errors import InvalidInputError, UnavailableError


class Inbox:
    """What the mail server received, and how it answers."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.answer = "250 taken"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        """Take every recipient but one."""
        if address == "nobody@localhost":
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep the message."""
        self.messages.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default), session))
        return self.answer


@contextmanager
def mail_server(inbox: Inbox, **options: Any) -> Iterator[str]:
    controller = Controller(inbox, hostname="127.0.0.1", port=_free_port(), **options)
    controller.start()
    try:
        yield f"127.0.0.1:{controller.port}"
    finally:
        controller.stop()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Accept connections and say nothing."""
    writers = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in writers:
            writer.close()
        server.close()


async def test_a_mail_arrives_whole():
    inbox = Inbox()
    with mail_server(inbox) as address:
        notifier = SmtpNotifier(f"smtp://{address}", "sopwith@example.test")
        await notifier.deliver("manager@localhost", "Incident i-1: hello@2", "Ünstall failed on pc1\n.\nend\n")

    recipients, message, _ = inbox.messages[0]
    assert recipients == ["manager@localhost"]
    assert message["Subject"] == "Incident i-1: hello@2"
    assert message["From"] == "sopwith@example.test"
    assert message["Date"]
    assert message["Message-ID"]
    assert message.get_content().splitlines() == ["Ünstall failed on pc1", ".", "end"]


async def test_a_hostile_subject_adds_no_header():
    inbox = Inbox()
    with mail_server(inbox) as address:
        notifier = SmtpNotifier(f"smtp://{address}", "sopwith@example.test")
        await notifier.deliver("manager@localhost", "a\r\nBcc: all@localhost\x00", "body\x00\ud800")

    recipients, message, _ = inbox.messages[0]
    assert recipients == ["manager@localhost"]
    assert message["Bcc"] is None


async def test_a_refused_recipient_is_an_error_with_the_server_s_words():
    with mail_server(Inbox()) as address:
        notifier = SmtpNotifier(f"smtp://{address}", "sopwith@example.test")
        with pytest.raises(UnavailableError, match="550 no such person"):
            await notifier.deliver("nobody@localhost", "subject", "body")


async def test_a_refused_message_is_an_error():
    inbox = Inbox()
    inbox.answer = "451 try later"
    with mail_server(inbox) as address:
        notifier = SmtpNotifier(f"smtp://{address}", "sopwith@example.test")
        with pytest.raises(UnavailableError, match="451 try later"):
            await notifier.deliver("manager@localhost", "subject", "body")


async def test_a_server_that_hangs_is_left_in_time():
    async with silent_server() as address:
        notifier = SmtpNotifier(f"smtp://{address}", "sopwith@example.test", timeout_seconds=0.3)
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="in time"):
            await notifier.deliver("manager@localhost", "subject", "body")

    assert time.monotonic() - began < 5


async def test_a_server_that_is_down_is_an_error():
    notifier = SmtpNotifier(f"smtp://127.0.0.1:{_free_port()}", "sopwith@example.test")

    with pytest.raises(UnavailableError, match="did not take"):
        await notifier.deliver("manager@localhost", "subject", "body")


async def test_a_target_that_is_no_address_is_an_error():
    with mail_server(Inbox()) as address:
        notifier = SmtpNotifier(f"smtp://{address}", "sopwith@example.test")
        with pytest.raises(UnavailableError):
            await notifier.deliver("a\r\nBcc: b", "subject", "body")


async def test_an_offered_certificate_must_hold():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    inbox = Inbox()
    with mail_server(inbox, tls_context=context) as address:
        notifier = SmtpNotifier(f"smtp://{address}", "sopwith@example.test")
        with pytest.raises(UnavailableError, match="certificate"):
            await notifier.deliver("manager@localhost", "subject", "body")

    assert inbox.messages == []


async def test_an_offered_encryption_is_used(monkeypatch, tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    inbox = Inbox()
    with mail_server(inbox, tls_context=context) as address:
        await SmtpNotifier(f"smtp://{address}", "sopwith@example.test").deliver("manager@localhost", "s", "b")

    assert inbox.messages[0][2].ssl is not None


@pytest.mark.parametrize("place", ["file", "env"])
async def test_the_password_is_read_where_it_lies_and_shown_nowhere(monkeypatch, tmp_path, place):
    path = tmp_path / "password"
    path.write_text("canary-secret\n")
    monkeypatch.setenv("TEST_SMTP_PASSWORD", "canary-secret")
    given = []

    def authenticate(*call: Any) -> AuthResult:
        data = call[-1]
        given.append((data.login, data.password))
        return AuthResult(success=False, handled=False)

    with mail_server(Inbox(), authenticator=authenticate, auth_require_tls=False) as address:
        password = f"file:{path}" if place == "file" else "env:TEST_SMTP_PASSWORD"
        notifier = SmtpNotifier(f"smtp://sop%40with@{address}", "sopwith@example.test", password)
        with pytest.raises(UnavailableError) as caught:
            await notifier.deliver("manager@localhost", "subject", "body")

    assert given[0] == (b"sop@with", b"canary-secret")
    assert "canary" not in str(caught.value) + repr(notifier)


async def test_a_missing_password_file_is_an_error(tmp_path):
    with mail_server(Inbox()) as address:
        notifier = SmtpNotifier(f"smtp://user@{address}", "sopwith@example.test", f"file:{tmp_path / 'none'}")
        with pytest.raises(UnavailableError, match="none"):
            await notifier.deliver("manager@localhost", "subject", "body")


@pytest.mark.parametrize("address", ["http://a:1", "smtp://a", "smtp://u:secret@a:1", "nonsense"])
def test_an_address_that_is_none_is_refused_without_repeating_it(address):
    with pytest.raises(InvalidInputError) as caught:
        SmtpNotifier(address, "sopwith@example.test")

    assert "secret" not in str(caught.value)


async def test_a_file_gets_one_line_per_message(tmp_path: Path):
    path = tmp_path / "messages"
    notifier = FileNotifier(path)

    await notifier.deliver("manager@localhost", "one", "two\nlines")
    await notifier.deliver("manager@localhost", "two", "body\ud800")

    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["subject"], first["body"]) == ("one", "two\nlines")
    assert second["subject"] == "two"


async def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path):
    with pytest.raises(UnavailableError, match="cannot be written"):
        await FileNotifier(tmp_path / "missing" / "messages").deliver("manager@localhost", "one", "two")
