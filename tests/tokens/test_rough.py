import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from llamafarm.tokens import estimate, upper_bound


def test_prose_is_a_token_for_four_characters_and_other_scripts_one_for_each():
    assert estimate("abcd" * 10) == 10
    assert estimate("abcde") == 2
    assert estimate("中文字符") == 4
    assert estimate("") == upper_bound("") == 0


@given(st.text())
def test_the_estimate_is_never_above_the_bound(text):
    assert estimate(text) <= upper_bound(text)


def test_importing_it_loads_no_tokenizer():
    code = "import sys, llamafarm.tokens as t; t.estimate('x'); print([m for m in ('tokenizers', 'tiktoken') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
