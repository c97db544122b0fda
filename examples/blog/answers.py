"""What the blog answers, as a status and a body that can be stored and given again.

Pure. Not responsible for HTTP; see `app`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from examples.blog.database import PostRow, UserRow
from namestore.client.values import Refusal, RegisterResult
from namestore.errors import InvalidRequest

_WORDS = {"user": "username", "post": "slug"}
_WHY = {
    Refusal.TAKEN: "it is taken",
    Refusal.RESERVED_WORD: "the word is reserved",
    Refusal.CONFUSABLE: "it looks like one that is taken",
    Refusal.HELD_BACK: "it was given up too lately to be given to somebody else",
    Refusal.OTHER: "namestore refused it",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status code of HTTP, and the object that goes with it."""

    status: int
    body: dict[str, Any]


def user_body(user: UserRow) -> dict[str, Any]:
    """A user, as callers see one."""
    return {
        "id": user.id,
        "username": user.username,
        "created_at": user.created_at.isoformat(),
        "url": f"/users/{quote(user.username)}",
    }


def post_body(post: PostRow) -> dict[str, Any]:
    """A post, as callers see one."""
    return {
        "id": post.id,
        "slug": post.slug,
        "title": post.title,
        "body": post.body,
        "author": post.author,
        "created_at": post.created_at.isoformat(),
        "url": f"/posts/{quote(post.slug)}",
    }


def refused(kind: str, result: RegisterResult) -> Answer:
    """The name was not granted: who holds it, and what to do."""
    word = _WORDS[kind]
    body: dict[str, Any] = {
        "error": (result.refusal or Refusal.OTHER).name.lower(),
        "name": result.name,
        "detail": f"this {word} cannot be had: {_WHY[result.refusal or Refusal.OTHER]}",
        "what_to_do": f"choose another {word}, and send it with a new Idempotency-Key",
    }
    if result.record is not None:
        body["held_by"] = result.record.owner
        body["held_since"] = result.record.create_time.isoformat()
    return Answer(409, body)


def invalid(error: InvalidRequest) -> Answer:
    """No such name can be, or the key belongs to another request: the message says which."""
    if error.metadata.get("field") == "request_id":
        return key_reused()
    return Answer(
        422,
        {
            "error": "invalid",
            "detail": error.message,
            "what_to_do": "change it, and send it with a new Idempotency-Key",
        },
    )


def key_reused() -> Answer:
    """One key, two different requests: the client's mistake, and no answer would suit both."""
    return Answer(
        422,
        {
            "error": "idempotency_key_reused",
            "detail": "this Idempotency-Key was sent before, with another request",
            "what_to_do": "draw a new key for every new request",
        },
    )
