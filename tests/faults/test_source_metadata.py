"""Attacks on the source's metadata (fault list rows 1 to 9, 14, 15, 18, 19), each against the real refresh."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Key, Metadata, MetaFile

from sopwith_agent.adapters.source_folder import SourceFolder
from sopwith_agent.adapters.source_metadata import SourceMetadata, SourceState
from sopwith_agent.adapters.source_transport import Transport
from sopwith_agent.adapters.source_watch import TransferLimits
from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom
from tests.faults.answers import drip, drip_headers, pour_endlessly, send
from tests.faults.hostile_source import HostileServer, SourceRepository, serving

IMPATIENT = TransferLimits(connect_timeout_seconds=2, window_seconds=0.5, floor_bytes_per_second=1024)


class Computer:
    """A computer that trusts the source of a server."""

    def __init__(self, server: HostileServer, path: Path) -> None:
        self.server = server
        self.folder = SourceFolder(path)
        self.folder.trust(server.repository.files["/metadata/1.root.json"])
        self.clock_ahead = timedelta()
        self.transport = Transport(limits=IMPATIENT)

    def metadata(self) -> SourceMetadata:
        return SourceMetadata(
            self.folder, self.server.metadata_url, self.transport, lambda: datetime.now(UTC) + self.clock_ahead
        )

    def refresh(self) -> SourceState:
        return self.metadata().refresh()

    def refused(self) -> StepError:
        with pytest.raises(StepError) as caught:
            self.refresh()
        return caught.value

    def version(self, role: str) -> int:
        return int(json.loads((self.folder.path / f"{role}.json").read_bytes())["signed"]["version"])


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with serving(SourceRepository()) as running:
        yield running


@pytest.fixture
def repository(server: HostileServer) -> SourceRepository:
    return server.repository


@pytest.fixture
def computer(server: HostileServer, tmp_path: Path) -> Iterator[Computer]:
    enrolled = Computer(server, tmp_path / "source")
    yield enrolled
    enrolled.transport.close()


def test_refresh_keeps_metadata_byte_for_byte_as_received(computer, repository):
    repository.add_target("a", b"content")
    repository.publish()

    state = computer.refresh()

    assert state.versions == {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 2}
    received = {path.name: path.read_bytes() for path in computer.folder.path.glob("*.json")}
    assert received == {
        "root.json": repository.files["/metadata/1.root.json"],
        "timestamp.json": repository.files["/metadata/timestamp.json"],
        "snapshot.json": repository.files["/metadata/2.snapshot.json"],
        "targets.json": repository.files["/metadata/2.targets.json"],
    }


@pytest.mark.clause("V.A Gather", "replay")
def test_case_1_older_timestamp_is_refused_and_the_newer_kept(computer, repository):
    older = repository.files["/metadata/timestamp.json"]
    repository.publish_timestamp()
    computer.refresh()
    repository.files["/metadata/timestamp.json"] = older

    error = computer.refused()

    assert error.symptom is Symptom.METADATA_ROLLBACK
    assert computer.version("timestamp") == 2


@pytest.mark.parametrize("lost", ["removed", "emptied", "rolled back", "forged"])
def test_case_1_older_timestamp_is_refused_even_after_the_kept_one_was_lost(computer, repository, lost):
    older = repository.files["/metadata/timestamp.json"]
    repository.publish()
    computer.refresh()
    repository.files["/metadata/timestamp.json"] = older
    kept = computer.folder.path / "timestamp.json"
    forged = repository.files["/metadata/timestamp.json"].replace(b'"version": 2', b'"version": 99')
    if lost == "removed":
        for path in computer.folder.path.glob("*.json"):
            path.unlink()
    else:
        kept.write_bytes({"emptied": b"", "rolled back": older, "forged": forged}[lost])

    error = computer.refused()

    assert error.symptom is Symptom.METADATA_ROLLBACK
    assert computer.version("timestamp") == 2


def test_case_2_snapshot_that_lists_older_targets_is_refused(computer, repository):
    repository.publish()
    computer.refresh()
    repository.snapshot.meta["targets.json"] = MetaFile(1)
    repository.publish_snapshot()

    error = computer.refused()

    assert error.symptom is Symptom.METADATA_ROLLBACK


def test_case_2_snapshot_that_forgets_a_role_is_refused(computer, repository):
    repository.delegate("targets", "extra", ["x/*"], CryptoSigner.generate_ed25519())
    repository.publish()
    computer.refresh()
    del repository.snapshot.meta["extra.json"]
    repository.publish_snapshot()

    error = computer.refused()

    assert error.symptom is Symptom.METADATA_ROLLBACK


@pytest.mark.gate("blocks", "metadata_fresh")
@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_case_3_expired_metadata_is_refused_as_a_freeze(computer, repository, role):
    getattr(repository, role).expires = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    if role == "root":
        repository.root.version += 1
        repository.publish_root()
    repository.publish()

    error = computer.refused()

    assert error.symptom is Symptom.METADATA_EXPIRED


def test_case_4_clock_set_back_does_not_revive_expired_metadata(computer, repository):
    repository.timestamp.expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    repository.publish_timestamp()
    computer.refresh()
    computer.folder.note_time(datetime.now(UTC) + timedelta(days=2))

    error = computer.refused()

    assert error.symptom is Symptom.METADATA_EXPIRED


def test_clock_before_the_program_was_made_is_not_believed(computer):
    computer.clock_ahead = datetime(1970, 1, 2, tzinfo=UTC) - datetime.now(UTC)

    error = computer.refused()

    assert error.symptom is Symptom.CLOCK_SKEWED


def test_case_5_snapshot_with_the_body_of_other_targets_is_refused(computer, repository):
    older = repository.files["/metadata/1.targets.json"]
    repository.publish()
    repository.files["/metadata/2.targets.json"] = older

    error = computer.refused()

    assert error.symptom in {Symptom.METADATA_ROLLBACK, Symptom.SIGNATURE_INVALID}
    assert not (computer.folder.path / "targets.json").exists()


@pytest.mark.gate("blocks", "signature")
def test_case_6_one_of_two_signatures_is_refused(computer, repository):
    _ask_for_two_signatures(repository, CryptoSigner.generate_ed25519())

    error = computer.refused()

    assert error.symptom is Symptom.SIGNATURE_INVALID


def test_case_6_one_key_that_signs_twice_is_refused(computer, repository):
    _ask_for_two_signatures(repository, CryptoSigner.generate_ed25519())
    document = json.loads(repository.files["/metadata/2.targets.json"])
    document["signatures"].append(document["signatures"][0])
    repository.files["/metadata/2.targets.json"] = json.dumps(document).encode()

    error = computer.refused()

    assert error.symptom is Symptom.SIGNATURE_INVALID


def test_case_6_one_key_under_two_key_ids_is_refused(computer, repository):
    signer = repository.signers["targets"][0]
    described = signer.public_key.to_dict()
    other_id = Key.from_dict("f" * 64, described)
    assert isinstance(other_id, SSlibKey)
    twin = CryptoSigner(signer._private_key, other_id)
    _ask_for_two_signatures(repository, twin)
    repository.signers["targets"] = [signer, twin]
    repository.publish()

    error = computer.refused()

    assert error.symptom is Symptom.SIGNATURE_INVALID


def _ask_for_two_signatures(repository: SourceRepository, second: CryptoSigner) -> None:
    repository.root.add_key(second.public_key, "targets")
    repository.root.roles["targets"].threshold = 2
    repository.root.version += 1
    repository.publish_root()
    repository.publish()


@pytest.mark.parametrize("by", ["old", "new"])
def test_case_7_root_signed_by_old_or_new_keys_only_is_refused(computer, repository, by):
    old = repository.signers["root"]
    new = [CryptoSigner.generate_ed25519()]
    repository.root.revoke_key(old[0].public_key.keyid, "root")
    repository.root.add_key(new[0].public_key, "root")
    repository.root.version += 1
    repository.files["/metadata/2.root.json"] = repository.sign(repository.root, old if by == "old" else new)

    error = computer.refused()

    assert error.symptom is Symptom.SIGNATURE_INVALID
    assert computer.version("root") == 1


def test_case_8_forty_rotations_of_the_root_are_walked_and_kept(computer, repository, server):
    repository.rotate("root", count=39)

    state = computer.refresh()

    assert state.versions["root"] == 40
    assert computer.folder.trusted_root().version == 40
    server.requests.clear()
    assert computer.refresh().versions["root"] == 40
    assert [path for path, _ in server.requests if "root" in path] == ["/metadata/41.root.json"]


def test_case_8_walk_that_broke_off_goes_on_where_it_stopped(computer, repository, server):
    repository.rotate("root", count=9)
    server.behave["/metadata/6.root.json"] = lambda handler: send(handler, 500, b"")
    assert computer.refused().symptom is Symptom.NET_SOURCE_UNREACHABLE
    del server.behave["/metadata/6.root.json"]
    server.requests.clear()

    state = computer.refresh()

    assert state.versions["root"] == 10
    assert server.requests[0][0] == "/metadata/6.root.json"


def test_hidden_rotation_does_not_bring_an_old_root_back(computer, repository):
    repository.rotate("timestamp")
    repository.publish()
    computer.refresh()
    for path in (computer.folder.path / "root_history").iterdir():
        path.unlink()
    del repository.files["/metadata/2.root.json"]

    state = computer.refresh()

    assert state.versions["root"] == 2


def test_source_recovers_from_a_stolen_key_that_signed_an_absurd_version(computer, repository):
    repository.timestamp.version = 10**6
    repository.snapshot.version = 10**6
    repository.publish()
    computer.refresh()
    repository.rotate("timestamp")
    repository.rotate("snapshot")
    repository.timestamp.version = repository.snapshot.version = 3
    repository.publish()

    state = computer.refresh()

    assert (state.versions["timestamp"], state.versions["snapshot"]) == (4, 4)
    assert computer.refresh() == state


@pytest.mark.parametrize("path", ["/metadata/2.root.json", "/metadata/timestamp.json", "/metadata/1.snapshot.json"])
def test_case_9_endless_metadata_is_cut_at_the_limit_of_its_role(computer, server, path):
    server.behave[path] = pour_endlessly

    error = computer.refused()

    assert error.symptom is Symptom.SIGNATURE_INVALID
    assert "longer than" in error.message


@pytest.mark.parametrize("behaviour", ["body", "headers"])
def test_case_11_dripping_metadata_is_broken_off(computer, server, behaviour):
    content = server.repository.files["/metadata/timestamp.json"]
    server.behave["/metadata/timestamp.json"] = drip(content) if behaviour == "body" else drip_headers

    error = computer.refused()

    assert error.symptom is Symptom.NET_SOURCE_UNREACHABLE
    assert "less than 1024 bytes a second" in error.message


@pytest.mark.parametrize(
    "target", ["http://203.0.113.1/metadata/timestamp.json", "file:///etc/passwd", "https://localhost/x"]
)
def test_case_14_redirect_to_another_origin_is_refused(computer, server, target):
    server.behave["/metadata/timestamp.json"] = lambda handler: send(handler, 302, b"", {"Location": target})

    error = computer.refused()

    assert error.symptom is Symptom.NET_SOURCE_UNREACHABLE
    assert "another origin" in error.message


def test_redirect_within_the_origin_is_followed(computer, server):
    server.repository.files["/elsewhere"] = server.repository.files["/metadata/1.targets.json"]
    server.behave["/metadata/1.targets.json"] = lambda handler: send(handler, 302, b"gone", {"Location": "/elsewhere"})

    state = computer.refresh()

    assert state.versions["targets"] == 1


def test_case_15_unknown_fields_are_kept_but_mean_nothing(computer, repository):
    repository.targets.unrecognized_fields["x-more"] = {"trust": "everything"}
    repository.publish()

    computer.refresh()

    assert b"x-more" in (computer.folder.path / "targets.json").read_bytes()


def test_case_15_unknown_signature_scheme_counts_for_nothing(computer, repository):
    second = CryptoSigner.generate_ed25519()
    described = {**second.public_key.to_dict(), "keytype": "new", "scheme": "new-scheme"}
    repository.root.add_key(second.public_key, "targets")
    repository.root.roles["targets"].threshold = 2
    repository.root.version += 1
    root = repository.root.to_dict()
    root["keys"][second.public_key.keyid] = described
    signature = repository.signers["root"][0].sign(str(encode_canonical(root)).encode())
    document = {"signed": root, "signatures": [signature.to_dict()]}
    repository.files["/metadata/2.root.json"] = json.dumps(document).encode()
    document = json.loads(repository.files["/metadata/1.targets.json"])
    document["signatures"].append({"keyid": second.public_key.keyid, "sig": "00"})
    repository.files["/metadata/1.targets.json"] = json.dumps(document).encode()

    error = computer.refused()

    assert error.symptom is Symptom.SIGNATURE_INVALID


def test_case_15_snapshot_with_an_unknown_digest_only_is_refused(computer, repository):
    repository.timestamp.snapshot_meta = MetaFile(1, hashes={"sha0": "00"})
    repository.publish_timestamp()

    error = computer.refused()

    assert error.symptom is Symptom.SIGNATURE_INVALID


def test_case_18_role_signed_for_one_delegator_is_refused_under_another(computer, repository):
    first, second, shared, other = (CryptoSigner.generate_ed25519() for _ in range(4))
    repository.delegate("targets", "a", ["a/*", "s/*"], first)
    repository.delegate("targets", "b", ["b/*", "s/*"], second)
    repository.delegate("a", "shared", ["a/*", "s/1"], shared)
    repository.delegate("b", "shared", ["b/*", "s/*"], other)
    repository.delegated["shared"].version = 0
    repository.add_target("s/1", b"fine", role="shared")
    repository.add_target("b/1", b"smuggled", role="shared")
    repository.publish()
    metadata = computer.metadata()
    metadata.refresh()
    metadata.look_up("s/1")

    with pytest.raises(StepError) as caught:
        metadata.look_up("b/1")

    assert caught.value.symptom in {Symptom.SIGNATURE_INVALID, Symptom.NOT_AUTHORISED_BY_SOURCE}


def test_case_19_replaced_root_in_the_folder_is_overruled_by_the_pinned_one(computer, repository):
    stranger = SourceRepository()
    computer.refresh()
    (computer.folder.path / "root.json").unlink()
    (computer.folder.path / "root.json").write_bytes(stranger.files["/metadata/1.root.json"])
    (computer.folder.path / "root_history" / "1.root.json").write_bytes(stranger.files["/metadata/1.root.json"])
    repository.publish()

    computer.refresh()

    assert (computer.folder.path / "root.json").read_bytes() == repository.files["/metadata/1.root.json"]


def test_case_19_spoiled_pinned_root_is_refused(computer):
    (computer.folder.path / "pinned_root").write_bytes(b'{"signed": {}}')

    error = computer.refused()

    assert error.symptom is Symptom.SIGNATURE_INVALID


def test_case_19_pinned_root_that_is_not_the_named_one_is_refused(computer, tmp_path):
    stranger = SourceRepository()
    named = SourceFolder(tmp_path / "named", expected_sha256=computer.folder.trust(computer.folder.pinned_root()))

    with pytest.raises(StepError) as caught:
        named.trust(stranger.files["/metadata/1.root.json"])

    assert caught.value.symptom is Symptom.SIGNATURE_INVALID
    assert not (tmp_path / "named").exists()


def test_other_root_is_not_trusted_where_one_is_trusted_already(computer):
    with pytest.raises(StepError, match="another source"):
        computer.folder.trust(SourceRepository().files["/metadata/1.root.json"])


def test_successor_of_the_trusted_root_may_be_pinned(computer, repository):
    computer.refresh()
    repository.rotate("root")

    computer.folder.trust(repository.files["/metadata/2.root.json"])

    assert computer.refresh().versions["root"] == 2


@pytest.mark.parametrize(
    "answer", [b"<html>log in to the network</html>", b"", b"{}", b'{"signed": []}', b"[" * 50_000]
)
def test_case_58_answer_that_is_no_metadata_is_refused(computer, server, answer):
    server.behave["/metadata/timestamp.json"] = lambda handler: send(handler, 200, answer)

    error = computer.refused()

    assert error.symptom is Symptom.SIGNATURE_INVALID
    assert "\n" not in error.message


def test_compressed_answer_is_refused(computer, server):
    server.behave["/metadata/timestamp.json"] = lambda handler: send(
        handler, 200, b"\x1f\x8b", {"Content-Encoding": "gzip"}
    )

    error = computer.refused()

    assert error.symptom is Symptom.NET_SOURCE_UNREACHABLE


def test_broken_connection_is_a_matter_of_the_network(computer, server):
    content = server.repository.files["/metadata/timestamp.json"]
    server.behave["/metadata/timestamp.json"] = lambda handler: send(handler, 200, content[:50], announce=len(content))

    error = computer.refused()

    assert error.symptom is Symptom.NET_SOURCE_UNREACHABLE


@pytest.mark.parametrize("url", ["http://203.0.113.1/m/", "ftp://127.0.0.1/", "127.0.0.1/m", "https://u:p@host/", ""])
def test_address_that_may_not_be_asked_is_refused(computer, url):
    computer.server.base = url

    with pytest.raises(StepError) as caught:
        SourceMetadata(computer.folder, url, Transport())

    assert caught.value.symptom is Symptom.NET_SOURCE_UNREACHABLE


@pytest.mark.clause("V.A Gather", "source")
def test_folder_without_trust_is_not_designated(computer, tmp_path):
    computer.folder = SourceFolder(tmp_path)

    error = computer.refused()

    assert error.symptom is Symptom.SOURCE_NOT_DESIGNATED


def test_metadata_signed_by_nobody_known_is_no_metadata_of_ours(computer, repository):
    stranger = SourceRepository()
    repository.files["/metadata/timestamp.json"] = stranger.files["/metadata/timestamp.json"]

    error = computer.refused()

    assert error.symptom is Symptom.SIGNATURE_INVALID
    assert Metadata.from_bytes(repository.files["/metadata/timestamp.json"]).signed.version == 1
