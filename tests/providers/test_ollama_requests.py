import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.errors import UntranslatableError
from llamafarm.providers.failures import Peer
from llamafarm.providers.ollama.request import request_of
from llamafarm.spec.components import OLLAMA_CONTEXT, AppConfig
from llamafarm.types import Attempt, Call, Operation, Target

PEER = Peer("ollama", "localhost:11434")
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CLOCK = {"type": "function", "function": {"name": "clock"}}


def request(operation=Operation.CHAT, *, beginning="", streamed=False, target=None, **body):
    given = {"model": "m", **({"messages": [{"role": "user", "content": "Hi"}]} if operation == "chat" else {}), **body}
    target = target or Target("there", "ollama", "ollama", "m", context_window=8192)
    attempt = Attempt(Call(given, operation), target, given, time.monotonic() + 5, beginning=beginning)
    before = repr(given)
    path, written = request_of(attempt, PEER, streamed=streamed)
    assert repr(given) == before, "the attempt may be made again"
    return path, written, attempt.notes


def test_a_plain_chat():
    assert request() == (
        "api/chat",
        {
            "model": "m",
            "stream": False,
            "truncate": False,
            "shift": False,
            "options": {"num_ctx": 8192},
            "messages": [{"role": "user", "content": "Hi"}],
        },
        [],
    )


def test_the_window_is_always_sent():
    target = Target("there", "ollama", "ollama", "m")
    for operation, body in (("chat", {}), ("completion", {"prompt": "a"}), ("embedding", {"input": "a"})):
        _, written, _ = request(Operation(operation), target=target, **body)
        assert written["options"]["num_ctx"] == OLLAMA_CONTEXT
        assert written["truncate"] is False


def test_sampling_parameters_are_options():
    given = {
        "temperature": 0,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "seed": 7,
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
    }
    _, written, notes = request(**given, max_tokens=50, max_completion_tokens=20, stop="END", keep_alive="10m")
    assert written["options"] == {**given, "num_predict": 20, "stop": ["END"], "num_ctx": 8192}
    assert written["keep_alive"] == "10m"
    assert notes == []
    assert request(stop=["a", "b"])[1]["options"]["stop"] == ["a", "b"]


@pytest.mark.parametrize(("layers", "sent"), [(-1, {}), (0, {"num_gpu": 0}), (20, {"num_gpu": 20}), (None, {})])
def test_how_the_model_is_loaded_is_the_files_word(layers, sent):
    settings = AppConfig(gpu_layers=layers, cpu_threads=3)
    target = Target("there", "ollama", "ollama", "m", context_window=100, settings=settings)
    _, written, notes = request(target=target, options={"num_ctx": 9, "num_thread": 9, "mirostat": 1})
    assert written["options"] == {"num_ctx": 100, "num_thread": 3, "mirostat": 1, **sent}
    (note,) = notes
    assert "num_ctx" in note
    assert "num_thread" in note


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, "json"),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}, {"type": "array"}),
    ],
)
def test_formats(wanted, sent):
    assert request(response_format=wanted)[1].get("format") == sent


@pytest.mark.parametrize(
    "wanted", [{"type": "grammar"}, "json", {"type": "json_schema"}, {"type": "json_schema", "json_schema": {}}]
)
def test_formats_it_does_not_know_are_refused(wanted):
    with pytest.raises(UntranslatableError, match="response_format"):
        request(response_format=wanted)


@pytest.mark.parametrize(
    ("choice", "sent", "noted"),
    [
        (None, [TOOL, CLOCK], ""),
        ("auto", [TOOL, CLOCK], ""),
        ("none", None, ""),
        ("required", [TOOL, CLOCK], "the model decides"),
        ({"type": "function", "function": {"name": "clock"}}, [CLOCK], "offered clock alone"),
        ({"type": "allowed_tools"}, [TOOL, CLOCK], "the model decides"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CLOCK]}}, [CLOCK], ""),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [CLOCK]}}, [CLOCK], "model decides"),
        ({"type": "none"}, None, ""),
        ({"type": "any"}, [TOOL, CLOCK], "the model decides"),
        ({"type": "tool", "name": "clock"}, [CLOCK], "offered clock alone"),
    ],
)
def test_tools(choice, sent, noted):
    _, written, notes = request(tools=[TOOL, CLOCK], tool_choice=choice)
    assert written.get("tools") == sent
    assert [noted in note for note in notes] == ([True] if noted else [])


def test_functions_of_old_are_tools():
    _, written, notes = request(functions=[TOOL["function"]], function_call="auto")
    assert written["tools"] == [TOOL]
    assert notes == []


@pytest.mark.parametrize(
    ("given", "sent", "noted"),
    [
        ({}, None, False),
        ({"reasoning_effort": "none"}, False, False),
        ({"reasoning_effort": "minimal"}, "low", True),
        ({"reasoning_effort": "medium"}, "medium", False),
        ({"reasoning_effort": "xhigh"}, "max", True),
        ({"reasoning_effort": "colossal"}, None, True),
        ({"reasoning_effort": "high", "think": True}, True, False),
    ],
)
def test_reasoning(given, sent, noted):
    _, written, notes = request(**given)
    assert written.get("think") == sent
    assert bool(notes) is noted


def test_what_it_does_not_take_is_left_out_and_said():
    left = {"logit_bias": {"5": 1}, "user": "u", "parallel_tool_calls": False, "metadata": {"a": "b"}, "made_up": 1}
    _, written, notes = request(**left, store=False, service_tier=None, n=1, stream=True, stream_options={"a": 1})
    assert written.keys() == request()[1].keys()
    assert notes == [f"Ollama does not take {name}: it was left out" for name in left]


def test_log_probabilities():
    assert request(logprobs=True, top_logprobs=3)[1].items() >= {"logprobs": True, "top_logprobs": 3}.items()
    _, written, _ = request(Operation.COMPLETION, prompt="a", logprobs=2)
    assert written.items() >= {"logprobs": True, "top_logprobs": 2}.items()
    assert "logprobs" not in request(logprobs=False)[1]


@pytest.mark.parametrize(
    ("operation", "body", "said"),
    [
        ("chat", {"n": 2}, "one answer a request, and n is 2"),
        ("chat", {"options": [1]}, "options are not an object"),
        ("completion", {"prompt": "a", "best_of": 3}, "best_of is 3"),
        ("completion", {"prompt": ["a", "b"]}, "one text a request"),
        ("completion", {"prompt": [1, 2]}, "one text a request"),
        ("embedding", {"input": [1, 2]}, "embeds texts"),
        ("embedding", {"input": None}, "embeds texts"),
        ("image", {"prompt": "a cat"}, "not asked for pictures"),
    ],
)
def test_what_cannot_be_done_is_refused(operation, body, said):
    with pytest.raises(UntranslatableError, match=said):
        request(Operation(operation), **body)


def test_a_beginning_is_a_last_message_of_the_models():
    asked = {"role": "user", "content": "Count"}
    assert request(beginning="One, two")[1]["messages"][1:] == [{"role": "assistant", "content": "One, two"}]
    _, written, _ = request(messages=[asked, {"role": "assistant", "content": "One,"}], beginning=" two")
    assert written["messages"][1:] == [{"role": "assistant", "content": "One, two"}]
    assert request(Operation.COMPLETION, prompt="Count: ", beginning="one")[1]["prompt"] == "Count: one"


def test_completions():
    path, written, notes = request(Operation.COMPLETION, prompt=["def f("], streamed=True, echo=True)
    assert path == "api/generate"
    assert written["prompt"] == "def f("
    assert written["raw"] is True
    assert written["stream"] is True
    assert notes == ["Ollama does not take echo: it was left out"]
    _, written, _ = request(Operation.COMPLETION, prompt="a", suffix="z")
    assert written["suffix"] == "z"
    assert "raw" not in written, "only the model's template knows where a suffix goes"
    assert request(Operation.COMPLETION, prompt="a", raw=False)[1]["raw"] is False
    assert "left out" in request(Operation.COMPLETION, prompt="a", reasoning_effort="low")[2][0]


def test_embeddings():
    path, written, notes = request(Operation.EMBEDDING, input="a", dimensions=2, encoding_format="float", user="u")
    assert path == "api/embed"
    assert written == {
        "model": "m",
        "input": ["a"],
        "dimensions": 2,
        "truncate": False,
        "options": {"num_ctx": 8192},
    }
    assert notes == ["Ollama does not take user: it was left out"]


NAMES = st.sampled_from(
    [
        *("temperature", "stop", "tools", "tool_choice", "functions", "response_format", "max_tokens", "n", "options"),
        *("max_completion_tokens", "think", "reasoning_effort", "prompt", "suffix", "input", "logprobs", "x"),
    ]
)
VALUES = st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


@given(st.sampled_from(list(Operation)), st.dictionaries(NAMES, VALUES | st.just({"type": "text"})))
def test_whatever_is_asked_is_sent_noted_or_refused(operation, body):
    try:
        _, written, notes = request(operation, **body)
    except UntranslatableError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert "x" not in written
        assert written["truncate"] is False
        assert body.get("x") in (None, False, "", []) or "Ollama does not take x: it was left out" in notes
    assert "\n" not in refusal
