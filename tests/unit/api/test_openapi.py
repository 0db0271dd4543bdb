"""The OpenAPI document and the page made of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from api.app import openapi
from api.permissions import OPEN, RULES
from api.shapes import sample
from tests.unit.api.test_permissions import bare_app
from tests.unit.api.world import Client

DOCUMENT = openapi(bare_app())
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]


def bodies(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give every body of an operation, asked for and answered, with its schema."""
    contents = [operation.get("requestBody", {}), *operation["responses"].values()]
    for content in contents:
        yield from content.get("content", {}).values()


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference to its schema."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["schemas"][name] if name else schema


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_every_body_has_an_example_that_fits(name: str, operation: dict[str, Any]) -> None:
    """What the document shows is what the schemas accept."""
    found = list(bodies(operation))
    for body in found:
        schema = resolved(body["schema"])
        assert schema.get("examples"), f"{name} shows no example"
        validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
        for example in schema["examples"]:
            validator.validate(example)


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_every_operation_says_who_it_is_for(name: str, operation: dict[str, Any]) -> None:
    """A summary, a sentence, a tag, the roles and the shape of a problem stand at every operation."""
    assert operation["summary"]
    assert operation["tags"]
    assert "For the role" in operation["description"] or "Open to all" in operation["description"]
    assert (operation.get("security") == []) == (operation["operationId"] in OPEN)
    assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_document_holds_every_route() -> None:
    """Nothing is served that is not described, but the pages and the document themselves."""
    described = {operation["operationId"] for _, operation in OPERATIONS}
    assert described == (RULES.keys() | OPEN) - {"front_page", "openapi_document", "console", "console_file"}


def test_document_is_the_same_each_time() -> None:
    """The written document changes only when the API does."""
    assert openapi(bare_app()) == DOCUMENT


def test_page_lists_every_route_without_foreign_files(nobody: Client) -> None:
    """Someone without internet can read what there is, in two languages."""
    answer = nobody.get("/")
    assert answer.status_code == 200
    for name, _ in OPERATIONS:
        assert name in answer.text
    assert "只监测" in answer.text
    assert "//" not in answer.text.replace("<!doctype", "")
    assert "<script" not in answer.text
    assert "sha256-" in answer.headers["content-security-policy"]


def test_document_is_served(nobody: Client) -> None:
    """The document at /openapi.json is the one written to a file."""
    served = nobody.get("/openapi.json").json()
    assert served["paths"].keys() == DOCUMENT["paths"].keys()


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_that_load_foreign_scripts_are_off(nobody: Client, path: str) -> None:
    """FastAPI's own pages would fetch their scripts from a foreign host."""
    assert nobody.get(path).status_code == 404


def test_shape_without_an_example_is_noticed() -> None:
    """A field that nobody gave an example is named."""

    class Forgetful(BaseModel):
        count: int

    with pytest.raises(TypeError, match=r"Forgetful\.count"):
        sample(Forgetful)
