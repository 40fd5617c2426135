"""What the request bodies of several routes share: strict models, common fields, and errors in HeyGen's words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    ValidationError,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from app.errors import ApiError, Fault, InvalidParameter

MAX_FAULTS = 20  # told at once
MAX_PATH = 200  # characters of a field's name in an answer
MAX_METADATA = 16 * 1024


class WireModel(BaseModel):
    """A JSON object as a caller may send it: no coercion (`false` is no number), no unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Wire = TypeVar("Wire", bound=WireModel)


def validate(model: type[Wire], body: Mapping[str, Any], *, allow_private: bool = False) -> Wire:
    """`body` as a `model`, or InvalidParameter with all its faults.

    `allow_private` lets files stand at http and private addresses.
    """
    try:
        return model.model_validate(body, context={"allow_private": allow_private})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    raise InvalidParameter.of([_fault(detail, body) for detail in details[:MAX_FAULTS]])


@contextmanager
def in_callers_words(renamed: Mapping[str, str]) -> Iterator[None]:
    """Let errors name a field as its caller does: `renamed` has those names, by where we moved the fields to."""
    try:
        yield
    except ApiError as error:
        told = _renamed(Fault(error.message, error.param), renamed)
        error.message, error.param = told.message, told.path
        error.errors = tuple(_renamed(fault, renamed) for fault in error.errors)
        raise


class SeveralErrors(Protocol):
    """What FastAPI's and pydantic's exceptions have in common."""

    def errors(self) -> Iterable[Any]: ...


def faults_in(error: SeveralErrors) -> list[Fault]:
    """FastAPI's complaints about query, path and headers; their first step says only which of these it is."""
    details = list(error.errors())[:MAX_FAULTS]
    return [_fault({**detail, "loc": detail["loc"][1:]}, {}) for detail in details]


def without_nulls(value: Any, verbatim: frozenset[str] = frozenset({"metadata"})) -> Any:
    """A copy in which an explicit null counts as omitted, except inside the fields named `verbatim`."""
    if isinstance(value, dict):
        return {
            key: item if key in verbatim else without_nulls(item, verbatim)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [without_nulls(item, verbatim) for item in value]
    return value


@dataclass(frozen=True)
class Between:
    """Metadata of a number: a bound that names both its ends when broken."""

    low: float
    high: float

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(schema) | {"minimum": self.low, "maximum": self.high}

    def _check(self, number: float) -> float:
        if not self.low <= number <= self.high:
            raise broken(f"must be between {self.low:g} and {self.high:g}.")
        return number


def broken(rule: str) -> PydanticCustomError:
    """To raise in a validator; `rule` continues the sentence that the field's name begins."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule})


def _integral(number: Any) -> Any:
    return int(number) if isinstance(number, float) and number.is_integer() else number


_ONE_LINE: dict[str, JsonValue] = {"pattern": r"^[^\x00-\x1f]*$"}


def _without_control_characters(text: str) -> str:
    if re.search(r"[\x00-\x1f]", text):
        raise broken("must not contain control characters.")
    return text


def web_address(text: str) -> str:
    """Form only; whether we may go there is for the guarded client to say."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is no port
    except ValueError:
        parts = urlsplit("")
    # urlsplit drops tabs and newlines silently, and parsers disagree about backslashes.
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"[\x00-\x20\x7f\\]", text):
        raise broken("must be an absolute http or https URL.")
    return text


def _instant(value: Any) -> Any:
    rule = 'must be an ISO 8601 instant with a zone, such as "2030-01-31T12:00:00Z".'
    if not isinstance(value, str):
        raise broken(rule)
    try:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is None:
            raise broken(rule)
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise broken(rule) from None


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > MAX_METADATA:
        raise broken("must be at most 16 kB of JSON.")
    return metadata


# HeyGen's clients send every number through a double: 1.0 is an integer.
Integer = Annotated[int, BeforeValidator(_integral)]
Identifier = Annotated[str, Field(min_length=1, max_length=255)]
Name = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra=_ONE_LINE),
    AfterValidator(_without_control_characters),
]
Title = Annotated[
    str, Field(max_length=1_000, json_schema_extra=_ONE_LINE), AfterValidator(_without_control_characters)
]
CallbackUrl = Annotated[str, Field(max_length=2_048), AfterValidator(web_address)]


class LookOptions(WireModel):
    """The object `greenroom` of a request: what HeyGen does not have. `deadline` is in UTC, unbounded here."""

    metadata: Annotated[dict[str, Any], AfterValidator(_small)] | None = None
    priority: Annotated[Integer, Between(-10, 10)] = 0
    deadline: Annotated[datetime, BeforeValidator(_instant)] | None = None
    reuse: bool = True


class VideoOptions(LookOptions):
    """The same for a video; `archive` None leaves it to the setting."""

    archive: bool | None = None


_RULES = {
    "json_invalid": "must be valid JSON.",
    "missing": "is required.",
    "extra_forbidden": "is not a known field.",
    "string_type": "must be a string.",
    "string_unicode": "must be valid Unicode.",
    "string_too_short": "must be at least {min_length} characters.",
    "string_too_long": "must be at most {max_length} characters.",
    "string_pattern_mismatch": "must match {pattern}.",
    "bool_type": "must be true or false.",
    "bool_parsing": "must be true or false.",
    "int_type": "must be an integer.",
    "int_parsing": "must be an integer.",
    "int_parsing_size": "must be a smaller integer.",
    "int_from_float": "must be an integer.",
    "float_type": "must be a number.",
    "float_parsing": "must be a number.",
    "finite_number": "must be a finite number.",
    "greater_than": "must be greater than {gt}.",
    "greater_than_equal": "must be at least {ge}.",
    "less_than": "must be less than {lt}.",
    "less_than_equal": "must be at most {le}.",
    "literal_error": "must be {expected}.",
    "enum": "must be {expected}.",
    "dict_type": "must be an object.",
    "model_type": "must be an object.",
    "model_attributes_type": "must be an object.",
    "list_type": "must be a list.",
    "too_long": "must have at most {max_length} items.",
    "too_short": "must have at least {min_length} items.",
    "union_tag_not_found": "is required.",
    "union_tag_invalid": "must be one of {expected_tags}.",
}


def _renamed(fault: Fault, renamed: Mapping[str, str]) -> Fault:
    name = renamed.get(fault.path or "")
    if name is None:
        return fault
    return replace(fault, path=name, message=fault.message.replace(f"'{fault.path}'", f"'{name}'"))


def _fault(detail: Mapping[str, Any], body: Mapping[str, Any]) -> Fault:
    kind, context = detail["type"], detail.get("ctx") or {}
    path = "" if kind == "json_invalid" else _dotted(detail["loc"], body)
    if kind.startswith("union_tag"):
        path = f"{path}.{context['discriminator'].strip(chr(39))}"
    path = path[:MAX_PATH]
    rule = detail["msg"] if kind == "rule" else _RULES.get(kind, "is not valid.").format(**context)
    if kind == "string_too_short" and context["min_length"] == 1:
        rule = "must not be empty."
    rule = rule.replace(" 1 items.", " 1 item.")
    return Fault(f"'{path}' {rule}", path) if path else Fault(f"The request {rule}")


def _dotted(location: Iterable[str | int], body: Any) -> str:
    """The field as the caller wrote it: pydantic's location without the tags of its unions."""
    steps: list[str] = []
    here, entered = body, False
    path = tuple(location)
    for left, step in enumerate(path, 1 - len(path)):
        # A tag is never the last step: the fault is in a field of what it names.
        if entered and left < 0 and step in (here.get("type"), here.get("engine_type")):
            entered = False
            continue
        steps.append(str(step))
        here = _below(here, step)
        entered = isinstance(here, dict)
    return ".".join(steps)


def _below(here: Any, step: str | int) -> Any:
    if isinstance(here, dict):
        return here.get(step)
    return here[step] if isinstance(here, list) and isinstance(step, int) else None
