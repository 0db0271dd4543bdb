"""What all JSON shapes share: times as RFC 3339, bounded text, and an example made from the fields' own."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from lift.wire.json import parse_time, rfc3339

_TEXT_CHARACTERS_MAX: Final = 2000
_CODE_CHARACTERS_MAX: Final = 128
_YEAR_10000_US: Final = 253_402_300_800_000_000
# PostgreSQL keeps no NUL in a text, and a code with a control character is nobody's.
NO_NUL: Final = r"^[^\x00]*$"
_NO_CONTROL: Final = r"^[^\x00-\x1f]+$"


def _parse_moment(value: object) -> int:
    """Read a moment from outside; epoch numbers are refused, since nobody could see their unit."""
    if not isinstance(value, str):
        raise ValueError("must be RFC 3339 text, like 2026-11-23T08:00:00Z")  # noqa: TRY004 - pydantic's contract
    at = parse_time(value)
    if not 0 <= at < _YEAR_10000_US:
        raise ValueError("must lie between the years 1970 and 9999 in UTC")
    return at


_MOMENT_SCHEMA: Final = {"type": "string", "format": "date-time"}

Moment = Annotated[
    int,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema(_MOMENT_SCHEMA),
    Field(examples=["2026-11-23T08:00:00.000000Z"]),
]
MomentIn = Annotated[
    int,
    BeforeValidator(_parse_moment),
    WithJsonSchema(_MOMENT_SCHEMA),
    Field(examples=["2026-11-23T08:00:00Z"]),
]
Note = Annotated[str, Field(max_length=_TEXT_CHARACTERS_MAX, pattern=NO_NUL)]
Key = Annotated[str, Field(min_length=1, max_length=_CODE_CHARACTERS_MAX, pattern=_NO_CONTROL)]


class Shape(BaseModel):
    """A JSON object that leaves; every field has an example, or is itself a shape."""

    model_config = ConfigDict(frozen=True)


class Body(Shape):
    """A JSON object that arrives; a misspelt field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def shapes(below: type[Shape] = Shape) -> Iterator[type[Shape]]:
    """Give every shape there is."""
    for shape in below.__subclasses__():
        yield shape
        yield from shapes(shape)


def sample(shape: type[BaseModel]) -> dict[str, Any]:
    """Make a shape's example from its fields' examples; TypeError names a field that has none."""
    return {name: _field_sample(shape, name, field) for name, field in shape.model_fields.items()}


def _field_sample(shape: type[BaseModel], name: str, field: FieldInfo) -> object:
    if field.examples:
        return field.examples[0]
    found = _type_sample(field.annotation)
    if found is not PydanticUndefined:
        return found
    if field.default is not PydanticUndefined:
        return to_jsonable_python(field.default)
    message = f"{shape.__name__}.{name} needs an example"
    raise TypeError(message)


def _type_sample(kind: Any) -> object:  # noqa: ANN401 - a type form has no type of its own before Python 3.14
    """Find the example inside a type: that of a shape, of an annotation, or of what a list holds."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return sample(kind)
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin is Annotated:
            given = [extra.examples[0] for extra in arguments[1:] if isinstance(extra, FieldInfo) and extra.examples]
            return given[0] if given else _type_sample(arguments[0])
        case origin if origin in {Union, UnionType}:
            known = (_type_sample(argument) for argument in arguments if argument is not NoneType)
            return next((found for found in known if found is not PydanticUndefined), PydanticUndefined)
        case origin if origin in {list, tuple}:
            found = _type_sample(arguments[0])
            return PydanticUndefined if found is PydanticUndefined else [found]
    return PydanticUndefined
