"""The source's files over real HTTPS: whole, in parts, and never anything beside them."""

import hashlib
import os
from pathlib import Path

import pytest

from sopwith_certs.errors import TrustError
from sopwith_certs.est import EstClient
from tests.console.test_enrolment_routes import ask, in_thread
from tests.console.web import web_port

DATA = bytes(range(256)) * 5000


def lay(folder: Path, name: str, data: bytes) -> None:
    path = folder / "source" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


async def test_target_is_sent_whole_and_in_the_part_that_is_still_lacking(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        lay(tmp_path, "targets/hello/2.10-3/abc.hello_2.10-3+b1~1_amd64.deb", DATA)
        url = "/source/targets/hello/2.10-3/abc.hello_2.10-3+b1~1_amd64.deb"

        whole = await ask(web, "GET", url)
        rest = await ask(web, "GET", url, headers={"Range": "bytes=1000000-", "If-Range": whole[1]["etag"]})
        beyond = await ask(web, "GET", url, headers={"Range": f"bytes={len(DATA)}-"})

    assert (whole[0], whole[2]) == (200, DATA)
    assert whole[1]["accept-ranges"] == "bytes"
    assert whole[1]["etag"].startswith('"')
    assert (rest[0], rest[2]) == (206, DATA[1_000_000:])
    assert rest[1]["content-range"] == f"bytes 1000000-{len(DATA) - 1}/{len(DATA)}"
    assert beyond[0] == 416


async def test_changed_target_starts_over_instead_of_being_mixed(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        lay(tmp_path, "targets/a/abc.file", DATA)
        first = await ask(web, "GET", "/source/targets/a/abc.file")
        lay(tmp_path, "targets/a/abc.file", b"other" + DATA)
        os.utime(tmp_path / "source/targets/a/abc.file", (1, 1))

        again = await ask(
            web, "GET", "/source/targets/a/abc.file", headers={"Range": "bytes=10-", "If-Range": first[1]["etag"]}
        )

    assert (again[0], again[2]) == (200, b"other" + DATA)


async def test_metadata_is_sent_as_it_lies_and_never_from_a_store_in_between(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        lay(tmp_path, "metadata/timestamp.json", b'{"signed": {}}\n')

        status, headers, body = await ask(web, "GET", "/source/metadata/timestamp.json")

    assert (status, body, headers["cache-control"]) == (200, b'{"signed": {}}\n', "no-cache")


@pytest.mark.parametrize(
    "path",
    [
        "/source/metadata/",
        "/source/targets/",
        "/source/targets/hello",
        "/source/targets/hello/",
        "/source/metadata/../../server/key.pem",
        "/source/metadata/%2e%2e/secret.json",
        "/source/targets/%2e%2e%2f%2e%2e%2fserver%2fkey.pem",
        "/source/targets/..%5c..%5csecret.json",
        "/source/targets//etc/passwd",
        "/source/targets/%2fetc%2fpasswd",
        "/source/targets/hello/link",
        "/source/targets/hello/.hidden.tmp",
        "/source/targets/hello/%00",
        "/source/targets/" + "a/" * 200 + "x" * 300,
        "/source/targets/hello/file%0aSet-Cookie:%20a=b",
        "/source/metadata/absent.json",
        "/source/metadata/notes.txt",
    ],
)
async def test_nothing_but_the_sources_files_is_served(tmp_path: Path, path: str) -> None:
    async with web_port(tmp_path) as web:
        lay(tmp_path, "targets/hello/file", b"x")
        lay(tmp_path, "targets/hello/.hidden.tmp", b"hidden")
        lay(tmp_path, "metadata/notes.txt", b"notes")
        lay(tmp_path, "secret.json", b"secret")
        (tmp_path / "source/targets/hello/link").symlink_to(tmp_path / "server" / "key.pem")

        status, _, body = await ask(web, "GET", path)

    assert (status, body) == (404, b"not found")


async def test_nothing_is_written_through_the_source(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        answers = [
            (await ask(web, method, "/source/targets/hello/new", b"x"))[0] for method in ("PUT", "POST", "DELETE")
        ]

    assert answers == [405, 405, 405]
    assert list((tmp_path / "source" / "targets").iterdir()) == []


async def test_pinned_root_is_found_among_the_served_ones(tmp_path: Path) -> None:
    roots = [b'{"version": 1}', b'{"version": 2}']
    async with web_port(tmp_path) as web:
        for number, root in enumerate(roots, start=1):
            lay(tmp_path, f"metadata/{number}.root.json", root)
        est = EstClient("127.0.0.1", web.port, web.issuer.trust_bundle_pem)

        found = await in_thread(est.source_root, "sha256:" + hashlib.sha256(roots[1]).hexdigest())

        with pytest.raises(TrustError, match="serves no source root"):
            await in_thread(est.source_root, "sha256:" + "0" * 64)

    assert found == roots[1]
