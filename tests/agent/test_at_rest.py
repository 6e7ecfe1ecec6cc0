"""An agent at rest carries no library that it does not need: the memory budget, told by what is loaded."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopwith_agent.adapters.checkpoint_signatures import _verify
from sopwith_agent.adapters.identity_memory import recall
from sopwith_agent.adapters.identity_store import IdentityStore
from sopwith_agent.domain.errors import SettingsError
from sopwith_certs import log_key
from sopwith_certs.authority import Subject, certificate_pem
from sopwith_certs.identity import Kind
from tests.agent.fake_controller import FakeController

HEAVY = (
    "cryptography",
    "tuf",
    "urllib3",
    "importlib.metadata",
    "http.client",
    "urllib.request",
    "rich",
    "ssl",
    "_hashlib",
    "decimal",
    "zipfile",
    "backports.zstd",
    "google.protobuf.internal.python_message",
    "google.protobuf.text_format",
    "asyncio.sslproto",
    "uuid",
    "typing_extensions",
    "lzma",
)
REST = """
import sys
import sopwith_agent.cli
from sopwith_agent import late_imports
with late_imports.at_start():
    sopwith_agent.cli._parser().parse_args(["run"])
    import sopwith_agent.log_setup
    from sopwith_agent import bootstrap
from sopwith_agent.adapters.identity_store import IdentityStore
from sopwith_agent.adapters.installers.by_name import InstallersByName
from pathlib import Path
store = IdentityStore(Path(sys.argv[1]))
store.dates(), store.computer_id(), store.receipt_key_pem(), store.pair()
store.keep_authorities(store.authorities())
store.keep_warrant_keys((Path(sys.argv[1]) / "warrant_keys.pem").read_bytes())
InstallersByName().names()
print(*sorted(name for name in sys.modules if name in sys.argv[2:]))
"""


@pytest.fixture
def identity(tmp_path: Path) -> IdentityStore:
    return FakeController().enrol(tmp_path / "identity")


def test_agent_that_was_started_once_loads_no_heavy_library_at_the_next_start(identity, tmp_path):
    identity.dates(), identity.computer_id(), identity.receipt_key_pem()

    command = [sys.executable, "-c", REST, str(tmp_path / "identity"), *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_memory_of_another_certificate_is_not_believed(tmp_path):
    controller = FakeController()
    identity = controller.enrol(tmp_path / "identity")
    before = identity.dates()
    issued = controller.authority.issue(
        identity.pair().key.public_key(), Subject(Kind.COMPUTER, "c-1"), controller.now() - timedelta(days=3)
    )

    identity.replace_certificate(certificate_pem(issued))

    assert identity.dates().not_after == issued.not_valid_after_utc < before.not_after


def test_key_of_another_pair_is_refused_although_facts_were_remembered(identity, tmp_path):
    identity.dates()
    other = FakeController().enrol(tmp_path / "other")
    (tmp_path / "identity" / "pair" / "key.pem").write_bytes(other.pair().key_pem)

    with pytest.raises(SettingsError, match="do not belong together"):
        identity.pair()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"certificate": 3}', b'{"certificate": {"seal": 1}}', b"\xff"])
def test_broken_memory_is_as_none(identity, tmp_path, content):
    dates = identity.dates()
    (tmp_path / "identity" / "remembered.json").write_bytes(content)

    assert identity.dates() == dates


def test_memory_that_cannot_be_written_costs_nothing_else(tmp_path):
    assert recall(tmp_path / "not-there", "x", (b"1",), lambda: {"a": "b"}) == {"a": "b"}


@settings(max_examples=15, deadline=None)
@given(message=st.binary(max_size=300), flip=st.integers(0, 64 * 8 - 1))
def test_light_and_heavy_implementation_agree_on_checkpoint_signatures(message: bytes, flip: int):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib._vendor.ed25519 import ed25519

    key = Ed25519PrivateKey.generate()
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    changed = bytearray(signature)
    changed[flip // 8] ^= 1 << flip % 8

    for candidate in (signature, bytes(changed), signature[:-1], b"", signature + b"\0"):
        assert _verify(ed25519, public, message, candidate) == log_key.verify(public, message, candidate)
    assert _verify(ed25519, public, message, signature)
    assert not _verify(ed25519, public, message + b"x", signature)
    assert not _verify(ed25519, public[:-1], message, signature)


SOURCE = """
import json, sys
from sopwith_agent import late_imports
with late_imports.at_start():
    import hashlib
    from sopwith_agent import bootstrap
light = hashlib.sha256.__module__, hashlib.sha256(b"abc").hexdigest()
with late_imports.for_the_source():
    from sopwith_agent.adapters import tuf_source, source_download
openssl = hashlib.sha256.__module__, hashlib.sha256(b"abc").hexdigest()
loaded = sorted(name for name in sys.modules if name in sys.argv[1:])
import importlib.metadata, tuf.ngclient, tuf.ngclient.urllib3_fetcher, bz2
print(json.dumps({
    "light": light,
    "openssl": openssl,
    "downloads": source_download.sha256.__module__,
    "loaded": loaded,
    "fetcher": type(tuf.ngclient.Urllib3Fetcher()).__name__,
    "version": importlib.metadata.version("tuf") == importlib.metadata.distribution("tuf").version,
    "bz2": bz2.decompress(bz2.compress(b"x")).decode(),
    "placeholders": [name for name, module in sys.modules.items() if type(module).__name__ == "_Waiting"],
    "hidden": [name for name, module in sys.modules.items() if module is None],
}))
"""
NOT_FOR_THE_SOURCE = ("urllib.request", "importlib.metadata", "backports.zstd", "mimetypes", "csv")


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SOURCE, *NOT_FOR_THE_SOURCE], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_agent_that_has_asked_its_source_carries_only_what_that_takes(source):
    assert source["loaded"] == []


def test_hashes_are_pythons_own_at_rest_and_openssls_for_downloads(source):
    assert source["light"][0] != "_hashlib"
    assert source["openssl"][0] == source["downloads"] == "_hashlib"
    assert source["light"][1] == source["openssl"][1]


def test_what_waited_is_there_for_whoever_asks_for_it_later(source):
    assert (source["fetcher"], source["version"], source["bz2"]) == ("Urllib3Fetcher", True, "x")
    assert (source["placeholders"], source["hidden"]) == ([], [])


WAITING = """
import sys
from sopwith_agent import late_imports
with late_imports.at_start():
    import asyncio.base_events, shutil
    from sopwith.v1 import agent_service_pb2 as pb
    from google.protobuf.internal import builder
print("google.protobuf.internal.python_message" in sys.modules, "asyncio.sslproto" in sys.modules)
print(builder.python_message.GeneratedProtocolMessageType.__name__, asyncio.base_events.sslproto.SSLProtocol.__name__)
print("google.protobuf.internal.python_message" in sys.modules, "asyncio.sslproto" in sys.modules)
print(pb.AgentMessage.FromString(pb.AgentMessage(sequence=7).SerializeToString()))
"""


def test_part_that_waits_loads_at_its_first_use():
    done = subprocess.run([sys.executable, "-c", WAITING], capture_output=True, text=True, check=True)

    first, used, then, message = done.stdout.split("\n", 3)
    assert first == "False False"
    assert used == "GeneratedProtocolMessageType SSLProtocol"
    assert then == "True True"
    assert message.strip() == "sequence: 7"
