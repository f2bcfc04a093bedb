import pytest

from llamafarm.planning.fetching import asked_fetches

PICTURE = "http://192.0.2.1/a.png"


def parts(*content):
    return {
        "messages": [{"role": "system", "content": "Look at http://192.0.2.1/"}, {"role": "user", "content": content}]
    }


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (parts({"type": "image_url", "image_url": {"url": PICTURE}}), "image_url"),
        (parts({"type": "image_url", "image_url": PICTURE}), "image_url"),
        (parts({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}), "image_url"),
        (parts({"type": "image_url", "image_url": {"url": " HTTPS://192.0.2.1/"}}), "image_url"),
        (parts({"type": "video_url", "video_url": {"url": PICTURE}}), "video_url"),
        (parts({"type": "audio_url", "audio_url": {"url": PICTURE}}), "audio_url"),
        (parts({"type": "file", "file": {"file_url": PICTURE}}), "file_url"),
        (parts({"type": "file", "file": {"file_data": PICTURE}}), "file_data"),
        (parts({"type": "image", "source": {"type": "url", "url": PICTURE}}), "source"),
        (parts({"type": "text", "text": "and"}, {"type": "images", "images": [[PICTURE]]}), "images"),
        ({"input": [{"image": PICTURE}]}, "image"),
        ({"tools": [{"type": "web_search"}]}, "the tool web_search"),
        ({"tools": [{"type": "mcp", "server_url": PICTURE}]}, "the tool mcp"),
        ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"mcp_servers": [{"url": PICTURE}]}, "mcp_servers"),
        ({"kv_transfer_params": {"remote_host": "10.0.0.1"}}, "kv_transfer_params"),
        ({"bootstrap_host": "10.0.0.1"}, "bootstrap_host"),
        ({"extra": {"deep": [{"server_address": "10.0.0.1:9"}]}}, "server_address"),
        ({"adapter": "s3://bucket/adapter"}, "adapter"),
        ({"messages": [{"role": "user", "content": "see", "images": [PICTURE]}]}, "images"),
    ],
)
def test_what_whoever_answers_would_go_and_get_is_named(body, named):
    assert list(asked_fetches(body)) == [named]


@pytest.mark.parametrize(
    "body",
    [
        parts({"type": "text", "text": PICTURE}),
        parts({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}),
        parts({"type": "image_url", "image_url": {"url": "DATA:image/png;base64,aGk="}}),
        parts({"type": "input_audio", "input_audio": {"data": "aHR0cHM6", "format": "wav"}}),
        parts(PICTURE, None, 7),
        {"messages": [{"role": "user", "content": PICTURE}], "tools": [{"type": "function"}, "odd"]},
        {"input": [PICTURE], "prompt": PICTURE, "tools": None, "web_search_options": None},
        {"messages": "odd"},
        {"web_search_options": None, "mcp_servers": [], "plugins": [], "enable_search": False, "container": None},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"$schema": PICTURE}}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"$id": PICTURE}}}, "stop": [PICTURE]},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": {"url": PICTURE}}}]}]},
        {"temperature": 1, "options": {"num_ctx": 5}, "keep_alive": "5m", "lora": [{"id": 0}], "reasoning_effort": "x"},
    ],
)
def test_texts_and_things_given_as_they_are_are_not(body):
    assert not list(asked_fetches(body))
