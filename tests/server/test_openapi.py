"""The OpenAPI document: it lists what there is, holds together, and says of answers what is so."""

import json
import re

import aiohttp
import jsonschema
import msgspec
import pytest

from llamafarm.server.keys import Access
from llamafarm.server.openapi import document
from llamafarm.server.routes import routes
from llamafarm.testing.fake_server import answer, reply
from tests.server.conftest import one

HI = [{"role": "user", "content": "Hi"}]
PICTURE = {"created": 1, "data": [{"b64_json": "AA=="}]}
BODIES = {
    "/v1/chat/completions": {"messages": HI},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/images/generations": {"prompt": "a cat"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"model": "s", "max_tokens": 9, "messages": HI},
    "/v1/messages/count_tokens": {"model": "s", "messages": HI},
    "/admin/reload": {},
}


class _Nobody:
    """What the table of routes asks of a gateway: only its methods' names."""

    def __getattr__(self, name):
        return lambda *_: name


@pytest.fixture(scope="module")
def described():
    return json.loads(document())


def test_every_route_is_described_and_no_other(described):
    there = {(route.method, route.path.replace("/*", "/{name}")) for route in routes(_Nobody())}
    told = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert told == there


def test_what_needs_a_key_says_so(described):
    for route in routes(_Nobody()):
        operation = described["paths"][route.path.replace("/*", "/{name}")][route.method.lower()]
        assert bool(operation["security"]) == (route.access is not Access.OPEN), route.path
        assert ("401" in operation["responses"]) == (route.access is not Access.OPEN), route.path


def test_every_reference_leads_somewhere_and_every_part_is_used(described):
    told = set(re.findall(r'"#/components/(\w+/\w+)"', document().decode()))
    there = {f"{kind}/{name}" for kind, parts in described["components"].items() for name in parts}
    unreferenced = {"securitySchemes/bearer", "securitySchemes/api_key"}
    assert told - there == set()
    either = {part for part in there if part.startswith("responses/")}
    assert there - told - unreferenced - either == set()


def test_every_schema_is_one(described):
    for name, schema in described["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema({**schema, "$comment": name})


def test_its_examples_keep_its_own_schemas(described):
    for path, methods in described["paths"].items():
        for operation in methods.values():
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                assert complaints(described, content["schema"], content["example"]) == [], path


async def test_it_is_served(served):
    async with served.client.get("/openapi.json") as response:
        assert response.status == 200
        assert response.headers["content-type"] == "application/json"
        assert await response.read() == document()


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("well", [True, False])
async def test_an_answer_is_as_described(gateway, upstream, described, path, well):
    upstream.script = [reply(200, PICTURE) if "images" in path else answer("Hello")]
    target = "supports: [image, embedding]" if "images" in path or "embeddings" in path else ""
    async with gateway(one(upstream, target=target)) as process:
        body = BODIES[path] if well else {**BODIES[path], "model": 7}
        if path == "/admin/reload" and not well:
            process.file.write_text("strategies: 7\n")
        async with process.client.post(path, json=body) as response:
            content, status = await response.json(), response.status
            headers = response.headers
    assert status == (200 if well else 422 if path == "/admin/reload" else 400), content
    told = described["paths"][path]["post"]["responses"][str(status)]
    if "$ref" in told:
        told = described["components"]["responses"][told["$ref"].rpartition("/")[2]]
    assert complaints(described, told["content"]["application/json"]["schema"], content) == []
    needed = [name for name, header in told["headers"].items() if header.get("required")]
    assert [name for name in needed if name not in headers] == []
    assert {name.lower() for name in headers if name.lower().startswith("x-")} - set(told["headers"]) == set()


@pytest.mark.parametrize(("path", "name"), [("/admin/status", "Status"), ("/livez", "Probe"), ("/readyz", "Probe")])
async def test_what_operators_are_told_is_described_to_the_last_field(served, described, path, name):
    async with served.client.get(path) as response:
        content = await response.json()
    assert complaints(described, {"$ref": f"#/components/schemas/{name}"}, content) == []
    assert content.keys() == described["components"]["schemas"][name]["properties"].keys()


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/s", "/v1/models/nobody"])
@pytest.mark.parametrize("anthropic", [True, False])
async def test_models_and_their_errors_are_in_the_words_of_who_asks(served, described, path, anthropic):
    headers = {"anthropic-version": "2023-06-01"} if anthropic else {}
    async with served.client.get(path, headers=headers) as response:
        content = await response.json()
    kinds = {"/v1/models": "ModelList", "/v1/models/s": "Model", "/v1/models/nobody": "Error"}
    name = ("Anthropic" if anthropic else "OpenAI") + kinds[path]
    assert complaints(described, {"$ref": f"#/components/schemas/{name}"}, content) == []


async def test_a_query_of_very_many_fields_is_refused(served):
    query = "&".join(f"a{number}=1" for number in range(200))
    async with served.client.get(f"/v1/models?{query}", headers={"anthropic-version": "1"}) as response:
        content = await response.json()
    assert response.status == 400
    assert "more than 100 fields" in content["error"]["message"]


@pytest.mark.parametrize("method", ["TRACE", "QUERY", "DELETE", "PATCH"])
async def test_a_method_that_a_url_does_not_take_is_a_405_with_those_it_takes(served, method):
    async with aiohttp.ClientSession(served.urls[0]) as client, client.request(method, "/v1/models") as response:
        assert (response.status, response.headers["allow"]) == (405, "GET")


async def test_a_pictures_response_format_is_no_chats(gateway, upstream):
    upstream.script = [reply(200, PICTURE)]
    asked = {"prompt": "a cat", "response_format": "b64_json"}
    async with (
        gateway(one(upstream, target="supports: [image]")) as process,
        process.client.post("/v1/images/generations", json=asked) as response,
    ):
        assert response.status == 200, await response.text()
    assert upstream.requests[0].json["response_format"] == "b64_json"


def complaints(described, schema, value):
    """Say where a value breaks a schema of the document."""
    whole = {**schema, "components": described["components"]}
    return [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(value)]


def test_complaints_are_made(described):
    error = {"$ref": "#/components/schemas/OpenAIError"}
    assert complaints(described, error, {"error": {"message": 7}})
    assert msgspec.json.decode(document())["openapi"] == "3.1.0"
