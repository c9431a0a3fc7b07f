"""Ways on from tokens that are kept, of paths that go on, end, are lost, or were given up."""

import math

from memo_dist.recalling.exact import Path
from memo_dist.recalling.ways import ways_on


def path(tokens: list[int], weight: float, stop: str = "") -> Path:
    counts = [*range(1, len(tokens) + 1), *([9] if stop == "end_of_document" else [])]
    return Path(start=0, context=[], tokens=tokens, counts=counts, weight=math.log(weight), stop=stop)


def say(tokens: list[int]) -> str:
    return " ".join(map(str, tokens))


def test_ways_are_those_of_paths_that_say_how_they_go_on() -> None:
    """Of a beam of one, rivals are given up at once: some stop just where the kept tokens do."""
    paths = [
        path([1, 2, 3], 0.5),
        path([1, 2, 4], 0.25),
        path([1, 2], 0.25, "end_of_document"),
        path([1, 2], 0.5),
        path([1, 2], 0.5, "lost"),
        path([7], 0.5),
    ]
    found = ways_on([1, 2], paths, say)
    assert [(way.count, round(way.share, 6)) for way in found] == [(3, 0.5), (3, 0.25), (9, 0.25)]
    assert ways_on([1, 2, 3], paths, say) == []
    assert ways_on([5], paths, say) == []
