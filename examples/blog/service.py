"""Sign-up and posting: two systems are written to, and a crash may come between any two steps.

The order of writes is what this example is about:

    1. The request goes into this instance's database, with its request_id: it is *pending*.
    2. namestore is asked for the name, under that request_id.
    3. The row and the answer go into the database, in one transaction.

The name comes before the row because a name can wait for its row, while a row cannot wait for its
name: a user whose row is visible before their name is granted may have to be taken away again,
after they have been seen, by the one who lost the race in another region.

What a crash leaves, then: after 1, a pending request and nothing else. After 2, *a name without a
row*: nobody can sign up under it, and its owner has no account. Step 1 is there to mend that. The
pending request still knows its request_id, and under that id namestore says "granted" again,
however late and whoever leads by then; under any other id it would say "taken". So `heal` asks
again, at the next start and every few seconds, and so does the client that sends its request
again with the same Idempotency-Key. Both end in step 3, once.

Without step 1 the name would wait for a client that may never come back.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from examples.blog import answers, names
from examples.blog.answers import Answer
from examples.blog.database import PostRow, RequestRow, UserRow
from examples.blog.names import Names
from namestore.client.values import NameRecord
from namestore.errors import InvalidRequest, NamestoreError, OutcomeUnknown, Unavailable

_log = logging.getLogger("blog")


class Blog:
    """The blog of one instance, over its database and the cluster that all instances share."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        store: Names,
        clock: Callable[[], datetime],
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._clock = clock

    # -- writing ----------------------------------------------------------------------------

    async def sign_up(self, request_id: bytes, username: str) -> Answer:
        """Makes a user, if the name is free.

        Raises:
            Unavailable: Nothing was done by this attempt; retry with the same request_id.
            OutcomeUnknown: It may have been; retry with the same request_id, or leave it to `heal`.
        """
        return await self._answer("user", request_id, {"username": username})

    async def publish(
        self, request_id: bytes, title: str, body: str, slug: str | None, author: str | None
    ) -> Answer:
        """Makes a post: with the slug its author chose, if that is free, else with a SHA.

        Raises:
            InvalidRequest: The author's name is none.
            Unavailable, OutcomeUnknown: As for `sign_up`.
        """
        content: dict[str, Any] = {"title": title, "body": body, "slug": slug, "author": author}
        content["author_id"] = None
        if author is not None:
            content["author_id"] = await self._account_id(author)
            if content["author_id"] is None:
                detail = f"nobody is called {author!r}"
                return Answer(422, {"error": "unknown_author", "detail": detail})
        return await self._answer("post", request_id, content)

    async def heal(self, before: datetime, is_over: Callable[[], bool] = lambda: False) -> int:
        """Carries out what is pending since before then. Returns how many were finished.

        Ends early when `is_over`, and while namestore cannot answer: the next time will do. May
        run beside requests, and beside the same in another process: what is carried out twice is
        done once.
        """
        wanted = select(RequestRow.id).where(
            RequestRow.status.is_(None), RequestRow.created_at < before
        )
        async with self._sessions() as session:
            pending = (await session.scalars(wanted.order_by(RequestRow.created_at))).all()
        healed = 0
        for request_id in pending:
            if is_over():
                break
            try:
                row = await self._take_up_again(request_id)
                answer = await self._carry_out(row)
            except (Unavailable, OutcomeUnknown) as error:
                _log.warning("heal.postponed pending=%d: %s", len(pending) - healed, error)
                break
            except NamestoreError:
                _log.exception("heal.failed request=%s", request_id)
                continue
            healed += 1
            _log.info("heal.finished request=%s status=%d", request_id, answer.status)
        return healed

    async def _answer(self, kind: str, request_id: bytes, content: dict[str, Any]) -> Answer:
        row = await self._take_up(request_id.hex(), kind, content)
        if row.content != content:
            return answers.key_reused()
        return await self._carry_out(row)

    async def _take_up(self, request_id: str, kind: str, content: dict[str, Any]) -> RequestRow:
        """Step 1. Returns the row as it stands: a request that was sent before may be answered."""
        row = RequestRow(id=request_id, kind=kind, content=content, attempts=1, status=None)
        row.created_at = self._clock()
        try:
            async with self._sessions.begin() as session:
                session.add(row)
        except IntegrityError:
            return await self._take_up_again(request_id)
        return row

    async def _take_up_again(self, request_id: str) -> RequestRow:
        mine = RequestRow.id == request_id
        async with self._sessions.begin() as session:
            more = {"attempts": RequestRow.attempts + 1}
            await session.execute(update(RequestRow).where(mine).values(more))
            return (await session.scalars(select(RequestRow).where(mine))).one()

    async def _carry_out(self, row: RequestRow) -> Answer:
        """Steps 2 and 3, unless they were done before."""
        if row.status is not None:
            return Answer(row.status, row.answer or {})
        try:
            result = await names.register(self._store, row.kind, row.content, bytes.fromhex(row.id))
        except Unavailable:
            await self._forget(row)
            raise
        except InvalidRequest as error:
            return await self._finish(row, None, answers.invalid(error))
        if not result or result.record is None:
            return await self._finish(row, None, answers.refused(row.kind, result))
        return await self._finish(row, *_made(row, result.record))

    async def _forget(self, row: RequestRow) -> None:
        """Strikes a request out that certainly has done nothing: it must not be done later.

        Only if namestore was asked once. "Certainly not applied" speaks for one attempt; of an
        earlier one, or another under way, the outcome may be unknown. Those stay pending.
        """
        async with self._sessions.begin() as session:
            await session.execute(
                delete(RequestRow).where(
                    RequestRow.id == row.id, RequestRow.attempts == 1, RequestRow.status.is_(None)
                )
            )

    async def _finish(
        self, row: RequestRow, made: UserRow | PostRow | None, answer: Answer
    ) -> Answer:
        """Step 3. The first to come here wins, and everybody gives its answer."""
        mine = RequestRow.id == row.id
        async with self._sessions.begin() as session:
            # The database lets one of several at this line; the others then find a status.
            finished = await session.scalars(
                update(RequestRow)
                .where(mine, RequestRow.status.is_(None))
                .values(status=answer.status, answer=answer.body)
                .returning(RequestRow.id)
            )
            if finished.one_or_none() is not None:
                if made is not None:
                    session.add(made)
                return answer
            stored = (await session.scalars(select(RequestRow).where(mine))).one()
            return Answer(stored.status or answer.status, stored.answer or answer.body)

    # -- reading ----------------------------------------------------------------------------

    async def user(self, username: str) -> UserRow | None:
        """A user, if this instance's database has them (yet)."""
        async with self._sessions() as session:
            wanted = select(UserRow).where(UserRow.username == _canonical(username))
            return (await session.scalars(wanted)).one_or_none()

    async def post(self, slug: str) -> PostRow | None:
        """A post, if this instance's database has it (yet)."""
        async with self._sessions() as session:
            wanted = select(PostRow).where(PostRow.slug == _canonical(slug))
            return (await session.scalars(wanted)).one_or_none()

    async def _account_id(self, username: str) -> str | None:
        """Whose name it is: a user who signed up at another instance has no row here yet."""
        user = await self.user(username)
        if user is not None:
            return user.id
        record = await self._store.lookup(f"user:{username}")
        return None if record is None else record.owner


def _canonical(label: str) -> str:
    """As namestore gives labels back, which is how they are stored here."""
    return unicodedata.normalize("NFC", label)


def _made(row: RequestRow, record: NameRecord) -> tuple[UserRow | PostRow, Answer]:
    """The row that a granted name is for. Its time is namestore's: the same in every instance."""
    label = record.name.partition(":")[2]
    if row.kind == "user":
        user = UserRow(id=row.id, username=label, created_at=record.create_time)
        return user, Answer(201, answers.user_body(user))
    content = row.content
    post = PostRow(
        id=row.id,
        slug=label,
        title=content["title"],
        body=content["body"],
        author=content["author"],
        author_id=content["author_id"],
        created_at=record.create_time,
    )
    return post, Answer(201, answers.post_body(post))
