"""What each installer's options may say in the release file, and what is signed of them."""

from pathlib import Path
from typing import Any

import pytest

from sopwith_formats.problems import DocumentError
from sopwith_formats.release_document import read_release_folder


def signed(folder: Path, artifact: str) -> dict[str, Any]:
    (folder / "file").write_bytes(b"x")
    (folder / "release.yaml").write_text(f"release: hello\nversion: 1.0\nartifacts: [{{file: file, {artifact}}}]\n")
    return read_release_folder(folder).manifest.artifacts[0].options


@pytest.mark.parametrize(
    ("artifact", "options"),
    [
        ("installer: deb, options: {package: libssl3}", {"package": "libssl3"}),
        ("installer: apt, options: {package: jq, version: 1.60}", {"package": "jq", "version": "1.60"}),
        ("installer: rpm, options: {package: Xorg}", {"package": "Xorg"}),
        (
            "installer: wheel, options: {into: /opt/a, python: /usr/bin/python3.11, distribution: A.b}",
            {"into": "/opt/a", "python": "/usr/bin/python3.11", "distribution": "A.b"},
        ),
        (
            "installer: script, options: {arguments: [do, 2], rollback: [undo], version_file: /v, memory_max: 1MiB}",
            {"arguments": ["do", "2"], "rollback": ["undo"], "version_file": "/v", "memory_max": 2**20},
        ),
        ("installer: script, options: {version_exec: [/bin/a, 1]}", {"version_exec": ["/bin/a", "1"]}),
        (
            "installer: example.file, options: {settings: {to: /srv/a, deep: true, words: [a]}}",
            {"settings": {"to": "/srv/a", "deep": True, "words": ["a"]}},
        ),
        ("installer: example.file", {}),
    ],
)
def test_options_are_signed_as_they_are_written(tmp_path: Path, artifact: str, options: dict[str, Any]) -> None:
    assert signed(tmp_path, artifact) == options


@pytest.mark.parametrize(
    ("artifact", "fault"),
    [
        ("installer: deb, options: {version: 1}", "options.version, which deb does not know"),
        ("installer: rpm, options: {into: /opt/a}", "options.into, which rpm does not know"),
        ("installer: archive, options: {settings: {a: b}}", "options.settings, which archive does not know"),
        ("installer: apt, options: {package: jq}", "does not say which"),
        ("installer: apt", "does not say which"),
        ("installer: script, options: {version_file: opt/v}", "is no path of its own"),
        ("installer: deb, options: {package: '-o'}", "does not fit"),
        ("installer: example.file, options: {into: /opt/a}", "options.into, which example.file does not know"),
        ("installer: flatpak", "does not fit"),
        ("installer: Example.file", "does not fit"),
        ("installer: example., options: {}", "does not fit"),
    ],
)
def test_options_that_make_no_sense_are_named(tmp_path: Path, artifact: str, fault: str) -> None:
    with pytest.raises(DocumentError) as refused:
        signed(tmp_path, artifact)

    assert fault in str(refused.value.problems[0])
