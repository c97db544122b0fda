"""The blog of examples/: names are unique over two instances that share no database."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from examples.blog.names import candidate_slugs, request_id_of
from namestore.aio import NameStore

Instances = list[httpx.AsyncClient]

POST = {"title": "On names", "body": "Each is given once."}


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


def derived_slugs(idempotency_key: str, count: int) -> list[str]:
    """The SHAs that a post without a slug will try first."""
    slugs = candidate_slugs(None, request_id_of("POST /posts", idempotency_key))
    return [next(slugs) for _ in range(count)]


async def test_one_of_many_sign_ups_at_two_instances_is_granted(instances: Instances) -> None:
    """Two databases that know nothing of each other, twenty callers, one username: one 201."""
    answers = await asyncio.gather(
        *(instances[n % 2].post("/users", json={"username": "alice"}) for n in range(20))
    )
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [201] + [409] * 19
    granted = answers[statuses.index(201)].json()
    assert {a.json()["held_by"] for a in answers if a.status_code == 409} == {granted["id"]}
    reads = [await instance.get("/users/alice") for instance in instances]
    assert sorted(read.status_code for read in reads) == [200, 404]


async def test_a_sign_up_can_be_read_back(instances: Instances) -> None:
    """The answer says where the user is to be found, and there it is."""
    answer = await instances[0].post("/users", json={"username": "Zo\u0065\u0301/2"})
    assert answer.status_code == 201
    read = await instances[0].get(answer.headers["Location"])
    assert read.json() == answer.json()
    assert read.json()["username"] == "Zo\u00e9/2"


async def test_a_chosen_slug_that_is_taken_is_refused(instances: Instances) -> None:
    """409 at either instance: the author is told who holds it, and to choose another."""
    alice = (await instances[0].post("/users", json={"username": "alice"})).json()
    post = {**POST, "slug": "hello", "author": "alice"}
    first = await instances[0].post("/posts", json=post)
    assert (first.status_code, first.json()["slug"]) == (201, "hello")
    for instance in instances:
        refused = await instance.post("/posts", json={**POST, "slug": "hello"})
        assert refused.status_code == 409
        body = refused.json()
        assert (body["error"], body["name"]) == ("taken", "post:hello")
        assert body["held_by"] == alice["id"]
        assert "choose another slug" in body["what_to_do"]
    assert (await instances[0].get("/posts/hello")).json() == first.json()


async def test_an_author_from_another_instance_is_known(instances: Instances) -> None:
    """Whose name it is, namestore knows before the user's row has come over; strangers get 422."""
    await instances[0].post("/users", json={"username": "alice"})
    known = await instances[1].post("/posts", json={**POST, "slug": "far", "author": "alice"})
    assert (known.status_code, known.json()["author"]) == (201, "alice")
    unknown = await instances[1].post("/posts", json={**POST, "author": "bob"})
    assert (unknown.status_code, unknown.json()["error"]) == (422, "unknown_author")


async def test_anonymous_posts_get_a_sha(instances: Instances) -> None:
    """Forty hexadecimal digits each, and no two alike."""
    answers = await asyncio.gather(*(instances[n % 2].post("/posts", json=POST) for n in range(10)))
    slugs = [answer.json()["slug"] for answer in answers]
    assert all(re.fullmatch("[0-9a-f]{40}", slug) for slug in slugs)
    assert len(set(slugs)) == 10
    assert (await instances[0].get(f"/posts/{slugs[0]}")).json()["author"] is None


async def test_a_sha_that_is_taken_is_regenerated(
    instances: Instances, registry: NameStore
) -> None:
    """The first two SHAs are taken by others: the post gets the third."""
    first, second, third = derived_slugs("k", 3)
    for slug in (first, second):
        assert await registry.register(f"post:{slug}", "somebody else")
    answer = await instances[0].post("/posts", json=POST, headers=key("k"))
    assert (answer.status_code, answer.json()["slug"]) == (201, third)


async def test_a_chosen_slug_that_is_a_sha_is_regenerated(
    instances: Instances, registry: NameStore
) -> None:
    """Such a slug nobody remembers: it is tried, and then replaced."""
    assert await registry.register("post:0123456789", "somebody else")
    post = {**POST, "slug": "0123456789"}
    answer = await instances[0].post("/posts", json=post, headers=key("k"))
    assert (answer.status_code, answer.json()["slug"]) == (201, derived_slugs("k", 1)[0])


@pytest.mark.parametrize(
    ("route", "content"),
    (
        ("/users", {"username": "alice"}),
        ("/posts", {**POST, "slug": "hello"}),
        ("/posts", POST),
    ),
)
async def test_a_request_sent_again_gets_the_same_answer(
    instances: Instances, route: str, content: dict[str, Any]
) -> None:
    """Under one Idempotency-Key everything is done once, at the same instance or the other."""
    sends = [instances[n % 2].post(route, json=content, headers=key("k")) for n in range(6)]
    answers = await asyncio.gather(*sends)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1


async def test_a_refusal_sent_again_stays_one(instances: Instances) -> None:
    """A refused request is not tried anew under its old key, whatever has happened since."""
    await instances[0].post("/users", json={"username": "alice"})
    refused = [
        await instances[0].post("/users", json={"username": "alice"}, headers=key("k"))
        for _ in range(2)
    ]
    assert {answer.status_code for answer in refused} == {409}
    assert refused[0].json() == refused[1].json()


async def test_a_key_belongs_to_one_request(instances: Instances) -> None:
    """The key of a sign-up sent with another one is a mistake, seen where it was used; and at the
    other instance, whose database is its own here, if namestore refused the first one."""
    await instances[0].post("/users", json={"username": "alice"}, headers=key("k"))
    answer = await instances[0].post("/users", json={"username": "bob"}, headers=key("k"))
    assert (answer.status_code, answer.json()["error"]) == (422, "idempotency_key_reused")
    await instances[0].post("/users", json={"username": "alice"}, headers=key("refused"))
    answer = await instances[1].post("/users", json={"username": "bob"}, headers=key("refused"))
    assert (answer.status_code, answer.json()["error"]) == (422, "idempotency_key_reused")
    other_route = await instances[0].post("/posts", json=POST, headers=key("k"))
    assert other_route.status_code == 201


@pytest.mark.parametrize("username", ("", "a\tb", "x" * 513, "é" * 300, "a\u0000b"))
async def test_a_username_that_is_none_is_invalid(instances: Instances, username: str) -> None:
    """422, whether this application finds it or namestore does; nothing is left pending."""
    answer = await instances[0].post("/users", json={"username": username}, headers=key("k"))
    assert answer.status_code == 422
    again = await instances[0].post("/users", json={"username": username}, headers=key("k"))
    assert again.text == answer.text
