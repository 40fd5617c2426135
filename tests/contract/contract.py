"""HeyGen's v3 contract as a judge: what is wrong with this request, this answer, this callback?

A fault reads `$.path.to.field: what is wrong [the rule's keyword]`; no faults means the contract is kept.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

METHODS = ("get", "post", "put", "patch", "delete")
WEBHOOK = "/components/schemas/WebhookBody"
ERROR = "/components/schemas/StandardAPIError"


def ours() -> "Contract":
    """The contract this project keeps."""
    return _load(Path(__file__).with_name("heygen-v3.yaml"), lenient=False)


def heygens() -> "Contract | None":
    """HeyGen's own file, named by HEYGEN_OPENAPI, judged with leniency for what is newer; None where unset."""
    path = os.environ.get("HEYGEN_OPENAPI")
    return _load(Path(path), lenient=True) if path else None


@dataclass(frozen=True)
class Operation:
    """One method of one path; `missing` says why an older file is excused for not describing it."""

    method: str
    template: str
    missing: str | None = None

    @property
    def pointer(self) -> str:
        """Where the document describes it, as a JSON pointer."""
        return f"/paths/{self.template.replace('~', '~0').replace('/', '~1')}/{self.method.lower()}"

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


@dataclass(frozen=True)
class Later:
    """A value that is right today and that HeyGen's file of April 2026 calls a fault."""

    part: str
    path: str
    keyword: str
    allows: Callable[[Any], bool]
    reason: str

    def excuses(self, part: str, error: ValidationError) -> bool:
        """Whether this is that very fault, and nothing wider."""
        path = re.sub(r"\[\d+\]", "[*]", error.json_path)
        same = (part, path, error.validator) == (self.part, self.path, self.keyword)
        return same and self.allows(error.instance)


# Fields that April does not know need no line here: that file closes no object that has grown.
LATER = (
    Later(
        "POST /v3/videos request", "$.type", "const", ("cinematic_avatar", "studio").__contains__, "new kinds"
    ),
    Later(
        "POST /v3/videos request",
        "$.aspect_ratio",
        "enum",
        ("4:5", "5:4", "1:1", "auto").__contains__,
        "April had 16:9 and 9:16 only",
    ),
    Later("POST /v3/avatars request", "$.type", "const", ("digital_twin",).__contains__, "April: video"),
    Later(
        "POST /v3/avatars request",
        "$.prompt",
        "maxLength",
        lambda prompt: len(prompt) <= 1000,
        "raised from 200 to 1000",
    ),
    Later(
        "POST /v3/avatars/{group_id}/consent answer",
        "$.data.url",
        "type",
        lambda url: url is None,
        "footage may be the consent",
    ),
    *(
        Later(part, path, "enum", ("digital_twin",).__contains__, "April: video_avatar")
        for part, path in (
            ("GET /v3/avatars/looks query", "$.avatar_type"),
            ("GET /v3/avatars/looks answer", "$.data[*].avatar_type"),
            ("GET /v3/avatars/looks/{look_id} answer", "$.data.avatar_type"),
            ("PATCH /v3/avatars/looks/{look_id} answer", "$.data.avatar_type"),
            ("POST /v3/avatars answer", "$.data.avatar_item.avatar_type"),
        )
    ),
    *(
        Later(part, path, "enum", ("batch.finished",).__contains__, "no batches")
        for part, path in (
            ("POST /v3/webhooks/endpoints request", "$.events[*]"),
            ("PATCH /v3/webhooks/endpoints/{endpoint_id} request", "$.events[*]"),
            ("GET /v3/webhooks/events query", "$.event_type"),
        )
    ),
)
LATER_OPERATIONS = {
    ("GET", "/v3/assets"): "assets could only be uploaded",
    ("GET", "/v3/assets/{asset_id}"): "assets could only be uploaded",
    ("DELETE", "/v3/assets/{asset_id}"): "assets could only be uploaded",
    ("POST", "/v3/assets/{asset_id}/complete"): "no direct uploads",
    ("POST", "/v3/assets/direct-uploads"): "no direct uploads",
    ("POST", "/v3/assets/direct-uploads/batches"): "no direct uploads",
    ("POST", "/v3/assets/complete/batches"): "no direct uploads",
    ("GET", "/v3/assets/batches/{batch_id}"): "no direct uploads",
    ("GET", "/v3/assets/statuses"): "no direct uploads",
    ("DELETE", "/v3/avatars/{group_id}"): "groups could not be deleted",
    ("DELETE", "/v3/avatars/looks/{look_id}"): "looks could not be deleted",
    ("GET", "/v3/voices/{voice_id}"): "voices could only be listed",
    ("DELETE", "/v3/voices/{voice_id}"): "voices could not be deleted",
    ("POST", "/v3/voices/clone"): "no clones",
    # Without this line the file takes "statuses" for a video's id.
    ("GET", "/v3/videos/statuses"): "no status of many videos at once",
    ("POST", "/v3/videos/batches"): "no batches",
    ("GET", "/v3/videos/batches/{batch_id}"): "no batches",
}
# The error page names these; the file declares 400, 401, 429 and, on some operations, 404.
LATER_STATUSES = frozenset({402, 403, 404, 409, 413, 500, 502, 503, 504})


class Contract:
    """An OpenAPI 3.1 document that can say what is wrong with a message."""

    def __init__(self, document: Mapping[str, Any], *, lenient: bool = False) -> None:
        self.document = document
        self._lenient = lenient
        resource = DRAFT202012.create_resource(document)
        self._registry: Registry[Any] = Registry().with_resource("urn:contract", resource)
        self._operations: dict[str, dict[str, Operation]] = {}
        for operation in self.operations():
            self._operations.setdefault(operation.template, {})[operation.method] = operation
        for (method, template), reason in LATER_OPERATIONS.items() if lenient else ():
            methods = self._operations.setdefault(template, {})
            methods.setdefault(method, Operation(method, template, reason))

    def operations(self) -> list[Operation]:
        """All that the document describes, in its order."""
        return [
            Operation(method.upper(), template)
            for template, item in self.document["paths"].items()
            for method in METHODS
            if method in item
        ]

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation that serves this path; where two templates fit, the more literal one is asked."""
        segments = urlsplit(path).path.split("/")
        fitting = [template for template in self._operations if _fits(template.split("/"), segments)]
        if not fitting:
            return None
        return self._operations[min(fitting, key=lambda fit: fit.count("{"))].get(method.upper())

    def request_faults(self, method: str, path: str, body: object = None) -> list[str]:
        """What is wrong with a request; `path` may carry a query, a multipart body is its parts by name."""
        operation = self.operation(method, path)
        if operation is None:
            return [f"{method} {path}: no such operation"]
        if operation.missing:
            return []
        return self._query_faults(operation, path) + self._body_faults(operation, body)

    def response_faults(self, method: str, path: str, status: int, body: object) -> list[str]:
        """What is wrong with an answer to this request."""
        operation = self.operation(method, path)
        if operation is None:
            return [f"{method} {path}: no such operation"]
        if operation.missing:
            return self.error_faults(body) if status >= 400 else []
        responses = f"{operation.pointer}/responses"
        declared = self._at(responses)[0]
        key = next((key for key in (str(status), f"{status // 100}XX", "default") if key in declared), None)
        if key is None and not (self._lenient and status in LATER_STATUSES):
            return [f"{operation}: status {status} is not declared"]
        if self._lenient and status >= 400:
            return self.error_faults(body)  # HeyGen's file does not say that the envelope must be there
        pointer = self._schema_of(f"{responses}/{key}")
        return self._faults(f"{operation} answer", pointer, body) if pointer else []

    def error_faults(self, body: object) -> list[str]:
        """What is wrong with the body of any refusal or failure."""
        if not isinstance(body, Mapping) or "error" not in body:
            return ["$: an object with 'error' is wanted [required]"]
        return [f"$.error{fault[1:]}" for fault in self._faults("error", ERROR, body["error"])]

    def webhook_faults(self, body: object) -> list[str]:
        """What is wrong with the body HeyGen posts, or we post in HeyGen's shape."""
        if self._lenient and "WebhookBody" not in self.document["components"]["schemas"]:
            return []  # HeyGen describes its deliveries on a page, not in its file
        return self._faults("webhook", WEBHOOK, body)

    def _body_faults(self, operation: Operation, body: object) -> list[str]:
        taken = self._at(operation.pointer)[0].get("requestBody")
        if taken is None:
            return [] if body is None else [f"{operation}: takes no body"]
        if body is None:
            return [f"{operation}: a body is required"] if taken.get("required", False) else []
        pointer = self._schema_of(f"{operation.pointer}/requestBody")
        return self._faults(f"{operation} request", pointer, _text_parts(body)) if pointer else []

    def _query_faults(self, operation: Operation, path: str) -> list[str]:
        declared = self._query_parameters(operation)
        given = dict(parse_qsl(urlsplit(path).query, keep_blank_values=True))
        faults = [f"$.{name}: no such query parameter" for name in given if name not in declared]
        for name, (pointer, required) in declared.items():
            if name in given:
                schema = self._at(pointer)[0]
                wrapped = {"properties": {name: {"$ref": f"urn:contract#{quote(pointer)}"}}}
                body = {name: _typed(given[name], schema.get("type"))}
                faults += self._judge(f"{operation} query", wrapped, body)
            elif required:
                faults.append(f"$.{name}: the query must have it [required]")
        return faults

    def _query_parameters(self, operation: Operation) -> dict[str, tuple[str, bool]]:
        """By name: the pointer to the schema, and whether it must be given."""
        found = {}
        for owner in (operation.pointer.rpartition("/")[0], operation.pointer):
            for index in range(len(self._at(owner)[0].get("parameters", ()))):
                parameter, pointer = self._at(f"{owner}/parameters/{index}")
                if parameter["in"] == "query":
                    found[parameter["name"]] = (f"{pointer}/schema", bool(parameter.get("required")))
        return found

    def _schema_of(self, pointer: str) -> str | None:
        """The schema of a body's first media type."""
        node, pointer = self._at(pointer)
        media = next(iter(node.get("content", ())), None)
        return f"{pointer}/content/{media.replace('/', '~1')}/schema" if media else None

    def _at(self, pointer: str) -> tuple[Any, str]:
        """What stands there, references followed, and where that really is."""
        node: Any = self.document
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            node = node[int(key)] if isinstance(node, list) else node[key]
        reference = node.get("$ref") if isinstance(node, Mapping) and len(node) == 1 else None
        return self._at(reference.removeprefix("#")) if reference else (node, pointer)

    def _faults(self, part: str, pointer: str, body: object) -> list[str]:
        return self._judge(part, {"$ref": f"urn:contract#{quote(pointer)}"}, body)

    def _judge(self, part: str, schema: Mapping[str, Any], body: object) -> list[str]:
        validator = Draft202012Validator(schema, registry=self._registry)
        later = LATER if self._lenient else ()
        return [
            _words(error)
            for top in validator.iter_errors(body)
            for error in _causes(top)
            if not any(known.excuses(part, error) for known in later)
        ]


@cache
def _load(path: Path, *, lenient: bool) -> Contract:
    text = path.read_text(encoding="utf-8")
    return Contract(json.loads(text) if path.suffix == ".json" else yaml.safe_load(text), lenient=lenient)


def _fits(template: Sequence[str], segments: Sequence[str]) -> bool:
    return len(template) == len(segments) and all(
        bool(given) if wanted.startswith("{") else wanted == given
        for wanted, given in zip(template, segments, strict=True)
    )


def _typed(value: str, kind: object) -> object:
    """A query value as its schema sees it."""
    if kind == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    return value.split(",") if kind == "array" else value


def _text_parts(body: object) -> object:
    """A schema has no word for bytes: a part that holds some counts as text."""
    if not isinstance(body, Mapping):
        return body
    return {name: part.decode("latin-1") if isinstance(part, bytes) else part for name, part in body.items()}


def _causes(error: ValidationError) -> Iterator[ValidationError]:
    """The faults in the one alternative that was meant, or the fault itself where that cannot be told."""
    branches: dict[object, list[ValidationError]] = {}
    for cause in error.context or ():
        branches.setdefault(cause.relative_schema_path[0], []).append(cause)
    meant = [branch for branch in branches.values() if not any(_rules_out(cause) for cause in branch)]
    tags = [cause for branch in branches.values() for cause in branch if _is_tag(cause)]
    if len(meant) == 1:
        for cause in meant[0]:
            yield from _causes(cause)
    elif not meant and len(tags) == len(branches) > 0:
        tags[
            0
        ].message = f"{tags[0].instance!r} is none of {', '.join(str(tag.validator_value) for tag in tags)}"
        yield tags[0]
    else:
        yield error


def _rules_out(cause: ValidationError) -> bool:
    return _is_tag(cause) or (cause.validator == "type" and not cause.relative_path)


def _is_tag(cause: ValidationError) -> bool:
    """Whether the field that names the alternative names another one."""
    return cause.validator == "const" and len(cause.relative_path) == 1


def _words(error: ValidationError) -> str:
    message = error.message if len(error.message) <= 160 else f"{error.message[:80]} … {error.message[-80:]}"
    why = error.schema.get("description") if isinstance(error.schema, Mapping) else None
    return f"{error.json_path}: {message}{f' ({why})' if why else ''} [{error.validator}]"
