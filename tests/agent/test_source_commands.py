"""`sopwith-agent source` by hand, as a real process: exit code 0 or 1, one line on stderr, fast, without gRPC."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopwith_agent import source_commands
from tests.faults.answers import send
from tests.faults.hostile_source import HostileServer, SourceRepository, serving


@pytest.fixture
def server() -> Iterator[HostileServer]:
    repository = SourceRepository()
    repository.add_target("hello/1/release.json", b"{}")
    repository.publish()
    with serving(repository) as running:
        yield running


@pytest.fixture
def root(server: HostileServer, tmp_path: Path) -> Path:
    path = tmp_path / "root-file"
    path.write_bytes(server.repository.files["/metadata/1.root.json"])
    return path


def get(server: HostileServer, folder: Path, *names: str) -> int:
    urls = ["--url", server.metadata_url, "--files-url", server.files_url]
    return source_commands.main(["get", *names, *urls, "--dir", str(folder / "d"), "--out", str(folder / "o")])


def test_source_is_trusted_refreshed_and_read_by_hand(server, root, tmp_path, capsys):
    assert source_commands.main(["trust", str(root), "--dir", str(tmp_path / "d")]) == 0
    assert server.requests == []
    assert source_commands.main(["refresh", "--url", server.metadata_url, "--dir", str(tmp_path / "d")]) == 0
    assert get(server, tmp_path, "hello/1/release.json") == 0

    captured = capsys.readouterr()
    assert captured.err == ""
    assert "timestamp=2" in captured.out
    assert (tmp_path / "o" / "hello%2F1%2Frelease.json").read_bytes() == b"{}"


def test_target_keeps_its_file_name_when_its_content_changes(server, root, tmp_path):
    source_commands.main(["trust", str(root), "--dir", str(tmp_path / "d")])
    get(server, tmp_path, "hello/1/release.json")
    server.repository.add_target("hello/1/release.json", b"{ }")
    server.repository.publish()

    assert get(server, tmp_path, "hello/1/release.json") == 0

    assert [path.read_bytes() for path in (tmp_path / "o").iterdir()] == [b"{ }"]


def test_one_missing_target_fails_the_command_but_not_the_others(server, root, tmp_path, capsys):
    source_commands.main(["trust", str(root), "--dir", str(tmp_path / "d")])

    assert get(server, tmp_path, "unknown", "hello/1/release.json") == 1

    assert capsys.readouterr().err.startswith("sopwith-agent source: NOT_AUTHORISED_BY_SOURCE: ")
    assert len(list((tmp_path / "o").iterdir())) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["trust"],
        ["trust", "absent-file", "--dir", "d"],
        ["refresh", "--dir", "d"],
        ["refresh", "--url", "https://127.0.0.1:1/", "--dir", "/proc/none"],
        ["get", "--url", "https://127.0.0.1:1/", "--dir", "d", "--out", "o"],
        ["refresh", "--url", "http://203.0.113.1/", "--dir", "d"],
        ["refresh", "--url", "https://127.0.0.1:1/", "--dir", "d", "--ca", "absent"],
    ],
)
def test_every_failure_is_exit_1_and_one_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert source_commands.main(arguments) == 1

    error = capsys.readouterr().err
    assert error.startswith("sopwith-agent source: ")
    assert error.count("\n") == 1


def test_refused_metadata_is_exit_1_with_the_symptom_first(server, root, tmp_path, capsys):
    source_commands.main(["trust", str(root), "--dir", str(tmp_path / "d")])
    server.behave["/metadata/timestamp.json"] = lambda handler: send(handler, 200, b"<html>")

    assert source_commands.main(["refresh", "--url", server.metadata_url, "--dir", str(tmp_path / "d")]) == 1

    assert capsys.readouterr().err.startswith("sopwith-agent source: SIGNATURE_INVALID: ")


def test_process_imports_no_grpc_and_ends_with_0_or_1(server, root, tmp_path):
    folder = str(tmp_path / "d")
    code = (
        "import sys, sopwith_agent.__main__ as program\n"
        f"sys.argv = ['sopwith-agent', 'source', 'trust', {str(root)!r}, '--dir', {folder!r}]\n"
        "ended = program.main()\n"
        f"sys.argv = ['sopwith-agent', 'source', 'refresh', '--url', {server.metadata_url!r}, '--dir', {folder!r}]\n"
        "ended += program.main()\n"
        "sys.exit(3 if 'grpc' in sys.modules else ended)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
