"""Release files: what people write, what is signed, and how faults are named."""

import hashlib
from pathlib import Path

import pytest

from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Artifact, Command, HealthCheck, Manifest, read_manifest
from sopwith_formats.problems import DocumentError
from sopwith_formats.release_document import read_release_document, read_release_folder

WHOLE = """release: hello
version: 2.10-3
artifacts:
  - file: hello_2.10-3_amd64.deb
    installer: deb
    when: {os: linux, arch: [x86_64]}
  - file: docs.tar.gz
    installer: archive
    options: {into: /opt/hello, link: current, unpacked_size_max: 50MiB}
summary: GNU hello, packaging fix
severity: low
references: [CVE-0000-00000]
change_class: normal
requires: {disk_free: 50MiB, from: ">=2.9"}
blocks: {processes: [hello-server]}
health_checks:
  - {exec: [/usr/bin/hello, --version], expect: 2.10, timeout: 10s}
  - {http: "http://127.0.0.1:8080/health", within: 60s}
  - {service: hello.service}
settle: 5s
reboot: if_needed
downgrade: allowed
drain: [{exec: [/usr/bin/drain, 1.10], timeout: 1m}]
undrain: [{exec: [/usr/bin/undrain]}]
snapshot: [{exec: [/usr/bin/snap]}]
"""
SMALL = "release: hello\nversion: 1\nartifacts:\n  - {file: a.deb, installer: deb}\n"


def folder(path: Path, text: str, **files: bytes) -> Path:
    (path / "release.yaml").write_text(text)
    for name, content in files.items():
        (path / name.replace("_", ".")).write_bytes(content)
    return path


def faults(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_release_document(text.encode())
    return [f"{problem.line} {problem.key}" for problem in caught.value.problems]


def test_every_key_of_a_release_file_reaches_the_signed_manifest(tmp_path):
    deb, docs = tmp_path / "hello_2.10-3_amd64.deb", tmp_path / "docs.tar.gz"
    deb.write_bytes(b"package")
    docs.write_bytes(b"docs")
    (tmp_path / "release.yaml").write_text(WHOLE)

    release = read_release_folder(tmp_path)

    assert release.files == {deb.name: deb, docs.name: docs}
    assert release.manifest == Manifest(
        name="hello",
        version="2.10-3",
        artifacts=(
            Artifact(
                deb.name,
                "deb",
                7,
                hashlib.sha256(b"package").hexdigest(),
                {"os": ["linux"], "arch": ["x86_64"]},
            ),
            Artifact(
                docs.name,
                "archive",
                4,
                hashlib.sha256(b"docs").hexdigest(),
                {},
                {"into": "/opt/hello", "link": "current", "unpacked_size_max": 50 * 2**20},
            ),
        ),
        summary="GNU hello, packaging fix",
        severity="low",
        references=("CVE-0000-00000",),
        change_class="normal",
        disk_free_bytes=50 * 2**20,
        requires_from=">=2.9",
        blocking_processes=("hello-server",),
        health_checks=(
            HealthCheck(exec=("/usr/bin/hello", "--version"), expect="2.10", timeout_seconds=10),
            HealthCheck(http="http://127.0.0.1:8080/health", within_seconds=60),
            HealthCheck(service="hello.service"),
        ),
        settle_seconds=5,
        reboot="if_needed",
        downgrade="allowed",
        drain=(Command(("/usr/bin/drain", "1.10"), 60),),
        undrain=(Command(("/usr/bin/undrain",)),),
        snapshot=(Command(("/usr/bin/snap",)),),
    )
    assert read_manifest(release.manifest.to_json()) == release.manifest


@pytest.mark.parametrize("written", ["2.10", "1e3", "010", "0x10", "true", "2026-11-22", "1_000"])
def test_version_is_the_text_as_it_is_written(written):
    document = read_release_document(SMALL.replace("version: 1", f"version: {written}").encode())

    assert document.version == written


@pytest.mark.parametrize("written", ["2.10", "1.0e3", "off"])
def test_expected_output_and_release_are_texts_as_they_are_written(written):
    text = SMALL.replace("hello", "123") + f"health_checks: [{{exec: [/bin/x, 1.50], expect: {written}}}]\n"

    document = read_release_document(text.encode())

    assert document.release == "123"
    assert document.health_checks[0].expect == written
    assert document.health_checks[0].exec == ["/bin/x", "1.50"]


def test_all_faults_are_named_at_once_with_their_lines():
    text = (
        "release: Hello World\nversion: 1\nartefacts: []\nsettle: 5\nseverity: mild\n"
        "artifacts:\n  - {file: ../x.deb, installer: deb}\n  - {file: y, installer: msi}\n"
    )

    found = faults(text)

    assert found == [
        "1 release",
        "3 artefacts",
        "4 settle",
        "5 severity",
        "7 artifacts[0].file",
        "8 artifacts[1].installer",
    ]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("health_checks: [{exec: /bin/true}]", "health_checks[0].exec"),
        ("health_checks: [{timeout: 3s}]", "health_checks[0]"),
        ("health_checks: [{exec: [/bin/true], service: x}]", "health_checks[0]"),
        ("health_checks: [{http: ftp://x}]", "health_checks[0].http"),
        ("health_checks: [{service: x, expect: y}]", "health_checks[0]"),
        ("health_checks: [{service: x, timeout: 0s}]", "health_checks[0]"),
        ("health_checks: [{service: 'x; rm'}]", "health_checks[0].service"),
        ("requires: {disk_free: 50}", "requires.disk_free"),
        ("requires: {from: newer}", "requires.from"),
        ("reboot: perhaps", "reboot"),
        ("release: again", "release"),
    ],
)
def test_fault_stands_at_its_key(line, key):
    assert faults(f"{SMALL}{line}\n") == [f"5 {key}"]


@pytest.mark.parametrize(
    "artifact",
    [
        "{file: a.tgz, installer: archive}",
        "{file: a.tgz, installer: archive, options: {into: opt}}",
        "{file: a.tgz, installer: archive, options: {into: /opt/../etc}}",
        "{file: a.tgz, installer: archive, options: {into: /}}",
        "{file: a.tgz, installer: archive, options: {into: /opt/a, link: ../x}}",
        "{file: a.deb, installer: deb, options: {into: /opt/a}}",
        "{file: release.json, installer: deb}",
        "{file: a.deb, installer: deb, when: {os: []}}",
        "{file: .hidden, installer: deb}",
    ],
)
def test_artifact_that_cannot_be_installed_is_refused(artifact):
    assert faults(SMALL.replace("{file: a.deb, installer: deb}", artifact))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("reboot: always\ndrain: [/bin/drain]", "drain"),
        ("reboot: always\ndrain: [{exec: []}]", "drain[0].exec"),
        ("reboot: always\ndrain: [{exec: ['']}]", "names no program"),
        ("reboot: always\nundrain: [{exec: [/bin/u], timeout: 2d}]", "1 s to 1 day"),
        ("drain: [{exec: [/bin/drain]}]", "never reboots"),
    ],
)
def test_command_that_cannot_be_run_is_refused(lines, words):
    with pytest.raises(DocumentError) as caught:
        read_release_document((SMALL + lines).encode())

    assert words in str(caught.value.problems[0])


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ((Command(()),), "names no program"),
        ((Command(("/bin/a\0",)),), "list of texts"),
        ((Command(("/bin/a",), 0),), "1 s to 1 day"),
        ((Command(("/bin/a",), -1),), "no size"),
        ((Command(("/bin/a",)),) * 21, "more than 20"),
    ],
)
def test_signed_commands_are_checked_by_their_readers_too(commands, words):
    artifact = Artifact("a.deb", "deb", 1, "0" * 64)
    with pytest.raises(FormatError, match=words):
        read_manifest(Manifest("hello", "1", (artifact,), drain=commands).to_json())


def test_release_without_commands_is_signed_as_before_there_were_any():
    plain = Manifest("hello", "1", (Artifact("a.deb", "deb", 1, "0" * 64),))

    assert b"drain" not in plain.to_json()
    assert read_manifest(plain.to_json()) == plain


def test_name_that_stands_for_rollouts_that_only_reboot_is_no_release():
    with pytest.raises(DocumentError, match="only reboot"):
        read_release_document(SMALL.replace("release: hello", "release: reboot").encode())


def test_same_file_twice_is_refused():
    assert faults(SMALL + "  - {file: a.deb, installer: deb}\n")


def test_archive_has_a_link_and_a_limit_where_none_is_written(tmp_path):
    text = SMALL.replace("{file: a.deb, installer: deb}", "{file: a.tgz, installer: archive, options: {into: /opt/a}}")

    release = read_release_folder(folder(tmp_path, text, a_tgz=b"x"))

    assert release.manifest.artifacts[0].options == {"into": "/opt/a", "link": "current", "unpacked_size_max": 2**30}


def test_missing_files_are_named_with_the_line_that_lists_them(tmp_path):
    text = SMALL + "  - {file: b.deb, installer: deb}\n"

    with pytest.raises(DocumentError) as caught:
        read_release_folder(folder(tmp_path, text, a_deb=b"x"))

    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (5, "artifacts[1].file")
    assert "b.deb" in problem.message


def test_folder_without_release_file_names_the_mend(tmp_path):
    with pytest.raises(FormatError, match="sopwith release new"):
        read_release_folder(tmp_path)
