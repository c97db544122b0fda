"""The two faces of the client are twins."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from typing import Any

import pytest

import namestore
from namestore import aio, errors
from namestore.client.blocking import NameStore
from tests.unit.client.fake_network import Scene

# Methods whose result is for `with`.
ENTERED = {"reserve", "watch"}


def public(face: type) -> dict[str, Callable[..., Any]]:
    return {
        name: value
        for name, value in inspect.getmembers(face, inspect.isfunction)
        if not name.startswith("_")
    }


def test_the_faces_have_the_same_methods_and_parameters() -> None:
    """What one flavour offers the other offers too, under the same names and defaults."""
    blocking, asynchronous = public(NameStore), public(aio.NameStore)
    assert blocking.keys() == asynchronous.keys()
    for name, method in blocking.items():
        twin = inspect.signature(asynchronous[name]).parameters
        assert inspect.signature(method).parameters == twin, name


def test_the_async_face_only_awaits() -> None:
    """Every call of the asyncio flavour is awaited, iterated or entered."""
    for name, method in public(aio.NameStore).items():
        awaited = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
        assert awaited or name in ENTERED, name


def test_what_is_entered_is_entered_asynchronously() -> None:
    """`async with` there, `with` here; nothing is sent before."""
    for flavour, enter in (("blocking", "__enter__"), ("asyncio", "__aenter__")):
        scene = Scene(flavour)
        assert hasattr(scene.store.reserve("user:alice"), enter)
        assert scene.network.sent == []
    assert hasattr(scene.store.watch(), "__aenter__")
    assert scene.network.sent == []


def test_the_package_hands_out_its_client() -> None:
    """`namestore.NameStore` is the blocking client; other names do not exist."""
    assert namestore.NameStore is NameStore
    with pytest.raises(AttributeError, match="NameSpore"):
        _ = namestore.NameSpore


def test_in_is_contains() -> None:
    """The blocking flavour answers `name in names`."""
    assert "user:alice" not in Scene("blocking").store


def test_blocking_inside_an_event_loop_warns_once() -> None:
    """It works, but says that it blocks the loop, and what to use instead."""
    scene = Scene("blocking")

    async def misuse() -> None:
        with pytest.warns(RuntimeWarning, match=r"use namestore\.aio\.NameStore"):
            assert scene.store.register("user:a")
        assert scene.store.register("user:b")

    asyncio.run(misuse())


def test_a_forked_child_is_told_what_to_do() -> None:
    """In another process than its maker's a client refuses to work, and closing it is harmless."""
    scene = Scene("blocking")
    child = os.fork()
    if not child:
        code = 1
        try:
            scene.store.register("user:a")
        except errors.ClientMisuse as refused:
            scene.store.close()
            code = 0 if "make a NameStore in the child" in str(refused) else 2
            code += 4 * scene.network.closed
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert scene.store.register("user:a")


@pytest.mark.parametrize("flavour", (NameStore, aio.NameStore))
def test_bad_endpoints_are_refused_when_the_client_is_made(flavour: Any) -> None:
    """Not at the first call, but where the mistake is."""
    with pytest.raises(errors.ConfigError):
        flavour("localhost")
    with pytest.raises(errors.InvalidRequest):
        flavour("localhost:7101", timeout=0)
