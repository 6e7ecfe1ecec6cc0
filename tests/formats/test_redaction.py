"""Secrets are taken out of log lines: by the key's name, and by their look in any text."""

import io
import json
import logging
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopwith_certs import signing
from sopwith_certs.log_key import make_log_key
from sopwith_formats.join import Join, format_join
from sopwith_formats.redaction import HIDDEN, redacted, redacted_text

CANARY = "canary-0815-of-which-nobody-may-read"


@pytest.mark.parametrize(
    "key",
    ["password", "smtp_password", "client_secret", "private_key", "token", "enrol_token", "join", "Authorization"],
)
def test_value_of_a_secret_key_is_hidden_wherever_it_stands(key: str) -> None:
    line = json.dumps(redacted({"event": "x", key: CANARY, "more": [{"deeper": {key: CANARY}}]}))

    assert CANARY not in line
    assert line.count(HIDDEN) == 2


@pytest.mark.parametrize(
    "text",
    [
        f"GET /enrol?name=pc1&token={CANARY} answered 403",
        f"smtp://mailer:{CANARY}@mail.example:25 said no",
        f"header Authorization: Bearer {CANARY}",
        f"could not log in: password={CANARY}",
        format_join(Join("h", 1, "sha256:" + "0" * 64, token=CANARY)),
    ],
)
def test_secret_part_of_a_text_is_hidden_and_the_rest_still_tells_what_happened(text: str) -> None:
    shown = redacted_text(text)

    assert CANARY not in shown
    assert HIDDEN in shown
    assert shown.split()[0][:3] == text[:3]


def test_private_keys_are_hidden_also_when_the_text_was_cut(tmp_path) -> None:
    pem = signing.private_key_pem(signing.new_key()).decode()
    make_log_key("fleet").save(tmp_path / "key")
    log_key = (tmp_path / "key").read_text().strip()
    secret_lines = pem.splitlines()[1:-1]

    for text in (pem, pem[:-60], f"cannot read {pem!r}", f"x {log_key} y"):
        shown = redacted_text(text)
        assert not any(line in shown for line in secret_lines)
        assert log_key.rpartition("+")[2] not in shown


def test_what_is_no_secret_stays_as_it_is() -> None:
    event = {
        "event": "controller_connected",
        "address": "127.0.0.1:32342",
        "url": "https://user@updates.example/source/metadata/",
        "joined": 3,
        "token_required": True,
        "checks": [1, 2.5, None, False, "spiffe://example/computer/c-1"],
    }

    assert redacted(event) == event


@given(
    st.recursive(
        st.text() | st.integers() | st.binary() | st.none(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_whatever_is_logged_stays_loggable(value: object) -> None:
    assert json.dumps(redacted({"event": "x", "value": value}))


def test_agent_log_hides_secrets_in_values_exceptions_and_the_lines_of_libraries(monkeypatch) -> None:
    import structlog

    from sopwith_agent.log_setup import set_up_logging

    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    set_up_logging("debug", "json")
    try:
        log = structlog.get_logger()
        try:
            int(f"https://x.example/?token={CANARY}")
        except ValueError:
            log.exception("request_failed", password=CANARY, detail=f'a "quoted" Bearer {CANARY}')
        logging.getLogger("urllib3").warning('retry "quoted" http://u:%s@h/', CANARY)
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True, handlers=[logging.NullHandler()])

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["event"][:14] for line in lines] == ["request_failed", 'retry "quoted"']
    assert "Traceback" in lines[0]["exception"]
    assert CANARY not in written.getvalue()


def test_lines_in_the_journal_carry_its_priority(monkeypatch, tmp_path) -> None:
    import structlog

    from sopwith_agent.log_setup import set_up_logging

    with (tmp_path / "journal").open("w+") as journal:
        stat = os.fstat(journal.fileno())
        monkeypatch.setattr(sys, "stdout", journal)
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
        set_up_logging("info", "auto")
        try:
            structlog.get_logger().error("record_not_written", error="full\n<7>forged")
        finally:
            structlog.reset_defaults()
            logging.basicConfig(force=True, handlers=[logging.NullHandler()])
        journal.seek(0)
        lines = journal.read().splitlines()

    assert len(lines) == 1
    assert lines[0].startswith('<3>{"error": "full\\n<7>forged"')
