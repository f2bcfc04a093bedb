import pytest

from llamafarm.transport import Endpoint


@pytest.mark.parametrize(
    ("base_url", "url", "place"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1/models", "api.openai.com"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/models", "api.openai.com"),
        ("http://localhost:8000", "http://localhost:8000/models", "localhost:8000"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1/models", "[::1]:8080"),
        ("HTTPS://API.Example.com:443/v1", "https://api.example.com/v1/models", "api.example.com"),
        (
            "https://x.azure.com/openai/deployments/d?api-version=2026-01-01",
            "https://x.azure.com/openai/deployments/d/models?api-version=2026-01-01",
            "x.azure.com",
        ),
        ("unix:/run/llama.sock", "http://localhost/models", "/run/llama.sock"),
        ("unix:///run/llama.sock:/v1", "http://localhost/v1/models", "/run/llama.sock"),
    ],
)
def test_join(base_url, url, place):
    endpoint = Endpoint.parse(base_url).join("models")
    assert endpoint.url == url
    assert endpoint.place == place


def test_what_is_shown_has_no_query():
    assert Endpoint.parse("https://x.com/v1?key=secret").join("models").shown == "https://x.com/v1/models"
    assert Endpoint.parse("unix:/s:/v1").shown == "unix:/s:/v1"


@pytest.mark.parametrize(
    ("base_url", "says"),
    [
        ("api.openai.com/v1", "is not a URL"),
        ("ftp://x.com", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://user:pass@x.com/v1", "user name or password"),
        ("https://x.com:99999/v1", "the port"),
        ("https://x.com:eighty/v1", "the port"),
        ("https://x.com/v1\r\nhost: y", "control characters"),
        ("http://[::1/v1", "brackets"),
        ("unix:run/llama.sock", "does not name a socket"),
    ],
)
def test_what_is_wrong_is_said(base_url, says):
    with pytest.raises(ValueError, match=says) as caught:
        Endpoint.parse(base_url)
    assert "pass@" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_looks_like_a_key_in_a_path_is_not_shown():
    endpoint = Endpoint.parse("https://gw.example/acc0unt/tok-4f9a77c2d1e0b355/openai/v1?k=1")
    assert endpoint.shown == "https://gw.example/acc0unt/***/openai/v1"
    assert "tok-4f9a77c2d1e0b355" in endpoint.url
    assert (
        Endpoint.parse("https://x.example/compatibility-api/v1beta").shown
        == "https://x.example/compatibility-api/v1beta"
    )
