import pytest

from llamafarm.errors import BadCallError
from llamafarm.server.formats.openai import Chat, Completions, Embeddings, Images
from llamafarm.server.formats.openai.requests import Wanted
from llamafarm.types import Operation
from tests.server.formats.openai.making import call, head

FORMATS = [Chat(), Completions(), Embeddings(), Images()]
EVERY = {
    "audio": {"voice": "a", "format": "wav"}, "frequency_penalty": 0.5, "function_call": "auto",
    "functions": [{"name": "f"}], "logit_bias": {"1": 2}, "logprobs": True, "max_completion_tokens": 9,
    "max_tokens": 9, "metadata": {"a": "b"}, "modalities": ["text"], "moderation": {"model": "m"}, "n": 2,
    "parallel_tool_calls": False, "prediction": {"type": "content", "content": "a"}, "presence_penalty": 0.5,
    "prompt_cache_key": "k", "prompt_cache_options": {"mode": "implicit"}, "prompt_cache_retention": "24h",
    "reasoning_effort": "low", "response_format": {"type": "text"}, "safety_identifier": "s", "seed": 7,
    "service_tier": "auto", "stop": ["a"], "store": False, "stream_options": {"include_usage": True},
    "temperature": 0.5, "tool_choice": "auto", "tools": [{"type": "function"}], "top_logprobs": 2, "top_p": 0.5,
    "user": "u", "verbosity": "low", "web_search_options": {}, "x_vendor": {"a": [1, None]}, "extra_body": {"g": 1},
}  # fmt: skip


def test_every_documented_parameter_and_unknown_ones_are_passed_on():
    body = {"messages": [{"role": "user", "content": "Hi", "x": 1}], **EVERY}
    made = Chat().read({"model": "m", "stream": True, **body}, head(**{"x-llamafarm-tags": "urgent"}))
    assert (made.operation, made.model, made.stream, made.user) == (Operation.CHAT, "m", True, "u")
    assert made.tags == {"urgent"}
    assert made.body == body


def test_tags_among_the_metadata_are_not_passed_on():
    made = Chat().read({"messages": [], "metadata": {"tags": ["a", "b"], "c": "d"}}, head())
    assert made.tags == {"a", "b"}
    assert made.body["metadata"] == {"c": "d"}


@pytest.mark.parametrize("options", [[], "all", {"include_usage": "yes"}, {"include_obfuscation": 1}])
def test_stream_options_of_another_kind_are_refused(options):
    with pytest.raises(BadCallError, match="stream_options"):
        Chat().read({"messages": [], "stream_options": options}, head())


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({}, Wanted()),
        ({"stream_options": None}, Wanted()),
        ({"stream_options": {"include_obfuscation": False}}, Wanted()),
        ({"stream_options": {"include_usage": True}}, Wanted(usage=True)),
        ({"functions": [{}]}, Wanted(functions=True)),
        ({"functions": [{}], "tools": [{}]}, Wanted()),
    ],
    ids=str,
)
def test_what_the_writing_needs_is_read(body, wanted):
    assert Wanted.of(call(**body)) == wanted
