"""Parameters with bounds as a SOP writes them: `{default, min, max}`, or a bare value that stands for all three.

Decides how such a parameter is read and that its default lies within its bounds; where a bound is left out there is
none on that side.
"""

from typing import Any

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from sopwith_formats import sop_policy as policy
from sopwith_formats.document_values import CountOrPercent, Duration, Percent, PercentNumber, PositiveCount, Rate
from sopwith_formats.documents import StrictModel
from sopwith_formats.errors import FormatError


class BoundedPart(StrictModel):
    """Base of the kinds below, which declare default, min and max."""

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """Take a bare value as the only one allowed."""
        return value if isinstance(value, dict) else {"default": value, "min": value, "max": value}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return what may be written: the group, or the bare value."""
        group = handler(schema)
        bare = handler.resolve_ref_schema(group)["properties"]["default"]
        return {"anyOf": [group, bare]}

    @model_validator(mode="after")
    def _in_bounds(self) -> "BoundedPart":
        bounds = self.record()
        if not bounds.admits(bounds.default):
            raise FormatError("has its default outside its own bounds", remedy="mend default, min or max")
        return self

    def record(self) -> policy.Range:
        """Return the policy's record."""
        return policy.Range(
            **{name: getattr(self, name) for name in ("default", "min", "max")},
        )


class PercentRange(BoundedPart):
    """A percentage with bounds, such as {default: 95%, max: 100%}."""

    default: Percent
    min: Percent | None = None
    max: Percent | None = None


class PercentNumberRange(BoundedPart):
    """A percentage written without its sign, with bounds."""

    default: PercentNumber
    min: PercentNumber | None = None
    max: PercentNumber | None = None


class CountRange(BoundedPart):
    """A count with bounds."""

    default: PositiveCount
    min: PositiveCount | None = None
    max: PositiveCount | None = None


class DurationRange(BoundedPart):
    """A duration with bounds."""

    default: Duration
    min: Duration | None = None
    max: Duration | None = None


class RateRange(BoundedPart):
    """A rate of bytes with bounds, such as {default: 200Mbit/s, max: 1Gbit/s}."""

    default: Rate
    min: Rate | None = None
    max: Rate | None = None


class ConcurrencyPart(BoundedPart):
    """A share or a count with bounds, and a floor for small fleets."""

    default: CountOrPercent
    min: CountOrPercent | None = None
    max: CountOrPercent | None = None
    at_least: int = Field(default=1, ge=1)

    def concurrency(self) -> policy.Concurrency:
        """Return the policy's record."""
        return policy.Concurrency(self.default, self.at_least, self.min, self.max)
