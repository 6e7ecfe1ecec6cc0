"""Sensors against the real computer, and against files in roots of their own."""

import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import trustme

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.package_lock import frontend_lock, lock_holder
from sopwith_agent.adapters.sensors.blocking_processes import blocking_processes
from sopwith_agent.adapters.sensors.computer import ComputerSensors
from sopwith_agent.adapters.sensors.disk import disk_free
from sopwith_agent.adapters.sensors.do_not_disturb import do_not_disturb
from sopwith_agent.adapters.sensors.facts import platform_here
from sopwith_agent.adapters.sensors.pending_reboot import pending_reboot
from sopwith_agent.adapters.sensors.source_reach import source_reach
from sopwith_agent.adapters.sensors.user_sessions import user_sessions
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.sensor_port import Question
from sopwith_formats import canonical_json


def test_free_space_is_that_of_the_file_system_also_before_the_folder_exists(tmp_path: Path) -> None:
    staging, root = disk_free(tmp_path, tmp_path / "not/yet/made")

    free = psutil.disk_usage(str(tmp_path)).free
    assert (staging.purpose, root.purpose) == ("staging", "root")
    assert abs(staging.free_bytes - free) < 2**30
    assert abs(root.free_bytes - free) < 2**30


def test_nothing_pending_where_no_file_says_so(tmp_path: Path) -> None:
    assert pending_reboot(tmp_path) == ()


def test_pending_reboot_names_the_packages_that_asked(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/reboot-required").touch()
    assert pending_reboot(tmp_path) == ("the system",)

    (tmp_path / "run/reboot-required.pkgs").write_text("linux-image\nlibc6\nlinux-image\nbad\x1b[2J\n")

    assert pending_reboot(tmp_path) == ("bad\\x1b[2J", "libc6", "linux-image")


def test_pending_reboot_is_found_behind_the_link_that_debian_makes(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    (tmp_path / "run/reboot-required").touch()

    assert pending_reboot(tmp_path)


def test_running_program_is_found_by_its_name() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = psutil.Process(process.pid).name()

        assert blocking_processes((name, "no-such-program")) == (name,)

        process.communicate(b"\n")
    assert blocking_processes(("no-such-program",)) == ()
    assert blocking_processes(()) == ()


def test_label_asks_for_peace_unless_it_says_no() -> None:
    assert do_not_disturb({"do-not-disturb": "until-friday"}) == "until-friday"
    assert do_not_disturb({"do-not-disturb": "False"}) == ""
    assert do_not_disturb({"site": "berlin"}) == ""


def test_sessions_are_counted_from_systemd_below_the_root(tmp_path: Path) -> None:
    folder = tmp_path / "run/systemd/sessions"
    folder.mkdir(parents=True)
    (folder / "1").write_text("UID=1000\nUSER=alice\nCLASS=user\nSTATE=active\n")
    (folder / "2").write_text("UID=1001\nUSER=bob\nCLASS=user\nSTATE=closing\n")
    (folder / "c1").write_text("UID=112\nUSER=gdm\nCLASS=greeter\nSTATE=active\n")
    (folder / "1.ref").touch()

    assert user_sessions(tmp_path) == 1


def test_sessions_are_counted_from_older_login_records(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    record = struct.Struct("hxxi32s4s32s256s4xi8x16x20x")
    rows = [record.pack(kind, 1, b"tty1", b"1", b"alice", b"", 0) for kind in (2, 7, 8, 7)]
    (tmp_path / "run/utmp").write_bytes(b"".join(rows) + b"torn")

    assert record.size == 384
    assert user_sessions(tmp_path) == 2


def test_sessions_have_no_answer_where_nothing_counts_them(tmp_path: Path) -> None:
    assert user_sessions(tmp_path) is None


@contextmanager
def held_by_another(path: Path) -> Iterator[int]:
    lock = f"import fcntl\nfile = open({str(path)!r}, 'w')\nfcntl.lockf(file, fcntl.LOCK_EX)\n"
    code = lock + "print(1, flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")


def test_lock_is_free_held_and_named_or_not_there(tmp_path: Path) -> None:
    assert lock_holder(tmp_path) is None
    folder = tmp_path / "var/lib/dpkg"
    folder.mkdir(parents=True)
    assert lock_holder(tmp_path) == ""

    with held_by_another(folder / "lock") as process:
        holder = lock_holder(tmp_path)

    assert holder is not None
    assert holder.endswith(f", process {process}")
    assert lock_holder(tmp_path) == ""


def test_asking_for_the_lock_does_not_release_the_one_held(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)

    with frontend_lock(tmp_path):
        assert lock_holder(tmp_path)
        assert lock_holder(tmp_path, besides_frontend=True) == ""
        with pytest.raises(StepError), frontend_lock(tmp_path):
            pass
        assert lock_holder(tmp_path)

    assert lock_holder(tmp_path) == ""


class Listener:
    """A TLS or plain TCP listener on loopback that shakes hands and hangs up."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.context = context
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            try:
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
                connection.recv(1)
            except OSError:
                pass
            connection.close()

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, path


@pytest.fixture
def tls_port(authority: tuple[trustme.CA, Path]) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("127.0.0.1", "localhost").configure_cert(context)
    listener = Listener(context)
    yield listener.port
    listener.close()


@pytest.mark.clause("IV Equipment", "sensors")
def test_trusted_source_is_reached_step_by_step(tls_port: int, authority: tuple[trustme.CA, Path]) -> None:
    reach = source_reach(f"https://localhost:{tls_port}/source/metadata/", authority[1])

    assert reach is not None
    assert reach.address == f"localhost:{tls_port}"
    assert reach.failed_at == ""
    assert None not in (reach.dns_milliseconds, reach.tcp_milliseconds, reach.tls_milliseconds)


def test_source_of_a_strange_authority_fails_at_tls(tls_port: int, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))

    reach = source_reach(f"https://localhost:{tls_port}/", stranger)

    assert reach is not None
    assert reach.failed_at == "tls"
    assert "not trusted here" in reach.failure


def test_refused_connection_fails_at_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    reach = source_reach(f"https://127.0.0.1:{port}/", None)

    assert reach is not None
    assert (reach.failed_at, reach.failure) == ("tcp", "Connection refused")


@pytest.mark.clause("IV Equipment", "sensors")
def test_unknown_name_fails_at_dns_in_time() -> None:
    started = time.monotonic()

    reach = source_reach("https://no-such-name.invalid/", None)

    assert reach is not None
    assert reach.failed_at == "dns"
    assert time.monotonic() - started < 3


@pytest.mark.clause("IV Equipment", "sensors")
def test_proxy_of_the_environment_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:canary@proxy.example:3128/")
    monkeypatch.setenv("no_proxy", "inside.invalid")

    outside = source_reach("https://outside.invalid/", None)
    inside = source_reach("https://inside.invalid/", None)

    assert outside is not None
    assert outside.proxy == "proxy.example:3128"
    assert inside is not None
    assert inside.proxy == ""


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "https://"])
def test_address_that_is_none_has_no_answer(url: str) -> None:
    assert source_reach(url, None) is None


def test_measurement_of_the_real_computer_is_plausible_and_quick(tmp_path: Path) -> None:
    sensors = ComputerSensors(tmp_path, ("archive",))
    started = time.monotonic()

    measured = sensors.measure(
        Question(
            root=tmp_path,
            staging=tmp_path,
            labels={"do-not-disturb": "yes"},
            controller_connected=True,
            controller_ahead_seconds=-3,
            source_designated=True,
            throughput_bytes_per_second=5,
        )
    )

    assert time.monotonic() - started < 5
    assert len(measured.disks) == 2
    assert measured.memory_available_bytes
    assert 0 < measured.memory_available_bytes <= psutil.virtual_memory().total
    assert measured.load_percent is not None
    assert measured.load_percent >= 0
    assert measured.package_lock_holder is None
    assert (measured.do_not_disturb, measured.controller_ahead_seconds) == ("yes", -3)
    assert measured.source is None
    assert measured.controller_connected
    assert measured.source_designated


def test_sensor_that_cannot_answer_costs_no_other_answer(tmp_path: Path) -> None:
    (tmp_path / "run/utmp").mkdir(parents=True)
    (tmp_path / "run/systemd").mkdir()
    (tmp_path / "run/systemd/sessions").symlink_to("/run/systemd/sessions")

    measured = ComputerSensors(tmp_path, ()).measure(Question(tmp_path, tmp_path, source_url="https://h:99999/"))

    assert measured.user_sessions is None
    assert measured.source is None
    assert measured.disks


def test_facts_are_plain_json_and_name_nobody(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('# a comment\nID=debian\nVERSION_ID="12"\nNAME=\n')

    facts = ComputerSensors(tmp_path, ("archive", "deb")).facts()

    assert canonical_json.encode(facts)
    assert (facts["distribution"], facts["distribution_version"]) == ("debian", "12")
    assert facts["installers"] == ["archive", "deb"]
    assert facts["hostname"] == socket.gethostname()
    assert facts["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert not any(word in key for key in facts for word in ("user", "login", "home"))
    assert platform_here(tmp_path).distribution == "debian"
    assert platform_here(tmp_path).os == "linux"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b", "a/b"),
        ("/../../etc/x", "etc/x"),
        ("/absolute/x", "real/x"),
        ("/relative/x", "real/x"),
        ("/climbs/x", "x"),
        ("/real/./missing//y", "real/missing/y"),
    ],
)
def test_path_is_resolved_as_the_root_would_see_it(tmp_path: Path, path: str, expected: str) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "absolute").symlink_to("/real")
    (tmp_path / "relative").symlink_to("real")
    (tmp_path / "climbs").symlink_to("../../../..")

    assert below_root(tmp_path, path) == tmp_path / expected


def test_links_in_a_circle_end_with_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(StepError, match="links"):
        below_root(tmp_path, "/a/x")


def test_root_of_the_computer_itself_is_no_special_case() -> None:
    assert below_root(Path("/"), "/proc/self/../sys") == Path("/proc/sys")
    assert below_root(Path("/"), "/etc/os-release").samefile("/etc/os-release")
