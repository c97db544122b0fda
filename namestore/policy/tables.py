"""The Unicode data that comes with namestore, and the version of everything a judgement rests on.

Reads packaged files and nothing else; each is read once, when it is first needed. A file whose
bytes are not those that this version was tested with is not used: two nodes that judge by
different tables would give look-alikes away.

Python's own tables (normalisation, case, categories) and those of `precis-i18n` and `idna` are
used as they are installed. They may differ from node to node, which is why a name is judged once,
before the log; `tables_version` is what to write down beside that.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import NamedTuple

import idna
import precis_i18n

from namestore.errors import InvariantViolation

CONFUSABLES_VERSION = "16.0.0"

# Of the rules in this package. To be raised whenever a label may be judged otherwise than before.
RULES_VERSION = 1

# Of the bytes as they are after decompression.
SHA256 = {
    "confusables.txt": "95bd0aad6dced5ebc63436f459c06ab21a8d107cd842fb57f5c3a1e91bca8611",
    "properties.txt": "0e61367ece187302c77cee7bfad7c0df409cf23a587f649c0af2cd81a6ab26a5",
}

_SPAN_LINE = re.compile(r"([0-9A-F]{4,6})(?:\.\.([0-9A-F]{4,6}))?; ([A-Za-z ]+)")
_NAME_LINE = re.compile(r"([A-Z][a-z]{3}); ([\w -]+)")


class Properties(NamedTuple):
    """What is known of code points beyond Python's own tables.

    Attributes:
        script_names: Of a script's code: `Cyrl` is "Cyrillic".
        script_runs: First and last code point, and the codes of Script_Extensions; ascending.
        ignorable_runs: First and last of the code points that are usually invisible.
    """

    script_names: dict[str, str]
    script_runs: list[tuple[int, int, tuple[str, ...]]]
    ignorable_runs: list[tuple[int, int]]


@cache
def tables_version() -> str:
    """All that a judgement depends on, on one line, for the log."""
    return (
        f"rules {RULES_VERSION}; python-unicode {unicodedata.unidata_version}; "
        f"precis-i18n {precis_i18n.__version__}; idna {idna.__version__}; "
        f"confusables {CONFUSABLES_VERSION}"
    )


@cache
def prototypes() -> dict[str, str]:
    """UTS #39 confusables.txt: what each code point that has a prototype is replaced by.

    Raises:
        InvariantViolation: The packaged file is not the one this version was tested with.
    """
    found = {}
    for line in _text("confusables.txt", packed=True).splitlines():
        source, separator, rest = line.partition(" ;\t")
        if separator:
            target = rest.partition(" ;\t")[0]
            found[chr(int(source, 16))] = "".join(chr(int(code, 16)) for code in target.split())
    return found


@cache
def properties() -> Properties:
    """Script_Extensions and Default_Ignorable_Code_Point.

    Raises:
        InvariantViolation: As for `prototypes`.
    """
    found = Properties({}, [], [])
    for line in _text("properties.txt").splitlines():
        if span := _SPAN_LINE.fullmatch(line):
            first, last = int(span[1], 16), int(span[2] or span[1], 16)
            if span[3] == "DI":
                found.ignorable_runs.append((first, last))
            else:
                found.script_runs.append((first, last, tuple(span[3].split())))
        elif name := _NAME_LINE.fullmatch(line):
            found.script_names[name[1]] = name[2]
    return found


@cache
def shipped_words() -> tuple[str, ...]:
    """The words that `reserved_shipped` of a policy stands for, wildcards included; sorted."""
    return read_words(_packaged("reserved-user.txt").decode())


def read_words(text: str) -> tuple[str, ...]:
    """Reserved words from a file's text: one on a line, `#` begins a comment; sorted, each once."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(sorted({line for line in lines if line}))


def _text(name: str, packed: bool = False) -> str:
    data = gzip.decompress(_packaged(f"{name}.gz")) if packed else _packaged(name)
    if sha256(data).hexdigest() != SHA256[name]:
        raise InvariantViolation(
            f"namestore/policy/data/{name} is not the file that belongs to this version of "
            "namestore; install it anew"
        )
    return data.decode()


def _packaged(name: str) -> bytes:
    return resources.files("namestore.policy").joinpath("data", name).read_bytes()
