"""What goes wrong on the command line ends with the documented code, one clear line and no traceback."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme

SOPWITH = str(Path(sys.executable).parent / "sopwith")
CONTEXT = """format = 1
organization = "Example"
trust_domain = "example"
person = "owner"
fleet_address = "127.0.0.1:{port}"
web_address = "127.0.0.1:1"
ca_fingerprint = "sha256:00"
trust_bundle = "file:ca.pem"
certificate = "file:certificate.pem"
key = "file:key.pem"
"""


def sopwith(*arguments, **environment):
    return subprocess.run(
        [SOPWITH, *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.fixture
def context(tmp_path):
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    certificate = authority.issue_cert("owner", key_type=trustme.KeyType.ECDSA)
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "certificate.pem").write_bytes(certificate.cert_chain_pems[0].bytes())
    (tmp_path / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = tmp_path / "context.toml"
    path.write_text(CONTEXT.format(port=port))
    return path


def test_a_missing_context_names_the_mend():
    done = sopwith("status")

    assert done.returncode == 1
    assert "there is no context" in done.stderr
    assert "to mend it" in done.stderr


@pytest.mark.parametrize("arguments", [("nonsense",), ("rollout", "dance"), ("rollout", "show"), ("status", "--loud")])
def test_wrong_usage_exits_with_2(arguments):
    done = sopwith(*arguments)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_unreachable_controller_exits_with_6_within_two_seconds(context):
    began = time.monotonic()
    done = sopwith("status", "--context", str(context))

    assert done.returncode == 6
    assert "cannot be reached" in done.stderr
    # The limit of the contract is 2 s after start-up; start-up gets room on a busy machine.
    assert time.monotonic() - began < 10


def test_the_context_may_stand_before_the_noun(context):
    assert sopwith("--context", str(context), "status").returncode == 6


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("format = 1\n", "missing"),
        ("format = 9\n", "known format"),
        ("so wrong", "TOML"),
        (CONTEXT + 'x = "1"\n', "unknown"),
    ],
)
def test_a_broken_context_is_named(tmp_path, content, word):
    path = tmp_path / "context.toml"
    path.write_text(content)

    done = sopwith("status", "--context", str(path))

    assert done.returncode == 1
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_certificate_is_named(context):
    (context.parent / "certificate.pem").write_text("no certificate")

    done = sopwith("status", "--context", str(context))

    assert done.returncode == 1
    assert "holds no certificate" in done.stderr


@pytest.mark.parametrize(
    "noun",
    ["update", "person", "token", "computer", "source", "release", "sop", "rollout", "freeze", "incident", "log"],
)
def test_every_noun_explains_itself_with_an_example(noun):
    done = sopwith(noun, "--help")

    assert done.returncode == 0, done.stderr
    assert "Usage: sopwith" in done.stdout


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        ("key.pem", "holds no private key that can be used"),
        ("certificate.pem", "holds no certificate"),
        ("ca.pem", "holds no authority"),
    ],
)
def test_a_file_of_the_context_that_cannot_be_used_is_named(context, spoiled, words):
    (context.parent / spoiled).write_text("somebody else's notes\n")

    done = sopwith("status", "--context", str(context))

    assert done.returncode == 1
    assert f"{spoiled} {words}" in done.stderr
    assert "ssl_transport_security" not in done.stderr


def test_a_key_of_somebody_else_is_named(context):
    other = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("other", key_type=trustme.KeyType.ECDSA)
    (context.parent / "key.pem").write_bytes(other.private_key_pem.bytes())

    done = sopwith("status", "--context", str(context))

    assert done.returncode == 1
    assert "do not belong together" in done.stderr


@pytest.mark.parametrize("address", ["", "nowhere", "host:port"])
def test_an_address_that_is_none_is_named(context, address):
    lines = context.read_text().splitlines()
    context.write_text("\n".join(f'fleet_address = "{address}"' if "fleet_address" in line else line for line in lines))

    done = sopwith("status", "--context", str(context))

    assert done.returncode == 1
    assert f"{address!r} is no address" in done.stderr
