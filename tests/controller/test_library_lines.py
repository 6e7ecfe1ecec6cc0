"""Lines that the gRPC library writes to stderr become log lines; everybody else's pass through."""

import os
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from sopwith_controller.operate.library_lines import LibraryLines

REFUSED = (
    "I1122 03:56:43.957314   21982 ssl_transport_security.cc:2563] Handshake failed with error SSL_ERROR_SSL: "
    "error:100000c0:SSL routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE: "
    "Invalid certificate verification context"
)
OTHER = "E1122 03:40:04.772387   27287 add_port.cc:83] Failed to add port to server: No address added"


def test_a_refused_handshake_is_logged_with_its_reason():
    with capture_logs() as logged:
        assert LibraryLines().take(REFUSED)

    assert [(line["event"], line["reason"], line["log_level"]) for line in logged] == [
        ("handshake_refused", "PEER_DID_NOT_RETURN_A_CERTIFICATE", "warning")
    ]


def test_a_storm_of_refused_handshakes_is_one_line():
    lines = LibraryLines()

    with capture_logs() as logged:
        assert all(lines.take(REFUSED) for _ in range(1000))

    assert len(logged) == 1


def test_another_line_of_the_library_is_passed_on_whole():
    with capture_logs() as logged:
        assert LibraryLines().take(OTHER)

    assert [(line["event"], line["text"], line["place"], line["log_level"]) for line in logged] == [
        ("library_said", "Failed to add port to server: No address added", "add_port.cc:83", "error")
    ]


@pytest.mark.parametrize("line", ["", "Fatal Python error: Segmentation fault", "I am no line of the library"])
def test_lines_of_others_are_left_alone(line):
    with capture_logs() as logged:
        assert not LibraryLines().take(line)

    assert logged == []


def test_what_others_write_still_reaches_stderr_and_stderr_comes_back():
    script = (
        "import os\n"
        "from sopwith_controller.operate.library_lines import taken_up\n"
        "with taken_up():\n"
        f"    os.write(2, {REFUSED.encode()!r} + b'\\n')\n"
        "    os.write(2, b'somebody else\\n')\n"
        "os.write(2, b'afterwards\\n')\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)

    assert done.stderr.splitlines() == ["somebody else", "afterwards"]
    assert "handshake_refused" in done.stdout
