"""Correctly signed archives that attack the computer: one attack a test, each refused before anything is written.

Invariant: CONTENT_REFUSED, nothing below the root changed, nothing left beside it (fault cases 78 to 81).
"""

import contextlib
import gzip
import io
import os
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from sopwith_agent.adapters.installers.archive import ArchiveInstaller
from sopwith_agent.adapters.installers.archive_rules import Kind, Member, Tree
from sopwith_agent.adapters.installers.archive_stream import Meter, open_tar_stream
from sopwith_agent.adapters.installers.tar_reader import read_tar
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_formats.vocabulary import Symptom
from tests.agent.archives import (
    archive_work,
    file_member,
    folder_member,
    hello_archive,
    link_member,
    lying_in,
    tar_bytes,
    zip_bytes,
    zstd_bytes,
)


def assert_refused(folder: Path, data: bytes, text: str, **options: Any) -> None:
    work = archive_work(folder, data, **options)
    commits: list[int] = []
    (folder / "outside").mkdir()
    before = lying_in(folder)

    with pytest.raises(TrustError, match=text) as prepared:
        ArchiveInstaller().prepare(work)
    with pytest.raises(TrustError, match=text):
        ArchiveInstaller().apply(work, lambda: commits.append(1))

    assert prepared.value.symptom is Symptom.CONTENT_REFUSED
    assert not prepared.value.changed
    assert lying_in(folder) == before
    assert commits == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("../x", "climbs"),
        ("a/../../x", "climbs"),
        ("a/..", "climbs"),
        ("/etc/x", "absolute"),
        ("//x", "absolute"),
        ("C:/x", "drive letter"),
        ("c:x", "drive letter"),
        ("a\\..\\x", "backslash"),
        (".", "empty or . part"),
        ("a/./x", "empty or . part"),
        ("a//x", "empty or . part"),
        ("././x", "empty or . part"),
        ("x" * 300, "longer than 255"),
        ("/".join(["x" * 200] * 6), "1024 in all"),
        ("/".join(["x"] * 65), "deeper"),
        ("new\nline", "control character"),
        ("esc\x1b[2J", "control character"),
    ],
)
def test_hostile_name_is_refused(tmp_path: Path, name: str, text: str) -> None:
    assert_refused(tmp_path, tar_bytes([file_member("ok"), file_member(name)]), text)


def test_nul_in_an_extended_name_is_refused(tmp_path: Path) -> None:
    info, data = file_member("x")
    info.pax_headers = {"path": "safe\0/../x"}
    assert_refused(tmp_path, tar_bytes([(info, data)]), "NUL")


def test_bytes_hidden_behind_the_nul_of_a_name_are_refused(tmp_path: Path) -> None:
    header = bytearray(file_member("x", b"")[0].tobuf(tarfile.USTAR_FORMAT))
    header[0:8] = b"ab\0../x\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert_refused(tmp_path, bytes(header) + bytes(1024), "hides bytes")


def test_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    info, data = file_member("na\udcffme")
    assert_refused(tmp_path, tar_bytes([(info, data)], tarfile.GNU_FORMAT), "not UTF-8")


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("x", "x", "twice"),
        ("Readme", "readme", "only by case"),
        ("caf\u00e9", "cafe\u0301", "only by case or Unicode"),
        ("Docs/a", "docs/b", "only by case"),
        ("stra\u00dfe", "STRASSE", "only by case"),
        ("x", "./x", "twice"),
    ],
)
def test_two_names_for_one_place_are_refused(tmp_path: Path, first: str, second: str, text: str) -> None:
    assert_refused(tmp_path, tar_bytes([file_member(first), file_member(second)]), text)


@pytest.mark.parametrize("target", ["../../outside", "..", "a/../../..", "b/../../x"])
def test_link_out_of_the_tree_is_refused(tmp_path: Path, target: str) -> None:
    assert_refused(
        tmp_path, tar_bytes([folder_member("a/"), folder_member("b/"), link_member("l", target)]), "leads out"
    )


def test_absolute_link_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path, tar_bytes([link_member("l", "/etc")]), "absolute")


def test_chain_of_links_out_of_the_tree_is_refused(tmp_path: Path) -> None:
    chain = [folder_member("a/b/"), link_member("a/b/up", ".."), link_member("l", "a/b/up/../..")]
    assert_refused(tmp_path, tar_bytes(chain), "leads out")


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path, tar_bytes([link_member("a", "b"), link_member("b", "a")]), "never ends")


@pytest.mark.parametrize("reverse", [False, True])
def test_file_through_a_link_is_refused_in_either_order(tmp_path: Path, reverse: bool) -> None:
    members = [link_member("l", "a"), file_member("l/x"), folder_member("a/")]
    assert_refused(tmp_path, tar_bytes(reversed(members) if reverse else members), "lies behind")


def test_file_below_a_file_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path, tar_bytes([file_member("a"), file_member("a/x")]), "lies behind")


@pytest.mark.parametrize("target", ["../../etc/passwd", "/etc/passwd", "missing", "l"])
def test_hard_link_to_anything_but_an_earlier_file_is_refused(tmp_path: Path, target: str) -> None:
    members = [folder_member("a/"), link_member("l", "a"), link_member("h", target, tarfile.LNKTYPE)]
    work_text = "no file before it|absolute|climbs"
    assert_refused(tmp_path, tar_bytes(members), work_text)


def test_hard_link_to_a_link_that_points_deeper_is_refused(tmp_path: Path) -> None:
    members = [file_member("a/b/x"), link_member("l", "a/b/x"), link_member("h", "l", tarfile.LNKTYPE)]
    assert_refused(tmp_path, tar_bytes(members), "no file before it")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b"V", b"M"])
def test_device_fifo_or_unknown_member_is_refused(tmp_path: Path, kind: bytes) -> None:
    assert_refused(tmp_path, tar_bytes([link_member("d", "", kind)]), "is a .*device|is a fifo|unknown type")


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1777])
def test_special_mode_bits_are_refused_not_stripped(tmp_path: Path, mode: int) -> None:
    assert_refused(tmp_path, tar_bytes([file_member("x", mode=mode)]), "setuid, setgid or sticky")


def test_folder_with_setgid_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path, tar_bytes([folder_member("d/", 0o2755), file_member("d/x")]), "setuid, setgid")


def test_extended_attributes_are_refused(tmp_path: Path) -> None:
    info, data = file_member("x")
    info.pax_headers = {"SCHILY.xattr.security.capability": "all"}
    assert_refused(tmp_path, tar_bytes([(info, data)]), "SCHILY.xattr")


def test_sparse_member_is_refused(tmp_path: Path) -> None:
    info, data = file_member("x")
    info.pax_headers = {"GNU.sparse.major": "1"}
    assert_refused(tmp_path, tar_bytes([(info, data)]), "sparse")


def test_global_header_that_renames_everything_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "../x"}) as archive:
        archive.addfile(file_member("ok")[0], io.BytesIO(b"x"))
    assert_refused(tmp_path, out.getvalue(), "sets 'path'")


@pytest.mark.parametrize("packed", ["gz", "zst", "zip"])
def test_bomb_stops_at_the_unpacked_size(tmp_path: Path, packed: str) -> None:
    zeros = bytes(40 * 2**20)
    if packed == "zip":
        data = zip_bytes({"zeros": zeros})
    else:
        tar = tar_bytes([file_member("zeros", zeros)])
        data = gzip.compress(tar) if packed == "gz" else zstd_bytes(tar)
    assert_refused(tmp_path, data, "unpacks to more than 16.0 MiB")


def test_ratio_above_a_hundred_is_refused_whatever_the_release_allows(tmp_path: Path) -> None:
    data = gzip.compress(tar_bytes([file_member("zeros", bytes(40 * 2**20))]))
    assert_refused(tmp_path, data, "more than 100 times", unpacked_size_max="10GiB")


def test_release_that_says_its_size_is_held_to_it(tmp_path: Path) -> None:
    data = gzip.compress(tar_bytes([file_member("x", os.urandom(5000))]))
    assert_refused(tmp_path, data, "more than 3000 B|more than 2.9 KiB", unpacked_size_max=3000)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sopwith_agent.adapters.installers.archive_rules.MEMBERS_MAX", 20)
    data = tar_bytes([file_member(f"f{number}", b"") for number in range(21)])
    assert_refused(tmp_path, data, "more than 20 members")


def test_zstd_that_asks_for_a_giant_window_is_refused(tmp_path: Path) -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 28})
    data = compressor.compress(hello_archive("1")) + compressor.flush()
    assert_refused(tmp_path, data, "compression is broken")


@pytest.mark.parametrize("cut", [1, 512, 700, 1030])
def test_archive_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    whole = tar_bytes([file_member("a", b"a" * 600)], tarfile.USTAR_FORMAT)
    assert_refused(tmp_path, whole[:cut], "cut short|no number|checksum")


def test_gzip_cut_short_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(hello_archive("1"))
    assert_refused(tmp_path, whole[:-20], "compression is broken|cut short")


def test_second_archive_behind_the_end_is_refused(tmp_path: Path) -> None:
    data = tar_bytes([file_member("a")]) + tar_bytes([file_member("b")])
    assert_refused(tmp_path, data, "goes on after its end")


def test_negative_size_is_refused(tmp_path: Path) -> None:
    header = bytearray(file_member("x", b"")[0].tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"\xff" * 12
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert_refused(tmp_path, bytes(header) + bytes(1024), "negative")


def test_text_is_no_archive(tmp_path: Path) -> None:
    assert_refused(tmp_path, b"captive portal\n" * 100, "checksum|no number")


def test_empty_archive_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path, tar_bytes([]), "empty")


def test_bzip2_is_refused_with_the_formats_that_work(tmp_path: Path) -> None:
    with pytest.raises(TrustError) as refused:
        ArchiveInstaller().prepare(archive_work(tmp_path, b"BZh9" + bytes(100)))
    assert ".tar.zst" in refused.value.remedy


def hostile_zip(name: str, data: bytes = b"x", attributes: int = 0o100644 << 16) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename, info.external_attr, info.create_system = name, attributes, 3
        archive.writestr(info, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (hostile_zip("../x"), "climbs"),
        (hostile_zip("/etc/x"), "absolute"),
        (hostile_zip("l", b"/etc", 0o120777 << 16), "absolute"),
        (hostile_zip("l", b"../..", 0o120777 << 16), "leads out"),
        (hostile_zip("d", b"", 0o060644 << 16), "device"),
        (hostile_zip("x", b"x", 0o104755 << 16), "setuid"),
        (hostile_zip("x/", b"content"), "folder by name"),
        (b"PK\x03\x04" + bytes(100), "cut short"),
    ],
)
def test_hostile_zip_is_refused(tmp_path: Path, data: bytes, text: str) -> None:
    assert_refused(tmp_path, data, text)


def test_nul_in_a_zip_name_is_refused_not_cut_off(tmp_path: Path) -> None:
    data = hostile_zip("safeZ/../x").replace(b"safeZ", b"safe\0")
    assert_refused(tmp_path, data, "NUL")


def test_encrypted_zip_is_refused(tmp_path: Path) -> None:
    data = bytearray(hostile_zip("x"))
    central = data.find(b"PK\x01\x02")
    data[6] |= 1
    data[central + 8] |= 1
    assert_refused(tmp_path, bytes(data), "encrypted")


def test_zip_whose_entries_overlap_is_refused(tmp_path: Path) -> None:
    data = bytearray(zip_bytes({"aaaa": b"a" * 100, "bbbb": b"b" * 100}))
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    assert_refused(tmp_path, bytes(data), "broken")


def test_file_swapped_after_verification_is_refused(tmp_path: Path) -> None:
    work = archive_work(tmp_path, hello_archive("1.0"))
    ArchiveInstaller().prepare(work)
    work.files[0].path.write_bytes(hello_archive("6.6"))
    commits: list[int] = []

    with pytest.raises(TrustError) as refused:
        ArchiveInstaller().apply(work, lambda: commits.append(1))

    assert refused.value.symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH
    assert commits == []
    assert lying_in(tmp_path / "root") == {}


@pytest.mark.parametrize(
    "options",
    [
        {"into": "opt"},
        {"into": "/"},
        {"into": "/a/../../b"},
        {"into": 5},
        {"link": "../current"},
        {"link": ".."},
        {"link": "1.0"},
        {"unpacked_size_max": -1},
        {"unpacked_size_max": "much"},
        {"owner": "root"},
    ],
)
def test_options_that_make_no_sense_are_refused_before_the_download(tmp_path: Path, options: dict[str, Any]) -> None:
    work = archive_work(tmp_path, b"", **options)

    refusal = ArchiveInstaller().applicable(work.manifest, work.artifacts, work.root)

    assert refusal is not None
    assert refusal.symptom is Symptom.CONTENT_REFUSED


def test_folder_that_is_a_link_out_of_the_root_stays_below_it(tmp_path: Path) -> None:
    work = archive_work(tmp_path, hello_archive("1.0"))
    (tmp_path / "root" / "opt").symlink_to(tmp_path)

    ArchiveInstaller().prepare(work)
    ArchiveInstaller().apply(work, lambda: None)

    landed = tmp_path / "root" / str(tmp_path).lstrip("/") / "hello/1.0/bin/hello"
    assert landed.is_file()
    assert not (tmp_path / "hello").exists()


def test_reading_stops_at_the_deadline(tmp_path: Path) -> None:
    work = archive_work(tmp_path, hello_archive("1.0"))
    late = type(work)(**{**vars(work), "timeout_seconds": -1})

    with pytest.raises(StepError) as stopped:
        ArchiveInstaller().prepare(late)

    assert stopped.value.symptom is Symptom.TIMEOUT


NAMES = st.text(st.sampled_from("ab./\\:\0A~"), min_size=1, max_size=8)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NAMES, st.sampled_from(list(Kind)), NAMES), max_size=6))
def test_whatever_tree_is_accepted_stays_inside_itself(members: list[tuple[str, Kind, str]]) -> None:
    tree = Tree()
    try:
        for name, kind, target in members:
            tree.add(Member(name, kind, 0, 0o644, target))
        tree.finish()
    except TrustError:
        return

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "tree"
        folder.mkdir()
        for path, entry in tree.entries.items():
            place = folder.joinpath(*path)
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.kind is Kind.LINK:
                place.symlink_to(entry.target)
            elif entry.kind is Kind.FOLDER:
                place.mkdir(exist_ok=True)
            else:
                place.touch()
        for path in tree.entries:
            assert folder.joinpath(*path).resolve().is_relative_to(folder)


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=1500), st.integers(0, 1400))
def test_damaged_archive_is_refused_or_read_but_never_crashes(noise: bytes, position: int) -> None:
    whole = bytearray(hello_archive("1.0"))
    whole[position : position + len(noise)] = noise
    meter = Meter(len(whole), 2**24, float("inf"))

    with contextlib.suppress(TrustError):
        for _, pieces in read_tar(open_tar_stream(io.BytesIO(bytes(whole)), meter)):
            for _ in pieces:
                pass

    assert meter.unpacked_size <= 2**24
