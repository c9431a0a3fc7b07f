"""What is read of a reply: the object in it, texts, and nothing that is only nearly one."""

import pytest

from memo_dist.endpoint.replies import listed, reply_object, text_in, texts_in, truth_in


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        'Here:\n```json\n{"a": 1}\n```\nDone.',
        '<think>perhaps {"a": 2}?</think>{"a": 1}',
        '\n\n  {"a":\n1}  ',
    ],
)
def test_the_outermost_object_is_found(text: str) -> None:
    assert reply_object(text) == {"a": 1}


@pytest.mark.parametrize(
    "text", ["", "no", "}{", '{"a": 1', "{'a': 1}", '{"a": 1} or {"a": 2}', '{"a":' + "[" * 5000 + "}"]
)
def test_what_is_no_json_is_no_reply(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        reply_object(text)


def test_texts_are_texts() -> None:
    row = {"a": " x ", "b": 7, "c": "", "d": "\ud800", "e": ["y", 3, "", "\ud800"], "f": True}
    assert text_in(row, "a") == "x"
    assert text_in(row, "b") == "7"
    for name in ("c", "d", "e", "f", "g"):
        with pytest.raises(ValueError, match=r"."):
            text_in(row, name)
    assert texts_in(row, "e") == ("y",)
    assert texts_in(row, "a") == ()


def test_lists_and_truths_are_what_they_say() -> None:
    assert listed({"a": [{"b": 1}]}, "a") == [{"b": 1}]
    for wrong in ({}, {"a": {}}, {"a": ["b"]}):
        with pytest.raises(ValueError, match="no list of objects"):
            listed(wrong, "a")
    assert truth_in({"a": True}, "a")
    assert not truth_in({}, "a")
    with pytest.raises(ValueError, match="expected true or false"):
        truth_in({"a": "yes"}, "a")
