import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.providers.masking import one_line

KEY = "Qz7+aB/cD9=eF_gH-1jK.lM2~nP3rS4"
PLAIN = "pr0vider-canary-7c1e55d0aa"


def shared(text, key, size=6):
    """The longest pieces of a key that a text repeats."""
    return [key[at : at + size] for at in range(len(key) - size + 1) if key[at : at + size].lower() in text.lower()]


def every_byte(text):
    return "".join(f"%{ord(c):02x}" for c in text)


FORMS = {
    "itself": lambda key: key,
    "upper": str.upper,
    "lower": str.lower,
    "tail": lambda key: key[5:],
    "head": lambda key: key[:9],
    "middle": lambda key: key[4:-4],
    "shortened": lambda key: f"{key[:8]}...{key[-4:]}",
    "starred": lambda key: f"{key[:8]}****{key[-3:]}",
    "quoted": lambda key: quote(key, safe=""),
    "quoted twice": lambda key: quote(quote(key, safe=""), safe=""),
    "quoted tail": lambda key: quote(key[3:], safe=""),
    "every byte": every_byte,
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 for addresses": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    "base64 without its padding": lambda key: base64.b64encode(key.encode()).decode().rstrip("="),
    "base64, shifted by one": lambda key: base64.b64encode(f"user1:x{key}".encode()).decode(),
    "base64, shifted by two": lambda key: base64.b64encode(f"user:xyz{key}!".encode()).decode(),
    "base64, in the middle": lambda key: base64.b64encode(key.encode()).decode()[5:19],
    "base64, quoted": lambda key: quote(base64.b64encode(key.encode()).decode(), safe=""),
}


@pytest.mark.parametrize("key", [KEY, PLAIN, "p@ss!wor#d:with$signs,123", "50%41ab%zzcdef"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize(
    "frame", ["{}", "Wrong: '{}' is not it.", '{{"key":"{}"}}', "https://h/p?key={}&x=1", "密钥{}错误"]
)
def test_no_form_of_a_key_gets_through(key, form, frame):
    said = one_line(frame.format(form(key)), [key], length=1000)
    before, _, after = frame.format("|").partition("|")
    assert said.endswith(after)
    # What stood before it may have gone with it, the key's own characters have not stayed.
    assert before.startswith(said.removesuffix(after).removesuffix("***"))
    assert "***" in said


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), min_size=6), st.data())
def test_no_six_characters_of_a_key_stay(key, data):
    start = data.draw(st.integers(0, len(key)))
    part = data.draw(st.sampled_from([str, str.upper, quote, every_byte]))(key[start:])
    if "://" not in key and "*" not in key:
        assert not shared(one_line(f"your key ({part}) is wrong", [key]).removeprefix("your key (")[:-10], key)


@pytest.mark.parametrize(
    ("text", "secrets", "said"),
    [
        ("Incorrect API key provided: KEY. Look at https://x.com/keys.", [KEY], "Incorrect API key provided: ***. Look at https://x.com/keys."),
        ("a KEY b KEY c", [KEY, PLAIN], "a *** b *** c"),
        ("KEY", [KEY, KEY[:10], KEY[4:]], "***"),
        ("the token is short", ["tok"], "the token is short"),
        ("the latest one", ["test"], "the la*** one"),
        ("the LATEST one", ["test"], "the LA*** one"),
        ("nothing of it", [KEY], "nothing of it"),
        ("İ KEY", [KEY], "İ ***"),
        ("100% of %zz", [KEY], "100% of %zz"),
        # Headers are secrets, too, but prose and addresses in them do not blot out every word they share.
        ("see https://docs.example.com/errors", ["https://app.example.com"], "see https://docs.example.com/errors"),
        ("from https://app.example.com", ["https://app.example.com"], "from ***"),
        ("my application failed", ["My Great Application"], "my application failed"),
        ("header Bearer qwertyuiop is wrong", ["Bearer qwertyuiop"], "header Bearer *** is wrong"),
        ("token qwertyui is wrong", ["Token qwertyuiop"], "token *** is wrong"),
    ],
)  # fmt: skip
def test_what_is_left(text, secrets, said):
    assert one_line(text.replace("KEY", KEY), secrets) == said


def test_a_key_of_another_beside_letters_of_another_script():
    assert one_line("密钥sk-abcdef123456请检查") == "密钥***请检查"


def test_a_long_body_full_of_pieces():
    said = one_line((PLAIN[:6] + " ") * 10_000 + PLAIN * 1000, [PLAIN])
    assert not shared(said, PLAIN)
    assert len(said) == 300
