"""What a release may demand of the installed version."""

import pytest

from sopwith_agent.domain.versions import compare, meets
from sopwith_formats.errors import FormatError


@pytest.mark.parametrize(
    ("demand", "met"),
    [
        ("", True),
        (">=2.9", True),
        (">= 2.9, <3", True),
        (">2.10", False),
        ("=2.10", True),
        ("==2.9", False),
        ("<2", False),
    ],
)
def test_demand_is_met_when_every_comparison_holds(demand: str, met: bool) -> None:
    assert meets("2.10", demand) is met


@pytest.mark.parametrize("demand", ["2.9", "~>2.9", ">=", ">=2.9 <3"])
def test_demand_that_is_no_comparison_is_a_fault_of_the_release(demand: str) -> None:
    with pytest.raises(FormatError, match="no comparison"):
        meets("2.10", demand)


def test_numbers_compare_as_numbers() -> None:
    assert compare("1.9", "1.10") == -1
