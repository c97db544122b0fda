"""The engine runs on one PySyncObj, to the byte."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pysyncobj import version

from namestore.errors import ConfigError
from namestore.raft import pin


@pytest.fixture(autouse=True)
def _checked_anew() -> Iterator[None]:
    pin.check_pysyncobj.cache_clear()
    yield
    pin.check_pysyncobj.cache_clear()


def test_the_installed_library_is_the_tested_one() -> None:
    """Its private methods are replaced by name: another release must not come unnoticed."""
    pin.check_pysyncobj()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says how to get the right one."""
    monkeypatch.setattr(version, "VERSION", "0.3.18")
    with pytest.raises(ConfigError, match=r"pip install pysyncobj==0\.3\.17"):
        pin.check_pysyncobj()


def test_changed_sources_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version number does not say what a packager patched."""
    monkeypatch.setattr(pin, "sources_digest", lambda: "0" * 64)
    with pytest.raises(ConfigError, match="not those of release"):
        pin.check_pysyncobj()


def test_the_digest_depends_on_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving one out, or another order, gives another digest."""
    digest = pin.sources_digest()
    assert len(digest) == 64
    monkeypatch.setattr(pin, "_SOURCES", pin._SOURCES[:-1])
    assert pin.sources_digest() != digest
