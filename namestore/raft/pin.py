"""Refuses to run on any PySyncObj but the one whose behaviour was tested.

The engine replaces private methods of exactly one version. Another version could rename one of
them, and the unsafe original would run in silence.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import pysyncobj
from pysyncobj import node, syncobj, transport, version

from namestore.errors import ConfigError

PYSYNCOBJ_VERSION = "0.3.17"
# SHA-256 over the sources that the engine stands on, in this order.
_SOURCES = (syncobj, transport, node)
_SOURCES_SHA256 = "c9dd5c51b04b35958fbed284855a5d98f99245e24fab2e96b0740caa67e815c6"


@cache
def check_pysyncobj() -> None:
    """Passes silently on the tested PySyncObj.

    Raises:
        ConfigError: Another version, or sources that were changed.
    """
    if version.VERSION != PYSYNCOBJ_VERSION:
        raise ConfigError(
            f"namestore runs on pysyncobj {PYSYNCOBJ_VERSION} only, and found {version.VERSION}; "
            f"install it with: pip install pysyncobj=={PYSYNCOBJ_VERSION}"
        )
    if sources_digest() != _SOURCES_SHA256:
        raise ConfigError(
            f"the sources of pysyncobj in {Path(pysyncobj.__file__).parent} are not those of "
            f"release {PYSYNCOBJ_VERSION}; reinstall it with: "
            f"pip install --force-reinstall pysyncobj=={PYSYNCOBJ_VERSION}"
        )


def sources_digest() -> str:
    """SHA-256 over the sources that matter, as hexadecimal."""
    digest = hashlib.sha256()
    for module in _SOURCES:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
