"""Builders of archives and of install work for tests: honest ones, and ones with a single field made hostile."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from backports import zstd

from sopwith_agent.steps.installer_port import InstallWork
from sopwith_agent.steps.ports import StagedFile
from sopwith_formats.manifest import Artifact, Manifest


def file_member(name: str, data: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    return info, data


def folder_member(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    return info, b""


def link_member(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def tar_bytes(members: Iterable[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o100755 << 16
            archive.writestr(info, data)
    return out.getvalue()


def zstd_bytes(data: bytes) -> bytes:
    return zstd.compress(data)


def program(text: str) -> bytes:
    return f"#!/bin/sh\necho {text}\n".encode()


def hello_archive(version: str) -> bytes:
    return tar_bytes(
        [
            folder_member("bin/"),
            file_member("bin/hello", program(version), 0o755),
            file_member("share/doc/readme.txt", version.encode()),
            link_member("hello", "bin/hello"),
            link_member("share/hello-again", "bin/hello", tarfile.LNKTYPE),
        ]
    )


def archive_work(folder: Path, data: bytes, *, version: str = "1.0", before: str = "", **options: Any) -> InstallWork:
    """Return the work of installing archive bytes below folder/root."""
    staging = folder / "staging"
    staging.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "root").mkdir(exist_ok=True)
    path = staging / f"hello-{version}.archive"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    artifact = Artifact(path.name, "archive", len(data), digest, options={"into": "/opt/hello", **options})
    return InstallWork(
        manifest=Manifest(name="hello", version=version, artifacts=(artifact,)),
        artifacts=(artifact,),
        files=(StagedFile(path.name, path, len(data), digest),),
        root=folder / "root",
        kept=folder / "kept",
        version_before=before,
        timeout_seconds=60,
    )


def lying_in(folder: Path) -> dict[str, str]:
    """Return everything below a folder: path to a short description."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            found[name] = "folder"
        elif not path.is_file():
            found[name] = "special"
        else:
            found[name] = f"{path.stat().st_mode & 0o7777:o} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
    return found
