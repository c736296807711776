"""Objects inside a request, as all API families read them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, model_validator

from tricorn.schemas.fields import without_nulls


class OpenObject(BaseModel):
    """Nulls mean absence; fields that nobody knows are let in, to be named by `unknown`."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, value: object) -> object:
        return without_nulls(value)

    def unknown(self) -> list[str]:
        return list(self.model_extra or {})
