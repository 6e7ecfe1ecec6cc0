"""Words that are commands elsewhere are data here (fault cases 82 to 84): in metadata, arguments and settings."""

from collections.abc import Iterator

import pytest
from tuf.api.metadata import TargetFile

from sopwith_agent import cli, source_commands
from sopwith_agent.adapters.tuf_source import TufSource
from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Manifest, read_manifest
from tests.agent.fakes import hello
from tests.faults.hostile_source import HostileServer, SourceRepository, serving

NAME = "hello/2/hello.deb"
WORDS = [
    "-rf",
    "--url=http://127.0.0.1:1/",
    "--",
    "$(touch canary)",
    "; touch canary",
    "`touch canary`",
    "| touch canary",
    "*",
    "../../canary",
    "'; DROP TABLE computers; --",
    "%s%n%x",
    "{0.__class__}",
    "hello\nworld",
    "\x1b[2Jhello",
]


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with serving(SourceRepository()) as running:
        running.repository.add_target(NAME, b"content")
        yield running


@pytest.mark.parametrize("word", WORDS)
def test_case_82_custom_fields_of_signed_metadata_mean_nothing(server, tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    signed: TargetFile = server.repository.targets.targets[NAME]
    signed.unrecognized_fields["custom"] = {"hook": word, word: [word], "path": f"/tmp/{word}"}
    server.repository.publish()
    source = TufSource(tmp_path / "source")
    source.designate(server.repository.files["/metadata/1.root.json"], server.metadata_url, server.files_url)

    staged = source.download(NAME, tmp_path / "staging", lambda _done, _total: None, lambda: False)
    source.close()

    assert staged.path == tmp_path / "staging" / "hello.deb"
    assert {path.name for path in tmp_path.iterdir()} == {"source", "staging"}
    assert [path.name for path in (tmp_path / "staging").iterdir()] == ["hello.deb"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("where", ["release", "version", "file", "unknown"])
def test_case_82_names_in_a_signed_manifest_are_names_or_refused(word, where):
    manifest, _ = hello("2")
    document = canonical_json.decode(manifest.to_json())
    if where == "file":
        document["artifacts"][0]["file"] = word
    else:
        document[{"release": "name"}.get(where, where)] = word

    with pytest.raises(FormatError):
        read_manifest(canonical_json.encode(document))
    assert isinstance(read_manifest(manifest.to_json()), Manifest)


@pytest.mark.parametrize("word", WORDS)
def test_case_83_arguments_of_the_source_commands_are_data(server, tmp_path, monkeypatch, capsys, word):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "root.json"
    root.write_bytes(server.repository.files["/metadata/1.root.json"])
    server.repository.publish()
    source_commands.main(["trust", str(root), "--dir", "trust"])
    capsys.readouterr()
    addresses = ["--url", server.metadata_url, "--files-url", server.files_url, "--dir", "trust", "--out", "out"]

    code = source_commands.main(["get", *addresses, "--", word, NAME])

    said = capsys.readouterr()
    assert code == 1
    assert len(said.err.splitlines()) == 1
    assert "\x1b" not in said.err
    assert (tmp_path / "out" / "hello%2F2%2Fhello.deb").read_bytes() == b"content"
    assert {path.name for path in tmp_path.iterdir()} == {"root.json", "trust", "out"}


@pytest.mark.parametrize("word", WORDS)
def test_case_83_words_in_place_of_the_agents_command_are_told_in_one_message(tmp_path, monkeypatch, capsys, word):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as caught:
        cli.main([word])

    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 10**6,
        b'{"a": -0.5}',
        b'{"a":' * 10**5,
        b"1" * 10**6,
        b'{"a":1,"a":2}',
        b"1e999",
        b"NaN",
        b"\xff",
    ],
)
def test_case_84_hostile_json_is_refused_by_its_format(data):
    with pytest.raises(FormatError):
        canonical_json.decode(data)


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "a = " + "9" * 100_000, "a = 1\na = 2\n", "a." * 5_000 + "a = 1", "a = \x00"]
)
def test_case_84_hostile_settings_are_told_as_such(tmp_path, capsys, text):
    (tmp_path / "agent.toml").write_text(text)

    assert cli.main(["check-config", "--state", str(tmp_path)]) == 1

    said = capsys.readouterr().err
    assert "agent.toml" in said
    assert "unexpected" not in said
    assert len(said) < 2000
