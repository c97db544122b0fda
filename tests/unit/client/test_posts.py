"""Slugs: which are tried, in which order, and what a refusal means."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from namestore import errors
from namestore.client.slugs import fresh_sha, looks_like_sha, slug_candidates
from tests.unit.client.fake_network import Scene, taken

Stage = Callable[..., Scene]


@pytest.fixture(params=("blocking", "asyncio"))
def scene(request: pytest.FixtureRequest) -> Scene:
    made = Scene(request.param, nodes=1)
    numbers = count()
    made.session.fresh_sha = lambda: f"{next(numbers):040x}"
    return made


def tried(scene: Scene) -> list[str]:
    return [sent.request.name for sent in scene.network.of("Register")]


def refuse(scene: Scene, times: int) -> None:
    scene.nodes["a:1"].script = [taken] * times


@pytest.mark.parametrize(
    ("slug", "expected"),
    (
        ("a" * 40, True),
        ("0123456", True),
        ("012345", False),
        ("a" * 41, False),
        ("0123456A", False),
        ("hello-world", False),
        ("defaced\n", False),
        ("", False),
    ),
)
def test_looks_like_sha_is_7_to_40_lower_case_hex_digits(slug: str, expected: bool) -> None:
    """Exactly what git writes, in full or abbreviated."""
    assert looks_like_sha(slug) is expected


def test_fresh_sha_is_a_new_sha_each_time() -> None:
    """A generated slug has 40 hexadecimal digits and does not repeat."""
    drawn = {fresh_sha() for _ in range(100)}
    assert len(drawn) == 100
    assert all(len(sha) == 40 and looks_like_sha(sha) for sha in drawn)


def test_short_candidates_grow_digit_by_digit_then_start_anew() -> None:
    """Abbreviations of one SHA from 7 to 40 digits; after them those of the next."""
    shas = iter(("a" * 40, "b" * 40))
    made = list(slug_candidates(None, short=True, attempts=36, generate=lambda: next(shas)))
    assert [len(slug) for slug in made] == [*range(7, 41), 7, 8]
    assert made[-1] == "b" * 8


def test_no_slug_takes_a_generated_sha(scene: Scene) -> None:
    """The record's name is the permalink: the prefix and a whole SHA."""
    record = scene.register_slug("post:", owner="anonymous")
    assert record.name == "post:" + "0" * 40
    assert record.owner == "anonymous"


def test_a_refused_sha_is_regenerated_under_a_request_of_its_own(scene: Scene) -> None:
    """Each slug that is tried is another request."""
    refuse(scene, 2)
    record = scene.register_slug("post:")
    assert record.name == f"post:{2:040x}"
    assert tried(scene) == [f"post:{n:040x}" for n in range(3)]
    assert len({sent.request.request_id for sent in scene.network.of("Register")}) == 3


def test_attempts_bound_the_search(scene: Scene) -> None:
    """After `attempts` refusals the search ends in an error."""
    refuse(scene, 99)
    with pytest.raises(errors.SlugsExhausted, match="16 slugs were tried"):
        scene.register_slug("post:")
    assert len(tried(scene)) == 16
    with pytest.raises(errors.SlugsExhausted, match="3 slugs"):
        scene.register_slug("post:", attempts=3)


def test_short_takes_the_shortest_free_abbreviation(scene: Scene) -> None:
    """With `short`, digits are added until the abbreviation is free."""
    refuse(scene, 2)
    assert scene.register_slug("post:", short=True).name == "post:" + "0" * 9
    assert tried(scene) == ["post:" + "0" * digits for digits in (7, 8, 9)]


def test_a_chosen_slug_is_tried_once_and_never_replaced(scene: Scene) -> None:
    """An author's own slug is granted or refused; the refusal carries the record in the way."""
    refuse(scene, 1)
    with pytest.raises(errors.NameTaken) as caught:
        scene.register_slug("post:", slug="hello", owner="account-17")
    assert caught.value.record.owner == "somebody"
    assert caught.value.metadata == {"name": "post:hello", "refusal": "TAKEN"}
    assert tried(scene) == ["post:hello"]
    assert scene.register_slug("post:", slug="hello").name == "post:hello"


def test_a_chosen_sha_is_tried_first_then_regenerated(scene: Scene) -> None:
    """A given slug that looks like a SHA counts as generated once it is refused."""
    refuse(scene, 1)
    assert scene.register_slug("post:", slug="c0ffee0").name == "post:" + "0" * 40
    assert tried(scene) == ["post:c0ffee0", "post:" + "0" * 40]


def test_a_lost_answer_does_not_start_another_slug(scene: Scene) -> None:
    """A retry after a lost answer asks for the same slug under the same id."""
    scene.nodes["a:1"].script = [errors.OutcomeUnknown("?")]
    scene.register_slug("post:")
    first, second = scene.network.of("Register")
    assert first.request == second.request


def test_an_unknown_outcome_says_which_slug_it_was(scene: Scene) -> None:
    """With the name and request_id in the error, `register` continues the request."""
    scene.nodes["a:1"].script = [errors.OutcomeUnknown("?")] * 1000
    with pytest.raises(errors.OutcomeUnknown) as caught:
        scene.register_slug("post:")
    assert caught.value.metadata["name"] == "post:" + "0" * 40
    assert caught.value.request_id == scene.network.of("Register")[0].request.request_id


@pytest.mark.parametrize(
    ("arguments", "field"),
    (
        ({"prefix": "post"}, "prefix"),
        ({"prefix": "post:", "attempts": 0}, "attempts"),
        ({"prefix": "post:", "slug": "\ud800"}, "name"),
    ),
)
def test_bad_arguments_are_named(scene: Scene, arguments: dict[str, Any], field: str) -> None:
    """What cannot work is refused before anything is sent."""
    with pytest.raises(errors.InvalidRequest) as caught:
        scene.register_slug(**arguments)
    assert caught.value.metadata["field"] == field
    assert scene.network.sent == []
