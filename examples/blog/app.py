"""The blog over HTTP: routes, the life of an instance, and errors as status codes.

`namestore.aio.NameStore` rather than the blocking client, because a handler of FastAPI is a
coroutine: while a new leader is being elected, calls that wait cost a coroutine each, and reading
the blog goes on. A blocking client in the thread pool would hold one of its 40 threads per call,
and with the fortieth the whole site would stand. One client serves all requests of the process:
what is asked concurrently shares round trips.

    uvicorn --factory examples.blog.app:create_app
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import async_sessionmaker

from examples.blog import answers
from examples.blog.answers import Answer
from examples.blog.database import create_tables, make_engine
from examples.blog.names import Names, request_id_of
from examples.blog.service import Blog
from examples.blog.settings import Settings
from namestore.aio import NameStore
from namestore.errors import InvalidRequest, OutcomeUnknown, Unavailable

RETRY_AFTER_SECONDS = 2
KEY_HEADER = "Idempotency-Key"

_log = logging.getLogger("blog")

# PostgreSQL keeps no NUL in a text. Refused here: once a name is granted its row must not fail.
_StoredText = Annotated[str, Field(min_length=1, max_length=100_000, pattern=r"^[^\x00]*$")]
# What makes a name is namestore's to say; this only keeps the absurd from going further.
_Label = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]


class NewUser(BaseModel):
    """A sign-up."""

    username: _Label


class NewPost(BaseModel):
    """A post. Without a slug it gets a SHA, without an author it is anonymous."""

    title: _StoredText
    body: _StoredText
    slug: _Label | None = None
    author: _Label | None = None


def create_app(settings: Settings | None = None, store: Names | None = None) -> FastAPI:
    """An instance of the blog.

    Args:
        settings: None: taken from the environment.
        store: Names over something else than the cluster in `settings`; stays the caller's.
    """
    settings = settings or Settings.from_environment()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = make_engine(settings.async_database_url())
        names = store or NameStore(settings.endpoints, timeout=settings.timeout)
        try:
            await create_tables(engine)
            # An instance starts without its cluster: the posts it has can be read all the same.
            blog = Blog(async_sessionmaker(engine, expire_on_commit=False), names, _utc_now)
            app.state.blog = blog
            stopping = asyncio.Event()
            healing = asyncio.create_task(
                _keep_healing(blog, _utc_now(), settings.heal_seconds, stopping)
            )
            try:
                yield
            finally:
                # Not cancelled: that would tear a statement of the database apart.
                stopping.set()
                await healing
        finally:
            if isinstance(names, NameStore) and names is not store:
                await names.close()
            await engine.dispose()

    app = FastAPI(title="A blog over namestore", lifespan=lifespan)
    _add_writing(app)
    _add_reading(app)
    _add_errors(app)
    return app


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def _keep_healing(
    blog: Blog, before: datetime, every_seconds: float, stopping: asyncio.Event
) -> None:
    """Takes up what earlier processes left, at once; then, what this one does not come to finish.

    Never a request that is being answered: it would be asked for twice, and the first to hear
    "certainly not done" could no longer vouch for both.
    """
    while not stopping.is_set():
        try:
            await blog.heal(before, stopping.is_set)
        except Exception:  # noqa: BLE001  # to stop healing for good, unheard, would be worse
            _log.exception("heal.failed")
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), every_seconds)
        before = _utc_now() - timedelta(seconds=every_seconds)


# -- routes ---------------------------------------------------------------------------------


def _blog(request: Request) -> Blog:
    blog: Blog = request.app.state.blog
    return blog


def _key(
    request: Request,
    key: Annotated[str | None, Header(alias=KEY_HEADER, min_length=1, max_length=255)] = None,
) -> str:
    """The client's key, or one drawn here. Every answer carries it: any request can be retried.

    Whoever knows a key can have its answer again. With accounts that are logged in, hash the
    account into the request_id too. A key that is used for another name is found out by the
    database that has the first request, not by namestore, which knows a grant by its name.
    """
    request.state.key = key or secrets.token_urlsafe(16)
    drawn: str = request.state.key
    return drawn


_BlogHere = Annotated[Blog, Depends(_blog)]
_Key = Annotated[str, Depends(_key)]


def _add_writing(app: FastAPI) -> None:
    @app.post("/users", status_code=201)
    async def sign_up(new: NewUser, blog: _BlogHere, key: _Key) -> Response:
        request_id = request_id_of("POST /users", key)
        return _response(await blog.sign_up(request_id, new.username), key)

    @app.post("/posts", status_code=201)
    async def publish(new: NewPost, blog: _BlogHere, key: _Key) -> Response:
        request_id = request_id_of("POST /posts", key)
        answer = await blog.publish(request_id, new.title, new.body, new.slug, new.author)
        return _response(answer, key)


def _add_reading(app: FastAPI) -> None:
    # A username or a slug may hold a slash.
    @app.get("/users/{username:path}")
    async def read_user(username: str, blog: _BlogHere) -> dict[str, Any]:
        user = await blog.user(username)
        if user is None:
            raise HTTPException(404, "no such user in this instance's database")
        return answers.user_body(user)

    @app.get("/posts/{slug:path}")
    async def read_post(slug: str, blog: _BlogHere) -> dict[str, Any]:
        post = await blog.post(slug)
        if post is None:
            raise HTTPException(404, "no such post in this instance's database")
        return answers.post_body(post)


# -- answers and errors ---------------------------------------------------------------------


def _response(answer: Answer, key: str, headers: dict[str, str] | None = None) -> JSONResponse:
    sent = headers or {}
    if key:
        sent[KEY_HEADER] = key
    if answer.status == 201:
        sent["Location"] = answer.body["url"]
    return JSONResponse(answer.body, answer.status, sent)


def _later(request: Request, error: str, detail: str) -> JSONResponse:
    """503: how long to wait, and the key under which to try again."""
    key = getattr(request.state, "key", "")
    body = {"error": error, "detail": detail}
    if key:
        body["what_to_do"] = f"send the same request again, with the header {KEY_HEADER}: {key}"
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return _response(Answer(503, body), key, headers)


def _add_errors(app: FastAPI) -> None:
    """The first question of namestore's errors, did it happen?, is the client's question too."""

    @app.exception_handler(Unavailable)
    async def unavailable(request: Request, error: Unavailable) -> JSONResponse:
        _log.warning("namestore.unavailable: %s", error)
        return _later(request, "unavailable", "names cannot be given out now; nothing was done")

    @app.exception_handler(OutcomeUnknown)
    async def unknown(request: Request, error: OutcomeUnknown) -> JSONResponse:
        _log.warning("namestore.outcome_unknown: %s", error)
        return _later(request, "outcome_unknown", "it may have been done, and may be finished yet")

    @app.exception_handler(OperationalError)
    @app.exception_handler(InterfaceError)
    async def database_away(request: Request, error: Exception) -> JSONResponse:
        _log.error("database.unavailable: %s", error)
        return _later(request, "database_unavailable", "it may have been done in part")

    @app.exception_handler(DataError)
    async def not_storable(request: Request, error: DataError) -> JSONResponse:
        # PostgreSQL and a NUL in a path: what cannot be stored is not there.
        return JSONResponse({"detail": "no such text can be stored"}, 404)

    @app.exception_handler(InvalidRequest)
    async def invalid(request: Request, error: InvalidRequest) -> JSONResponse:
        return _response(answers.invalid(error), getattr(request.state, "key", ""))
