"""The front matter's words on people at their computers: the notice that they are owed, and the groups that differ.

Decides which keys there are and what contradicts itself; what the values mean is the agent's.
"""

from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from sopwith_formats.document_parts import Name, Selector
from sopwith_formats.document_values import Duration
from sopwith_formats.documents import StrictModel
from sopwith_formats.errors import FormatError
from sopwith_formats.sop_notice import UserNotice
from sopwith_formats.sop_parts import OptionalWindow


class UserNoticePart(StrictModel):
    """What people at a computer are owed before an install; a bare duration is the notice alone."""

    notice: Duration = 0
    deferrals_max: int = Field(default=0, ge=0, le=100)
    defer_at_most: Duration = 0
    grace: Duration = 300

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"notice": value}

    @model_validator(mode="after")
    def _notice_before_deferring(self) -> "UserNoticePart":
        if self.deferrals_max and not self.notice:
            raise FormatError("lets people put off what they are not told of", remedy="give a notice, such as 15m")
        return self

    def record(self) -> UserNotice:
        """Return the policy's record."""
        return UserNotice(self.notice, self.deferrals_max, self.defer_at_most, self.grace)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return what may be written: the group, or the bare duration."""
        group = handler(schema)
        bare = handler.resolve_ref_schema(group)["properties"]["notice"]
        return {"anyOf": [group, bare]}


class MaintenanceGroupPart(StrictModel):
    """Computers with other habits than the rest."""

    name: Name
    selector: Annotated[Selector, Field(min_length=1)]
    window: OptionalWindow = None
    notice: Duration | None = None
    deferrals_max: int | None = Field(default=None, ge=0, le=100)
    defer_at_most: Duration | None = None
    grace: Duration | None = None

    @model_validator(mode="after")
    def _notice_before_deferring(self) -> "MaintenanceGroupPart":
        if self.deferrals_max and self.notice == 0:
            raise FormatError("lets people put off what they are not told of", remedy="give a notice, such as 15m")
        return self
