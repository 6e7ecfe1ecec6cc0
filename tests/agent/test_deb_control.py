"""Whether a computer can satisfy a package, decided before dpkg is started."""

from sopwith_agent.adapters.installers.deb_control import Control, conflicts, read_control


def package(name: str, version: str = "1.0", **fields: str) -> Control:
    return Control(name, version, "all", **fields)


def test_dependency_met_by_version_is_no_problem() -> None:
    new = package("hello", needs="libc (>= 2.34), data (= 1.0), tool (<< 3), any:any")
    there = [package("libc", "2.36"), package("data"), package("tool", "2.9"), package("any")]

    assert conflicts([new], there) == []


def test_dependency_of_a_wrong_version_is_told() -> None:
    problems = conflicts([package("hello", needs="libc (>= 2.40)")], [package("libc", "2.36")])

    assert problems == ["hello 1.0 depends on libc (>= 2.40), which is not installed"]


def test_one_alternative_is_enough() -> None:
    assert conflicts([package("hello", needs="missing | there (>= 1)")], [package("there")]) == []


def test_provided_name_meets_a_dependency_and_its_version_only_when_it_is_given() -> None:
    there = [package("postfix", provides="mail-agent, smtp (= 3.0)")]

    assert conflicts([package("hello", needs="mail-agent, smtp (>= 2)")], there) == []
    assert len(conflicts([package("hello", needs="mail-agent (>= 1)")], there)) == 1


def test_new_version_replaces_the_installed_one_in_the_question() -> None:
    there = [package("data", "1.0")]

    assert conflicts([package("hello", needs="data (= 2.0)"), package("data", "2.0")], there) == []
    assert len(conflicts([package("hello", needs="data (= 1.0)"), package("data", "2.0")], there)) == 1


def test_package_may_conflict_with_a_name_that_it_provides_itself() -> None:
    new = package("hello", refuses="mail-agent", provides="mail-agent")

    assert conflicts([new], [package("hello", "0.9", provides="mail-agent")]) == []
    assert len(conflicts([new], [package("postfix", provides="mail-agent")])) == 1


def test_conflict_holds_only_for_the_versions_it_names() -> None:
    new = package("hello", refuses="rival (<< 2)")

    assert conflicts([new], [package("rival", "2.0")]) == []
    assert conflicts([new], [package("rival", "1.9")]) == [
        "hello 1.0 conflicts with rival (<< 2), and rival 1.9 is installed"
    ]


def test_dependency_that_cannot_be_read_is_never_met() -> None:
    assert len(conflicts([package("hello", needs="b@d (>= 1)")], [package("b")])) == 1


def test_fields_are_joined() -> None:
    control = read_control(
        {"Package": "a", "Version": "1", "Architecture": "all", "Depends": "b", "Pre-Depends": "c", "Breaks": "d"}
    )

    assert (control.needs, control.refuses, control.provides) == ("c, b", "d", "")
