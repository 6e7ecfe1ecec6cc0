"""What every installer promises, on real formats and real package tools: one suite, one bench per installer.

`test_installer_crashes` has the part of the contract that kills the process.
"""

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from sopwith_agent.adapters.installers import tools
from sopwith_agent.adapters.installers.by_name import InstallersByName
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.steps.installer_port import InstallWork, OnDisk
from sopwith_formats.vocabulary import Symptom
from tests.agent.archives import lying_in
from tests.contracts.installer_benches import V1, V2, Bench, install, version_of, with_options


def below(work: InstallWork) -> dict[str, str]:
    """Return what lies below the root; sqlite's reading marks are no content."""
    return {name: what for name, what in lying_in(work.root).items() if not name.endswith("-shm")}


def test_nothing_is_installed_in_an_empty_root(bench: Bench) -> None:
    work = bench.work(V1, "")

    assert bench.installer.applicable(work.manifest, work.artifacts, work.root) is None
    assert version_of(bench, work) == ""
    assert bench.installer.recover(work) is OnDisk.OLD


def test_preparing_changes_nothing_below_the_root(bench: Bench) -> None:
    install(bench, V1, "")
    work = bench.work(V2, V1)
    before = below(work)

    way = bench.installer.prepare(work)

    assert way.possible
    assert way.kind == "kept"
    assert below(work) == before


def test_first_install_is_read_back_and_commits_once_before_the_change(bench: Bench) -> None:
    work, commits = install(bench, V1, "")

    assert commits == [""]
    assert version_of(bench, work) == V1
    assert bench.running() == V1
    assert bench.installer.recover(work) is OnDisk.NEW


def test_update_commits_while_the_old_version_still_runs(bench: Bench) -> None:
    install(bench, V1, "")

    work, commits = install(bench, V2, V1)

    assert commits == [V1]
    assert (version_of(bench, work), bench.running()) == (V2, V2)


def test_applying_again_commits_nothing(bench: Bench) -> None:
    work, commits = install(bench, V1, "")

    bench.installer.apply(work, lambda: commits.append("again"))

    assert commits == [""]
    assert bench.running() == V1


def test_rollback_brings_back_what_ran_before_and_may_be_repeated(bench: Bench) -> None:
    install(bench, V1, "")
    work, _ = install(bench, V2, V1)

    for _ in range(2):
        bench.installer.roll_back(replace(work, files=()))

        assert (version_of(bench, work), bench.running()) == (V1, V1)
        assert bench.installer.recover(work) is OnDisk.OLD


def test_rolled_back_release_can_be_installed_later(bench: Bench) -> None:
    install(bench, V1, "")
    work, _ = install(bench, V2, V1)
    bench.installer.roll_back(work)

    _, commits = install(bench, V2, V1)

    assert commits == [V1]
    assert bench.running() == V2


def test_rolling_back_a_first_install_removes_it(bench: Bench) -> None:
    work, _ = install(bench, V1, "")

    bench.installer.roll_back(work)

    assert (version_of(bench, work), bench.running()) == ("", "")
    assert bench.installer.recover(work) is OnDisk.OLD
    assert not [name for name in below(work) if "hello" in name.rpartition("/")[2] and "opt/hello" not in name]


def test_downgrade_is_an_install_like_any_other(bench: Bench) -> None:
    install(bench, V2, "")

    work, _ = install(bench, V1, V2)

    assert (version_of(bench, work), bench.running()) == (V1, V1)


def test_rollback_of_what_was_never_applied_changes_nothing(bench: Bench) -> None:
    install(bench, V1, "")
    work = bench.work(V2, V1)
    bench.installer.prepare(work)

    bench.installer.roll_back(work)

    assert bench.running() == V1


def test_commit_that_cannot_be_recorded_stops_the_install(bench: Bench) -> None:
    install(bench, V1, "")
    work = bench.work(V2, V1)
    bench.installer.prepare(work)

    def full_disk() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        bench.installer.apply(work, full_disk)

    assert bench.running() == V1
    assert bench.installer.recover(work) is OnDisk.OLD


def test_staged_file_that_changed_is_refused_before_anything_changes(bench: Bench) -> None:
    install(bench, V1, "")
    work = bench.work(V2, V1)
    with work.files[0].path.open("r+b") as file:
        file.seek(300)
        file.write(b"\xff")
    before = below(work)

    with pytest.raises(TrustError) as refused:
        bench.installer.prepare(work)

    assert refused.value.symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH
    assert below(work) == before


def test_file_that_is_no_archive_or_package_is_refused(bench: Bench) -> None:
    work = bench.work(V1, "")
    junk = b"\0" * 10 + b"not what it should be" * 100
    work.files[0].path.write_bytes(junk)
    digest = hashlib.sha256(junk).hexdigest()
    staged = replace(work.files[0], length=len(junk), sha256=digest)
    artifact = replace(work.artifacts[0], length=len(junk), sha256=digest)

    with pytest.raises(TrustError) as refused:
        bench.installer.prepare(replace(work, files=(staged,), artifacts=(artifact,)))

    assert refused.value.symptom is Symptom.CONTENT_REFUSED
    assert below(work) == {}


def test_unknown_installer_is_answered_with_none() -> None:
    installers = InstallersByName()

    assert installers.by_name("flatpak") is None
    assert "archive" in installers.names()


def test_missing_way_back_refuses_the_install_where_the_sop_wants_one(bench: Bench) -> None:
    install(bench, V1, "")
    work = bench.without_way_back(bench.work(V2, V1))

    with pytest.raises(StepError) as refused:
        bench.installer.prepare(work)

    assert refused.value.symptom is Symptom.BACKUP_FAILED
    assert not refused.value.changed
    way = bench.installer.prepare(replace(work, backup_required=False))
    assert not way.possible


def test_signed_release_whose_content_breaks_the_rules_is_refused(bench: Bench) -> None:
    install(bench, V1, "")
    work = replace(bench.hostile(), version_before=V1)
    before = below(work)

    with pytest.raises(TrustError) as refused:
        bench.installer.prepare(work)

    assert refused.value.symptom is Symptom.CONTENT_REFUSED
    assert below(work) == before


def test_release_for_another_kind_of_computer_is_not_applicable(bench: Bench) -> None:
    work = bench.elsewhere()
    if work is None:
        assert bench.installer.name in ("archive", "example.file")
        return

    refusal = bench.installer.applicable(work.manifest, work.artifacts, work.root)
    with pytest.raises(StepError) as refused:
        bench.installer.prepare(work)

    assert (refusal.symptom if refusal else refused.value.symptom) is Symptom.NOT_APPLICABLE
    assert not refused.value.changed
    assert bench.running() == ""


def test_installer_without_its_tools_says_so_and_pretends_nothing(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not bench.tools:
        assert bench.installer.available()
        return
    work = bench.work(V1, "")
    monkeypatch.setattr(tools, "PATH", str(tmp_path / "nothing"))

    refusal = bench.installer.applicable(work.manifest, work.artifacts, work.root)

    assert not bench.installer.available()
    assert bench.installer.name not in InstallersByName(others=()).names()
    assert refusal is not None
    assert refusal.symptom is Symptom.NOT_APPLICABLE
    assert refusal.remedy


def test_unknown_options_are_refused(bench: Bench) -> None:
    work = with_options(bench.work(V1, ""), colour="red")

    refusal = bench.installer.applicable(work.manifest, work.artifacts, work.root)

    assert refusal is not None
    assert refusal.symptom is Symptom.CONTENT_REFUSED


def test_kept_copy_that_changed_after_the_check_is_never_installed(bench: Bench) -> None:
    install(bench, V1, "")
    work = bench.work(V2, V1)
    bench.installer.prepare(work)
    for kept in [path for path in work.kept.rglob("*") if path.is_file() and "2.0" in path.name]:
        kept.write_bytes(b"changed after it was checked")
    commits: list[str] = []

    with contextlib.suppress(TrustError):  # what is read again from staging does not notice, and is right too
        bench.installer.apply(work, lambda: commits.append(bench.running()))

    assert bench.running() == (V2 if commits else V1)
