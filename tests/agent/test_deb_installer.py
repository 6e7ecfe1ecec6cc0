"""The deb installer against the real dpkg: what only packages have (SOP section 4, symptom by symptom)."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sopwith_agent.adapters.installers.deb import DebInstaller
from sopwith_agent.adapters.installers.dpkg_tool import Dpkg
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.domain.retention import Retention
from sopwith_agent.steps.installer_port import InstallWork, OnDisk, PreviousRelease
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.vocabulary import Symptom
from tests.agent.archives import lying_in
from tests.agent.packages import build_package, dpkg_below, make_database, package_work

pytestmark = pytest.mark.needs_tool("dpkg-deb")

DEB = DebInstaller()


def install(work: InstallWork) -> list[str]:
    commits: list[str] = []
    DEB.prepare(work)
    DEB.apply(work, lambda: commits.append("commit"))
    return commits


def installed_by_hand(folder: Path, *packages: Path) -> Path:
    root = folder / "root"
    make_database(root)
    for package in packages:
        dpkg_below(root, "--install", package)
    return root


def refused(work: InstallWork) -> StepError:
    before = lying_in(work.root)
    with pytest.raises(StepError) as caught:
        DEB.prepare(work)
    assert lying_in(work.root) == before
    assert not caught.value.changed
    return caught.value


@contextmanager
def lock_held(root: Path, name: str = "lock-frontend") -> Iterator[int]:
    """Let another process hold a lock of the package tool."""
    path = root / "var/lib/dpkg" / name
    code = (
        "import fcntl, sys\n"
        f"file = open({str(path)!r}, 'w')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


def test_package_of_another_name_than_the_release_says_is_refused(tmp_path: Path) -> None:
    package = build_package(tmp_path, "1.0", name="other")
    error = refused(package_work(tmp_path, package.rename(tmp_path / "hello_1.0_all.deb"), version="1.0"))

    assert isinstance(error, TrustError)
    assert error.symptom is Symptom.CONTENT_REFUSED
    assert "other" in error.message


def test_package_of_another_version_than_the_release_says_is_refused(tmp_path: Path) -> None:
    error = refused(package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.1"))

    assert error.symptom is Symptom.CONTENT_REFUSED
    assert "1.1" in error.message


def test_package_for_another_processor_is_not_applicable(tmp_path: Path) -> None:
    error = refused(package_work(tmp_path, build_package(tmp_path, "1.0", architecture="s390x"), version="1.0"))

    assert error.symptom is Symptom.NOT_APPLICABLE


def test_package_name_comes_from_the_option_then_the_file_then_the_release(tmp_path: Path) -> None:
    package = build_package(tmp_path, "1.0", name="tool")
    work = package_work(tmp_path, package, version="1.0")
    install(work)
    plain = replace(work.artifacts[0], file="update.deb")

    def version(artifact: Artifact) -> str:
        return DEB.installed_version(work.manifest, (artifact,), work.root)

    assert version(work.artifacts[0]) == "1.0"
    assert version(plain) == ""
    assert version(replace(plain, options={"package": "tool"})) == "1.0"


@pytest.mark.parametrize("options", [{"package": "--force-all"}, {"package": "a b"}, {"force": True}])
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    artifact = Artifact("x.deb", "deb", 1, "0" * 64, options=options)
    refusal = DEB.applicable(Manifest("hello", "1", (artifact,)), (artifact,), tmp_path)

    assert refusal is not None
    assert refusal.symptom is Symptom.CONTENT_REFUSED


def test_missing_dependency_is_found_before_anything_changes(tmp_path: Path) -> None:
    package = build_package(tmp_path, "1.0", fields="Depends: libmissing (>= 2), libother | libthird\n")
    error = refused(package_work(tmp_path, package, version="1.0"))

    assert error.symptom is Symptom.DEPENDENCY_CONFLICT
    assert "libmissing (>= 2)" in error.message
    assert "libother | libthird" in error.message


def test_dependency_may_come_in_the_same_release(tmp_path: Path) -> None:
    package = build_package(tmp_path, "1.0", fields="Depends: hello-data (= 1.0)\n")
    data = build_package(tmp_path, "1.0", name="hello-data")
    work = package_work(tmp_path, package, data, version="1.0")

    assert install(work) == ["commit"]

    assert DEB.installed_version(work.manifest, work.artifacts, work.root) == "1.0"
    assert Dpkg(work.root).state("hello-data").whole
    DEB.roll_back(work)
    assert not Dpkg(work.root).state("hello-data").present


def test_conflict_with_an_installed_package_is_found_before_anything_changes(tmp_path: Path) -> None:
    installed_by_hand(tmp_path, build_package(tmp_path, "1.0", name="rival"))
    package = build_package(tmp_path, "1.0", fields="Conflicts: rival (<< 2)\n")

    error = refused(package_work(tmp_path, package, version="1.0"))

    assert error.symptom is Symptom.DEPENDENCY_CONFLICT
    assert "rival 1.0 is installed" in error.message


@pytest.mark.parametrize("lock", ["lock-frontend", "lock"])
def test_held_lock_is_refused_with_its_holder(tmp_path: Path, lock: str) -> None:
    root = installed_by_hand(tmp_path)
    work = package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.0")

    with lock_held(root, lock) as holder:
        error = refused(work)

    assert error.symptom is Symptom.PACKAGE_LOCK_HELD
    assert f"process {holder}" in error.message
    assert install(work) == ["commit"]


def test_lock_taken_between_check_and_install_commits_nothing(tmp_path: Path) -> None:
    root = installed_by_hand(tmp_path)
    work = package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.0")
    DEB.prepare(work)
    commits: list[str] = []

    with lock_held(root), pytest.raises(StepError) as error:
        DEB.apply(work, lambda: commits.append("commit"))

    assert error.value.symptom is Symptom.PACKAGE_LOCK_HELD
    assert commits == []
    assert DEB.recover(work) is OnDisk.OLD


def test_recovering_waits_for_the_holder_and_never_ends_it(tmp_path: Path) -> None:
    root = installed_by_hand(tmp_path)
    work = replace(package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.0"), timeout_seconds=1)
    started = time.monotonic()

    with lock_held(root) as holder:
        with pytest.raises(StepError) as error:
            DEB.recover(work)
        os.kill(holder, 0)

    assert error.value.symptom is Symptom.PACKAGE_LOCK_HELD
    assert time.monotonic() - started >= 1


def test_package_on_hold_is_left_alone_until_somebody_lets_it_go(tmp_path: Path) -> None:
    install(package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.0"))
    work = package_work(tmp_path, build_package(tmp_path, "2.0"), version="2.0", before="1.0")
    select = ["dpkg", f"--root={work.root}", "--set-selections"]
    subprocess.run(select, input=b"hello hold\n", check=True)

    with pytest.raises(StepError, match="on hold") as refused:
        DEB.prepare(work)

    assert refused.value.symptom is Symptom.DEPENDENCY_CONFLICT
    assert "apt-mark unhold hello" in refused.value.remedy
    subprocess.run(select, input=b"hello install\n", check=True)
    install(work)
    assert DEB.installed_version(work.manifest, work.artifacts, work.root) == "2.0"


def test_configuration_that_an_administrator_changed_stays_over_update_and_rollback(tmp_path: Path) -> None:
    install(package_work(tmp_path, build_package(tmp_path, "1.0", configuration="a\n"), version="1.0"))
    new = build_package(tmp_path, "2.0", configuration="b\n")
    work = package_work(tmp_path, new, version="2.0", before="1.0")
    configuration = work.root / "etc/hello.conf"
    configuration.write_text("mine\n")

    install(work)
    after_update = configuration.read_text()
    DEB.roll_back(work)

    assert (after_update, configuration.read_text()) == ("mine\n", "mine\n")
    assert (DEB.recover(work), dpkg_below(work.root, "--audit")) == (OnDisk.OLD, "")


def test_failing_script_is_an_exit_code_and_rolls_back(tmp_path: Path) -> None:
    installed_by_hand(tmp_path, build_package(tmp_path, "1.0"))
    broken = build_package(tmp_path, "2.0", scripts={"postinst": "#!/bin/sh\nexit 3\n"})
    work = package_work(tmp_path, broken, version="2.0", before="1.0")
    DEB.prepare(work)
    commits: list[str] = []

    with pytest.raises(StepError) as error:
        DEB.apply(work, lambda: commits.append("commit"))

    assert error.value.symptom in (Symptom.INSTALLER_EXIT_NONZERO, Symptom.PERMISSION_DENIED)
    assert error.value.changed
    assert commits == ["commit"]
    assert DEB.recover(work) is OnDisk.BROKEN
    DEB.roll_back(work)
    assert DEB.installed_version(work.manifest, work.artifacts, work.root) == "1.0"
    assert "1.0" in (work.root / "usr/bin/hello").read_text()


def test_package_of_somebody_else_is_packed_again_and_comes_back_whole(tmp_path: Path) -> None:
    old = build_package(tmp_path, "1.0", configuration="colour=blue\n")
    root = installed_by_hand(tmp_path, old)
    (root / "etc/hello.conf").write_text("colour=red\n")
    work = package_work(
        tmp_path, build_package(tmp_path, "2.0", configuration="colour=blue\n"), version="2.0", before="1.0"
    )

    way = DEB.prepare(work)
    DEB.apply(work, lambda: None)
    DEB.roll_back(work)

    assert way.kind == "repacked"
    assert DEB.installed_version(work.manifest, work.artifacts, work.root) == "1.0"
    assert "1.0" in (root / "usr/bin/hello").read_text()
    assert (root / "usr/bin/hello").stat().st_mode & 0o777 == 0o755
    assert (root / "etc/hello.conf").read_text() == "colour=red\n"
    assert dpkg_below(root, "--audit") == ""
    assert dpkg_below(root, "--verify", "hello") == "" or "c /etc/hello.conf" in dpkg_below(root, "--verify", "hello")


def test_packing_again_sees_through_links_of_folders_diversions_and_left_out_documentation(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make_database(root)
    (root / "usr/bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    extra = {"bin/tool": "tool", "usr/share/doc/hello/copyright": "free", "usr/share/diverted": "ours"}
    dpkg_below(root, "--install", build_package(tmp_path, "1.0", extra=extra))
    (root / "usr/share/doc/hello/copyright").unlink()
    (root / "usr/share/diverted").rename(root / "usr/share/diverted.moved")
    (root / "var/lib/dpkg/diversions").write_text("/usr/share/diverted\n/usr/share/diverted.moved\nother\n")
    work = package_work(tmp_path, build_package(tmp_path, "2.0"), version="2.0", before="1.0")

    way = DEB.prepare(work)

    assert way.kind == "repacked"
    assert "1 listed files were not there" in way.detail
    copy = tmp_path / "copy"
    subprocess.run(["dpkg-deb", "--extract", tmp_path / "kept/deb/hello_1.0_all.deb", copy], check=True)
    assert (copy / "bin/tool").read_text() == "tool"
    assert (copy / "usr/share/diverted").read_text() == "ours"
    assert not (copy / "bin").is_symlink()


def test_way_back_that_is_no_whole_package_refuses_the_install(tmp_path: Path) -> None:
    root = installed_by_hand(tmp_path, build_package(tmp_path, "1.0"))
    (root / "usr/bin/hello").unlink()
    os.mkfifo(root / "usr/bin/hello")
    work = package_work(tmp_path, build_package(tmp_path, "2.0"), version="2.0", before="1.0")

    error = refused(work)

    assert error.symptom is Symptom.BACKUP_FAILED
    assert "device or the like" in error.message


def test_older_release_from_the_source_is_the_way_back_when_it_is_handed_over(tmp_path: Path) -> None:
    old = build_package(tmp_path, "1.0")
    installed_by_hand(tmp_path, old)
    older = package_work(tmp_path, old, version="1.0")
    work = package_work(tmp_path, build_package(tmp_path, "2.0"), version="2.0", before="1.0")

    way = DEB.prepare(replace(work, previous=PreviousRelease(older.manifest, older.files)))
    DEB.apply(work, lambda: None)
    DEB.roll_back(work)

    assert way.kind == "source"
    assert DEB.installed_version(work.manifest, work.artifacts, work.root) == "1.0"


def test_interrupted_run_of_another_tool_is_finished_once(tmp_path: Path) -> None:
    other = build_package(tmp_path, "1.0", name="other")
    root = installed_by_hand(tmp_path)
    dpkg_below(root, "--unpack", other)
    work = package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.0")

    assert install(work) == ["commit"]

    assert Dpkg(root).unfinished() == []
    assert Dpkg(root).state("other").whole


def test_database_that_stays_broken_is_refused(tmp_path: Path) -> None:
    other = build_package(tmp_path, "1.0", name="other", fields="Depends: libmissing\n")
    root = installed_by_hand(tmp_path)
    dpkg_below(root, "--unpack", other)
    work = package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.0")

    with pytest.raises(StepError) as error:
        DEB.prepare(work)

    assert error.value.symptom is Symptom.PACKAGE_DATABASE_BROKEN
    assert "other" in error.value.message
    assert "libmissing" in error.value.message


def test_unreadable_database_is_named_as_such(tmp_path: Path) -> None:
    root = installed_by_hand(tmp_path)
    (root / "var/lib/dpkg/status").write_text("Package: half\nVersion\n")
    work = package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.0")

    assert refused(work).symptom is Symptom.PACKAGE_DATABASE_BROKEN


def test_version_that_changed_since_it_was_read_is_noticed(tmp_path: Path) -> None:
    installed_by_hand(tmp_path, build_package(tmp_path, "1.5"))
    work = package_work(tmp_path, build_package(tmp_path, "2.0"), version="2.0", before="1.0")

    assert refused(work).symptom is Symptom.VERSION_MISMATCH


def test_install_that_takes_too_long_is_ended_and_rolled_back(tmp_path: Path) -> None:
    if not runs_scripts():
        pytest.skip("scripts of packages need root rights and a shell below the root")
    root = installed_by_hand(tmp_path, build_package(tmp_path, "1.0"))
    give_shell(root)
    slow = build_package(tmp_path, "2.0", scripts={"postinst": "#!/bin/sh\nread never < /never\n"})
    os.mkfifo(root / "never")
    work = package_work(tmp_path, slow, version="2.0", before="1.0", timeout_seconds=2)
    DEB.prepare(work)

    with pytest.raises(StepError) as error:
        DEB.apply(work, lambda: None)

    assert error.value.symptom is Symptom.TIMEOUT
    DEB.roll_back(replace(work, timeout_seconds=60))
    assert DEB.installed_version(work.manifest, work.artifacts, root) == "1.0"


def test_scripts_of_packages_run_below_the_root_and_are_repacked(tmp_path: Path) -> None:
    if not runs_scripts():
        pytest.skip("scripts of packages need root rights and a shell below the root")
    root = installed_by_hand(tmp_path)
    give_shell(root)
    scripts = {"postinst": '#!/bin/sh\necho "$1 $2" >> /script-ran\n'}
    dpkg_below(root, "--install", build_package(tmp_path, "1.0", scripts=scripts))
    work = package_work(tmp_path, build_package(tmp_path, "2.0"), version="2.0", before="1.0")
    install(work)

    DEB.roll_back(work)

    assert (root / "script-ran").read_text() == "configure \nconfigure 2.0\n"


def test_dpkg_writes_its_log_below_the_root_only(tmp_path: Path) -> None:
    outside = Path("/var/log/dpkg.log")
    size = outside.stat().st_size if outside.exists() else 0
    work = package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.0")

    install(work)

    assert "install hello:all" in (work.root / "var/log/dpkg.log").read_text()
    assert (outside.stat().st_size if outside.exists() else 0) == size


@pytest.mark.parametrize(("versions", "stay"), [(1, ["2.0", "3.0"]), (2, ["1.0", "2.0", "3.0"])])
def test_kept_packages_are_private_and_as_many_as_the_sop_says(tmp_path: Path, versions: int, stay: list[str]) -> None:
    before = ""
    for version in ("1.0", "2.0", "3.0"):
        work = package_work(tmp_path, build_package(tmp_path, version), version=version, before=before)
        install(replace(work, retention=Retention(versions)))
        before = version

    kept = sorted(path.name for path in (tmp_path / "kept/deb").iterdir())
    assert kept == ["hello.json", *(f"hello_{version}_all.deb" for version in stay)]
    assert (tmp_path / "kept/deb").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "kept/deb").iterdir()} == {0o600}


def test_kept_package_that_was_changed_is_not_installed(tmp_path: Path) -> None:
    work = package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.0")
    DEB.prepare(work)
    path = tmp_path / "kept/deb/hello_1.0_all.deb"
    path.write_bytes(path.read_bytes() + b"\n")
    commits: list[str] = []

    with pytest.raises(TrustError) as error:
        DEB.apply(work, lambda: commits.append("commit"))

    assert error.value.symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH
    assert commits == []


def test_version_with_an_epoch_is_installed_and_read_back(tmp_path: Path) -> None:
    work = package_work(tmp_path, build_package(tmp_path, "1:1.0-2"), version="1:1.0-2")

    install(work)

    assert DEB.installed_version(work.manifest, work.artifacts, work.root) == "1:1.0-2"


def test_staged_bytes_are_what_is_installed_even_when_the_name_is_swapped_later(tmp_path: Path) -> None:
    work = package_work(tmp_path, build_package(tmp_path, "1.0"), version="1.0")
    DEB.prepare(work)
    work.files[0].path.write_bytes(build_package(tmp_path, "6.6").read_bytes())

    DEB.apply(work, lambda: None)

    assert DEB.installed_version(work.manifest, work.artifacts, work.root) == "1.0"


def runs_scripts() -> bool:
    return os.geteuid() == 0 and shutil.which("ldd") is not None


def give_shell(root: Path) -> None:
    """Copy the computer's shell and its libraries below the root."""
    shell = Path("/bin/sh").resolve()
    listed = subprocess.run(["ldd", shell], check=True, capture_output=True, text=True).stdout
    libraries = [Path(word) for word in listed.split() if word.startswith("/")]
    for path, place in [(shell, root / "bin/sh"), *((path, root / str(path).lstrip("/")) for path in libraries)]:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path.resolve(), place)


def test_without_root_rights_a_root_of_its_own_is_served() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sopwith-nobody-", dir="/tmp"))
    try:
        installed_by_hand(folder, build_package(folder, "1.0"))
        work = package_work(folder, build_package(folder, "2.0"), version="2.0", before="1.0")
        if os.geteuid() == 0:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        child = os.fork()
        if child == 0:
            update_and_go_back_as_nobody(work)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert DEB.installed_version(work.manifest, work.artifacts, work.root) == "1.0"
        assert "upgrade hello:all 1.0 2.0" in (work.root / "var/log/dpkg.log").read_text()
    finally:
        shutil.rmtree(folder)


NOBODY = 65534


def update_and_go_back_as_nobody(work: InstallWork) -> None:
    status = 1
    try:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        installed = install(work) == ["commit"]
        installed = installed and DEB.installed_version(work.manifest, work.artifacts, work.root) == "2.0"
        DEB.roll_back(work)
        status = 0 if installed else 2
    finally:
        os._exit(status)
