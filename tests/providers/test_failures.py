import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.errors import (
    AttemptError,
    BadReplyError,
    BadRequestError,
    ContentPolicyError,
    ContextExceededError,
    CredentialsError,
    ModelMissingError,
    QuotaError,
    RateLimitError,
    StreamCutError,
    TransientError,
)
from llamafarm.providers.complaints import read_complaint
from llamafarm.providers.failures import Peer, classify, classify_inner

KEY = "sk-canary-7c1e55d0aa"
PEER = Peer("acme", "api.acme.com", "m-1", "ACME_KEY", (KEY,))


def error(message="", **fields):
    return {"error": {"message": message, **fields}}


def judge(status, body, headers=None):
    body = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return classify(status, headers or {}, body, PEER)


CASES = [
    # By status alone.
    (401, error("x"), CredentialsError),
    (402, error("x"), QuotaError),
    (403, error("x"), CredentialsError),
    (404, error("x"), ModelMissingError),
    (404, b"<html>", ModelMissingError),
    (405, b"", ModelMissingError),
    *[(status, error("x"), TransientError) for status in (408, 409, 425, 424, 498, 500, 502, 503, 504, 520, 524, 529)],
    (413, b"", ContextExceededError),
    (400, error("x"), BadRequestError),
    (400, b"", BadRequestError),
    (422, error("x"), BadRequestError),
    (415, error("x"), BadRequestError),
    (429, error("x"), RateLimitError),
    (429, b"", RateLimitError),
    (301, b"", BadReplyError),
    # A status that says enough is not overruled by words.
    (503, error("the context length is fine", code="context_length_exceeded"), TransientError),
    (401, error("maximum context length"), CredentialsError),
    # OpenAI.
    (
        400,
        error("This model's maximum context length is 8192 tokens", code="context_length_exceeded"),
        ContextExceededError,
    ),
    (400, error("flagged", code="content_policy_violation"), ContentPolicyError),
    (400, error("flagged", code="invalid_prompt", type="invalid_request_error"), ContentPolicyError),
    (400, error("max_tokens is too large: 9000", type="invalid_request_error", param="max_tokens"), BadRequestError),
    (429, error("You exceeded your current quota, please check your plan", code="insufficient_quota"), QuotaError),
    (
        429,
        error("Rate limit reached for gpt on tokens per min (TPM)", type="tokens", code="rate_limit_exceeded"),
        RateLimitError,
    ),
    (404, error("The model `x` does not exist", code="model_not_found"), ModelMissingError),
    # Azure.
    (
        400,
        error("The response was filtered due to Azure's content management policy", code="content_filter"),
        ContentPolicyError,
    ),
    # Groq.
    (413, error("Request too large for model on tokens per minute", code="rate_limit_exceeded"), RateLimitError),
    # A code that contradicts its status says less than the words.
    (400, error("maximum context length is 8192 tokens", code="server_error"), ContextExceededError),
    (400, error("maximum context length is 8192 tokens", code="rate_limit_exceeded"), ContextExceededError),
    (400, error("no such thing", code="server_error"), BadRequestError),
    (
        400,
        error("Please reduce the length of the messages or completion.", type="invalid_request_error"),
        ContextExceededError,
    ),
    # Together: the context comes before the credentials.
    (403, error("`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 80125"), ContextExceededError),
    (403, error("This model's maximum context length is 8193 tokens"), ContextExceededError),
    (403, error("Invalid API key provided"), CredentialsError),
    (403, error("no access", code="model_not_found"), CredentialsError),
    # Mistral: flat.
    (
        400,
        {"object": "error", "message": "Invalid model: foo", "type": "invalid_model", "code": "1500"},
        ModelMissingError,
    ),
    (429, {"object": "error", "message": "Requests rate limit exceeded", "type": "rate_limited"}, RateLimitError),
    (
        400,
        {"object": "error", "message": "too large for model with 32768 maximum context length"},
        ContextExceededError,
    ),
    (422, {"object": "error", "message": {"detail": [{"loc": ["body", "top_p"], "msg": "too big"}]}}, BadRequestError),
    # vLLM: a code that is a number, and the old flat shape.
    (
        400,
        error("This model's maximum context length is 1024 tokens.", type="BadRequestError", code=400),
        ContextExceededError,
    ),
    (
        400,
        {"object": "error", "message": "You passed 9 input tokens and requested 9 output tokens", "code": 400},
        ContextExceededError,
    ),
    (404, error("The model `x` does not exist.", type="NotFoundError", code=404), ModelMissingError),
    # llama-server.
    (400, error("the request exceeds it", type="exceed_context_size_error", code=400, n_ctx=512), ContextExceededError),
    (503, error("Loading model", type="unavailable_error", code=503), TransientError),
    # TGI: flat.
    (
        422,
        {"error": "`inputs` must have less than 1024 tokens. Given: 2048", "error_type": "validation"},
        ContextExceededError,
    ),
    (422, {"error": "`top_p` must be > 0.0", "error_type": "validation"}, BadRequestError),
    (424, {"error": "Request failed during generation", "error_type": "generation"}, TransientError),
    (429, {"error": "Model is overloaded", "error_type": "overloaded"}, RateLimitError),
    # Gemini: in a list; a bad key under 400; words about billing under every 429.
    (
        400,
        [error("API key not valid. Please pass a valid API key.", code=400, status="INVALID_ARGUMENT")],
        CredentialsError,
    ),
    (
        429,
        [error("You exceeded your current quota, please check billing. Please retry in 32s.", code=429)],
        RateLimitError,
    ),
    (
        400,
        [error("The input token count (9) exceeds the maximum number of tokens allowed", code=400)],
        ContextExceededError,
    ),
    # xAI.
    (
        400,
        {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***"},
        CredentialsError,
    ),
    (400, {"code": "x", "error": "This model's maximum prompt length is 131072"}, ContextExceededError),
    # DeepSeek.
    (402, error("Insufficient Balance"), QuotaError),
    (400, error("Content Exists Risk"), ContentPolicyError),
    # Spending.
    (429, error("You have reached your specified API usage limits: monthly spend limit"), QuotaError),
    (429, error("too many", code="billing_hard_limit_reached"), QuotaError),
    (429, error(code="rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}), QuotaError),
    (429, error(code="rate_limit_error", details={"error_code": "too_fast"}), RateLimitError),
    (429, error(code="rate_limit_error", details=[{"error_code": "enforced_spend_limit_reached"}]), RateLimitError),
    (429, error(code="rate_limit_error", details={"error_code": 7}), RateLimitError),
]


@pytest.mark.parametrize(("status", "body", "expected"), CASES)
def test_classes(status, body, expected):
    assert type(judge(status, body)) is expected


def test_what_it_says():
    failure = judge(401, error("Incorrect API key"))
    assert str(failure) == "acme (api.acme.com) answered 401: Incorrect API key; check ACME_KEY"
    assert (failure.upstream_status, failure.code, failure.retry_after) == (401, None, None)
    failure = judge(429, error("slow", code="rate_limit_exceeded", type="tokens"), {"retry-after": "3"})
    assert (failure.code, failure.retry_after) == ("rate_limit_exceeded", 3)
    assert str(judge(500, b"")) == "acme (api.acme.com) answered 500: no reason given; it may pass: try again later"
    assert str(failure).endswith("slow; it asks for a pause of 3 s")
    assert str(judge(429, error("slow"))).endswith("slow; ask less often, or have the limit of ACME_KEY raised")
    assert "'502 Bad Gateway'" in str(judge(502, b"<html><title>502 Bad Gateway</title></html>"))
    assert str(judge(422, {"detail": [{"loc": ["body", "n"], "msg": "too big"}]})).endswith("422: n: too big")


def test_what_is_missing_may_be_the_address():
    peer = dataclasses.replace(PEER, path="/v1/embeddings")
    check = "check the model's name 'm-1' and base_url"
    for body in (error("no"), {"detail": "Not Found"}):
        said = str(classify(404, {}, msgspec.json.encode(body), peer))
        assert said.endswith(f"; it has no /v1/embeddings, or no such model: {check}")
    for body in (error("the model m-1 is not there"), error("no", code="model_not_found")):
        said = str(classify(404, {}, msgspec.json.encode(body), peer))
        assert said.endswith(f"; {check}")
        assert "/v1/embeddings" not in said


def test_a_code_in_the_details_is_the_one_it_tells():
    failure = judge(429, error(code="rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}))
    assert failure.code == "enforced_spend_limit_reached"


USED_UP = {"x-ratelimit-reset-requests": "8.64s", "x-ratelimit-remaining-requests": "0"}
PLENTY = {**USED_UP, "x-ratelimit-remaining-requests": "9999"}


@pytest.mark.parametrize(
    ("status", "code", "headers", "seconds"),
    [
        (429, "rate_limit_exceeded", USED_UP, 8.64),
        (498, "over_capacity", USED_UP, 8.64),
        (429, "rate_limit_exceeded", PLENTY, None),
        (498, "over_capacity", PLENTY, None),
        (500, "server_error", PLENTY, None),
        (500, "server_error", USED_UP, None),
        (429, "insufficient_quota", USED_UP, None),
        (401, "invalid_api_key", USED_UP, None),
        (500, "server_error", {**USED_UP, "retry-after": "3"}, 3),
        (429, "rate_limit_exceeded", {**USED_UP, "retry-after": "3"}, 3),
        (429, "rate_limit_exceeded", {**USED_UP, "retry-after": "soon"}, 8.64),
    ],
)
def test_how_long_to_wait(status, code, headers, seconds):
    assert judge(status, error("x", code=code), headers).retry_after == seconds


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        f"key {KEY}\r\nX-Evil: 1",
        f"{KEY[:12]}…",
        f"{KEY[:10]}***",
        "sk-proj-abcdef************wxyz",
        "Bearer abcdef0123456789",
        "AIzaSyDabcdefghijklmnop",
        "x" * 290 + KEY,
        f"x{KEY}x" * 50,
    ],
)
def test_no_secret_is_repeated(text):
    failure = judge(400, error(text, code=text))
    told = f"{failure}{failure.code}"
    for part in (KEY, KEY[:9], "wxyz", "abcdef"):
        assert part not in told
    assert "\n" not in told
    assert len(str(failure)) < 420


@pytest.mark.parametrize(
    ("body", "expected", "begun"),
    [
        (error("x", code="server_error"), TransientError, StreamCutError),
        (error("x", code=503), TransientError, StreamCutError),
        (error("x", code="429"), RateLimitError, StreamCutError),
        (
            error(code="rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}),
            QuotaError,
            QuotaError,
        ),
        (error("x", type="invalid_request_error"), BadRequestError, BadRequestError),
        (error("maximum context length is 9"), ContextExceededError, ContextExceededError),
        (error("x", code="invalid_api_key"), CredentialsError, CredentialsError),
        (error("x", code="model_not_found"), ModelMissingError, ModelMissingError),
        (error("x"), BadReplyError, StreamCutError),
        (
            {"error": "server busy, please try again.  maximum pending requests exceeded"},
            TransientError,
            StreamCutError,
        ),
        ({"error": "The service is temporarily unavailable"}, TransientError, StreamCutError),
        ({"error": "you have reached your weekly usage limit"}, QuotaError, QuotaError),
        ({"error": "Rate limit reached: 30 requests per minute"}, RateLimitError, StreamCutError),
        (error("top_p is wrong, try again", type="invalid_request_error"), BadRequestError, BadRequestError),
        ({"error": True}, BadReplyError, StreamCutError),
    ],
)
def test_errors_inside_an_answer(body, expected, begun):
    failure = classify_inner(read_complaint(body), PEER)
    assert type(failure) is expected
    assert failure.upstream_status == 200
    assert type(classify_inner(read_complaint(body), PEER, begun=True)) is begun


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "code", "detail", "type"]), inner)
    ),
)


@given(st.integers(300, 999), st.one_of(st.binary(), JSON.map(msgspec.json.encode)))
def test_no_body_crashes_it(status, body):
    failure = classify(status, {}, body, PEER)
    assert isinstance(failure, AttemptError)
    assert "\n" not in str(failure)
