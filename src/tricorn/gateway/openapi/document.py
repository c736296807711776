"""The whole description, as OpenAPI 3.1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask_openapi.models import OpenAPISpec
from flask_openapi.models.components import Components
from flask_openapi.models.header import Header
from flask_openapi.models.info import Info
from flask_openapi.models.license import License
from flask_openapi.models.media_type import MediaType
from flask_openapi.models.operation import Operation as OpenAPIOperation
from flask_openapi.models.parameter import Parameter as OpenAPIParameter
from flask_openapi.models.path_item import PathItem
from flask_openapi.models.reference import Reference
from flask_openapi.models.request_body import RequestBody
from flask_openapi.models.response import Response
from flask_openapi.models.schema import Schema
from flask_openapi.models.security_scheme import SecurityScheme
from flask_openapi.models.server import Server
from flask_openapi.models.tag import Tag
from pydantic import BaseModel
from werkzeug.routing import Rule

from tricorn import __version__
from tricorn.gateway.answers import error_shapes
from tricorn.gateway.guard import requirements
from tricorn.gateway.guard.requirements import Requirement
from tricorn.gateway.openapi import failures, schemas
from tricorn.gateway.openapi.answers.common import AnthropicError, OllamaError, OpenAIError
from tricorn.gateway.openapi.families import FAMILIES
from tricorn.gateway.openapi.operation import JSON, NDJSON, SSE, Answer, Family, Operation
from tricorn.settings.config import Settings

VERSION = "3.1.0"
ABOUT = """\
One endpoint for language models: OpenAI's, Anthropic's and Ollama's APIs, and Tricorn's own.

Where the server needs keys, each request has one: `Authorization: Bearer KEY`, `x-api-key: KEY` or
`api-key: KEY`. Every answer has the request's id in `x-request-id`. A field that nobody knows is
named in the header `x-tricorn-ignored`, or refused where the server runs with `STRICT_FIELDS=true`;
one that the model cannot honour is refused with 400 and named in `param`. With the header
`x-request-timeout: SECONDS` a request to a model ends after so long. Bodies may be compressed
(`Content-Encoding: gzip` or `deflate`).
"""
SCHEMES = {
    "bearer": SecurityScheme(type="http", scheme="bearer", description="OpenAI's clients' way."),
    "x-api-key": SecurityScheme.model_validate(
        {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "Anthropic's."}
    ),
    "api-key": SecurityScheme.model_validate(
        {"type": "apiKey", "in": "header", "name": "api-key", "description": "Azure's."}
    ),
}
_ERRORS: Mapping[error_shapes.Shape, type[BaseModel]] = {
    error_shapes.openai: OpenAIError,
    error_shapes.anthropic: AnthropicError,
    error_shapes.ollama: OllamaError,
}
_HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "Seconds after which it may be tried again, where they are known."},
    503: {"Retry-After": "Seconds after which it may be tried again, where they are known."},
}
_SAME = {"name": "model", "model_id": "model"}
"""Variables of routes that have another name here: one path has one name for each."""
_TRIED = ("GET", "POST", "PUT", "PATCH", "DELETE")


def document(rules: Iterable[Rule], settings: Settings) -> dict[str, Any]:
    """Of these routes. One that nobody has described is left out; a test knows of it."""
    known: dict[tuple[str, str], tuple[Family, Operation]] = {
        (operation.method, operation.path): (family, operation)
        for family in FAMILIES
        for operation in family.operations
    }
    described, names = schemas.components(_models())
    writer = _Writer(names, optional=not settings.requires_key())
    paths: dict[str, PathItem] = {}
    for rule in rules:
        path = template(rule)
        for method in methods(rule):
            found = known.get((method, path))
            if found is None:
                continue
            needed = requirements.of(
                rule.endpoint,
                method.upper(),
                path,
                metrics_public=settings.metrics_public,
                docs_public=settings.docs_public,
            )
            operation = writer.operation(*found, needed)
            setattr(paths.setdefault(path, PathItem()), method, operation)
    in_order = dict.fromkeys(path for _, path in known if path in paths)
    spec = OpenAPISpec(
        openapi=VERSION,
        info=Info(
            title="Tricorn",
            version=__version__,
            description=ABOUT,
            license=License(name="Apache-2.0", identifier="Apache-2.0"),
        ),
        # Relative to where this was read: right behind a proxy that has put Tricorn below a path.
        servers=[Server(url=".")],
        tags=[Tag(name=family.name, description=family.about) for family in FAMILIES],
        paths={path: paths[path] for path in in_order},
        components=Components(securitySchemes={**SCHEMES}),
    )
    whole = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    # As they are: flask-openapi's model of a schema knows a part of JSON Schema only.
    whole["components"]["schemas"] = described | writer.events
    return whole


def template(rule: Rule) -> str:
    """A route's path as OpenAPI writes it."""

    def variable(found: re.Match[str]) -> str:
        return "{" + _SAME.get(found[1], found[1]) + "}"

    return re.sub(r"<(?:[^<:>]+:)?([^<>]+)>", variable, rule.rule).rstrip("/") or "/"


def methods(rule: Rule) -> list[str]:
    """Those that do something of their own."""
    return [method.lower() for method in _TRIED if method in (rule.methods or ())]


def _models() -> set[type[BaseModel]]:
    found: set[type[BaseModel]] = {*_ERRORS.values()}
    for family in FAMILIES:
        for operation in family.operations:
            found.update(operation.body)
            for answer in operation.answers:
                found.update(model for models in answer.contents.values() for model in models)
    return found


class _Writer:
    """names: of the models' schemas. optional: the server asks nobody for a key."""

    def __init__(self, names: Mapping[type[BaseModel], str], *, optional: bool) -> None:
        self._names = names
        self._security: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]
        if optional:
            self._security.append({})
        self.events: dict[str, schemas.Schema] = {}
        """Schemas of events in streams, by name."""

    def operation(self, family: Family, said: Operation, needed: Requirement) -> OpenAPIOperation:
        about = [said.about] if said.about else []
        if needed.permissions:
            about.append(f"Permission: {' or '.join(f'`{one}`' for one in needed.permissions)}.")
        return OpenAPIOperation(
            tags=[family.name],
            operationId=said.id,
            summary=said.summary,
            description="\n\n".join(about) or None,
            deprecated=None,
            parameters=self._parameters(said) or None,
            requestBody=self._body(said),
            responses=self._responses(said, needed),
            security=[] if needed.public else self._security,
        )

    def _parameters(self, said: Operation) -> list[OpenAPIParameter]:
        in_path = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", said.path)
        ]
        others = [
            {"name": one.name, "in": one.place, "description": one.about, "schema": {**one.schema}}
            for one in said.parameters
        ]
        return [OpenAPIParameter.model_validate(one) for one in (*in_path, *others)]

    def _body(self, said: Operation) -> RequestBody | None:
        if not said.body:
            return None
        examples = {name: {"value": value} for name, value in said.examples.items()}
        media = MediaType.model_validate({"schema": self._one_of(said.body), "examples": examples})
        return RequestBody(content={JSON: media}, required=True)

    def _responses(self, said: Operation, needed: Requirement) -> dict[str, Response]:
        found: dict[int, list[Answer]] = {}
        for answer in said.answers:
            found.setdefault(answer.status, []).append(answer)
        everywhere = failures.PUBLIC if needed.public else failures.KEYED
        for status, about in failures.by_status((*said.errors, *everywhere)).items():
            failed = Answer({JSON: self._errors(said)}, f"{about}.", status)
            found.setdefault(status, []).append(failed)
        return {str(status): self._response(status, found[status]) for status in sorted(found)}

    def _errors(self, said: Operation) -> tuple[type[BaseModel], ...]:
        own = _ERRORS[error_shapes.of(said.path)]
        # By this header Anthropic's clients are known on paths that both APIs have.
        either = any(one.name == "anthropic-version" for one in said.parameters)
        return (own, AnthropicError) if either else (own,)

    def _response(self, status: int, answers: list[Answer]) -> Response:
        kinds: dict[str, list[type[BaseModel]]] = {}
        for answer in answers:
            for kind, models in answer.contents.items():
                kinds.setdefault(kind, []).extend(models)
        done = any(answer.done for answer in answers)
        if NDJSON in kinds:
            kinds[NDJSON].append(OllamaError)  # what ends a stream that fails
        return Response(
            description=" ".join(answer.about for answer in answers),
            headers={
                name: Header.model_validate({"description": about, "schema": {"type": "string"}})
                for name, about in _HEADERS.get(status, {}).items()
            }
            or None,
            content={
                kind: MediaType.model_validate(
                    {
                        "schema": self._event(models, done)
                        if kind == SSE
                        else self._one_of(models, kind)
                    }
                )
                for kind, models in kinds.items()
            }
            or None,
        )

    def _one_of(self, models: Iterable[type[BaseModel]], kind: str = JSON) -> Schema | Reference:
        ways = [self._reference(self._names[one]) for one in models]
        if not ways:
            return Schema.model_validate({"type": "object" if kind == JSON else "string"})
        return ways[0] if len(ways) == 1 else Schema(anyOf=[*ways])

    def _event(self, models: list[type[BaseModel]], done: bool) -> Reference:
        """Of a stream: what its lines say. done: as `Answer.done`."""
        name = "EventOf" + "Or".join(self._names[one] for one in models)
        said: list[type[BaseModel]] = [*models, OpenAIError] if done else models
        ways = [{"$ref": schemas.PREFIX + self._names[one]} for one in said]
        data: schemas.Schema = {
            "type": "string",
            "contentMediaType": JSON,
            "contentSchema": ways[0] if len(ways) == 1 else {"anyOf": ways},
        }
        self.events[name] = {
            "title": name,
            "type": "object",
            "properties": {
                "event": {"type": "string"},
                "id": {"type": "string"},
                "data": {"anyOf": [data, {"const": "[DONE]"}]} if done else data,
            },
            "required": ["data"],
        }
        return self._reference(name)

    def _reference(self, name: str) -> Reference:
        return Reference.model_validate({"$ref": schemas.PREFIX + name})
