from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.providers.retry_after import duration, reset_hint, retry_after

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7.0),
        ({"x-ratelimit-reset-requests": "6m0s", "retry-after": "3"}, 3.0),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}, None),
    ],
)
def test_what_is_asked(headers, seconds):
    assert retry_after(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


def limits(**kinds):
    """Give the headers of limits by kind, each as its reset and what is left, if it says."""
    headers = {}
    for kind, (reset, left) in kinds.items():
        headers[f"x-ratelimit-reset-{kind}"] = reset
        if left is not None:
            headers[f"x-ratelimit-remaining-{kind}"] = left
    return headers


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        (limits(requests=("1m3s", None)), 63.0),
        (limits(tokens=("7.66s", None), requests=("2m59.56s", None)), 7.66),
        (limits(tokens=("7.66s", "5000"), requests=("2m", "0")), 120.0),
        (limits(tokens=("7.66s", "0"), requests=("2m", "0")), 120.0),
        (limits(tokens=("7.66s", "0"), requests=("2m", None)), 7.66),
        (limits(tokens=("7.66s", "5000"), requests=("2m", None)), 120.0),
        (limits(tokens=("7.66s", "5000"), requests=("8.64s", "9999")), None),
        (limits(tokens=("7.66s", "many")), 7.66),
        (limits(tokens=("soon", "0"), requests=("2m", "1")), None),
        ({"x-ratelimit-reset": str(int((NOW + 5) * 1000))}, 5.0),
        ({"x-ratelimit-reset": str(int((NOW + 5) * 1000)), "x-ratelimit-remaining": "0"}, 5.0),
        ({"x-ratelimit-reset": str(int((NOW + 5) * 1000)), "x-ratelimit-remaining": "3"}, None),
        ({"retry-after": "3"}, None),
    ],
)
def test_what_is_hinted(headers, seconds):
    assert reset_hint(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120ms", 0.12), ("1h2m", 3720.0), ("1d", 86400.0), ("12", 12.0), (str(NOW + 4), 4.0), ("1x", None), ("s", None)],
)
def test_durations(text, seconds):
    assert duration(text, NOW) == (None if seconds is None else pytest.approx(seconds))


NAMES = ["retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-remaining"]


@given(st.dictionaries(st.sampled_from(NAMES), st.text()))
def test_no_header_crashes_it(headers):
    for seconds in (retry_after(headers, NOW), reset_hint(headers, NOW)):
        assert seconds is None or seconds >= 0
