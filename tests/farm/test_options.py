"""What a caller says about a request besides its content."""

import pytest

from llamafarm.errors import BadCallError
from llamafarm.farm import make_call
from llamafarm.types import Operation


def tags(content=None, **options):
    return make_call({"messages": [], **(content or {})}, options).tags


@pytest.mark.parametrize("given", [["urgent", "eu-only"], "urgent, eu-only", "urgent,eu-only,"])
def test_tags_in_metadata_tag_the_request_wherever_it_is(given):
    both = {"urgent", "eu-only"}
    metadata = {"tags": given, "team": "support"}
    assert tags(metadata=metadata) == both
    assert tags(extra_body={"metadata": metadata}) == both
    assert tags({"metadata": metadata}) == both


def test_tags_from_everywhere_add_up():
    found = tags(tags=("a", "b"), metadata={"tags": ["c"]}, extra_body={"metadata": {"tags": "d"}})
    assert found == {"a", "b", "c", "d"}


def test_a_text_of_tags_is_not_taken_letter_by_letter():
    assert tags(tags="urgent, eu-only") == {"urgent", "eu-only"}


def test_a_listed_tag_is_taken_as_it_is():
    assert tags(tags=["a, b"]) == {"a, b"}


@pytest.mark.parametrize("metadata", [None, {}, {"tags": None}, {"tags": ""}, {"tags": []}, {"team": "x"}])
def test_metadata_without_tags(metadata):
    assert tags(tags=["a"], metadata=metadata) == {"a"}
    assert tags(tags=["a"], extra_body={"metadata": metadata}) == {"a"}


@pytest.mark.parametrize("wrong", [5, [1], {"urgent": True}, [["a"]]])
def test_tags_that_are_no_texts_are_refused(wrong):
    for options in ({"metadata": {"tags": wrong}}, {"extra_body": {"metadata": {"tags": wrong}}}, {"tags": wrong}):
        with pytest.raises(BadCallError, match="list of texts"):
            tags(**options)


def test_metadata_that_is_no_object_is_refused():
    with pytest.raises(BadCallError, match="metadata is 'urgent'"):
        tags(extra_body={"metadata": "urgent"})


def test_a_user_goes_along_and_the_callers_own_words_do_not():
    options = {"user": "u", "metadata": {"team": "x"}, "tags": ["t"], "model": "m", "extra_body": {"top_k": 3}}
    call = make_call({"input": ["a"]}, options, operation=Operation.EMBEDDING)
    assert call.body == {"input": ["a"], "user": "u", "top_k": 3}
    assert (call.model, call.user, call.metadata) == ("m", "u", {"team": "x"})
