"""Logs as text and as JSON lines."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from namestore import logs


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_is_one_object_a_line() -> None:
    """With the event's own fields, whatever they are called; tracebacks inside the object."""
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    log = logs.get_logger("namestore.test")
    log.debug("dropped")
    log.info("server.started", name="user:é", args=[1])
    try:
        raise KeyError("lost")
    except KeyError:
        log.exception("call.failed")
    logging.getLogger("grpc").warning("from %s", "elsewhere")
    started, failed, foreign = (json.loads(line) for line in stream.getvalue().splitlines())
    assert started.pop("timestamp").endswith("Z")
    assert started == {
        "event": "server.started",
        "level": "info",
        "logger": "namestore.test",
        "name": "user:é",
        "args": [1],
    }
    assert "KeyError: 'lost'" in failed["exception"]
    assert (foreign["event"], foreign["logger"]) == ("from elsewhere", "grpc")


def test_text_has_no_colour_unless_on_a_terminal() -> None:
    """A log file is read with anything."""
    stream = io.StringIO()
    logs.configure("debug", "text", stream)
    logs.get_logger("namestore.test").debug("server.started", node="n1")
    line = stream.getvalue()
    assert "server.started" in line
    assert "node=n1" in line
    assert "\x1b" not in line


def test_a_log_that_cannot_be_written_raises_nothing() -> None:
    """The node goes on."""
    stream = io.StringIO()
    logs.configure("info", "text", stream)
    stream.close()
    logs.get_logger("namestore.test").info("server.started")


def test_a_library_stays_silent_until_told_otherwise(capfd: pytest.CaptureFixture[str]) -> None:
    """In somebody else's process events go to their logging, at their level."""
    root = logging.getLogger()
    root.handlers[:] = [logging.NullHandler()]
    logs.get_logger("namestore.test").info("client.connected")
    assert capfd.readouterr() == ("", "")
