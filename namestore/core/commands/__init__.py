"""What may be asked of the registry, and its bytes in the log.

A command is encoded once, by the node that took the call, and never again: the leader puts the
bytes of many commands into one entry. Commands and entries are MessagePack arrays; an entry begins
with a version byte. A version this program does not know stops the node before it applies
anything, because skipping a command would make its state differ from the others'.
"""

from namestore.core.commands.codec import encode_command, fingerprint, mark, marks
from namestore.core.commands.decoding import decode_command, names_asked
from namestore.core.commands.each import (
    as_all,
    member_id,
    member_ids,
    members,
    names_count,
    spelled_out,
)
from namestore.core.commands.entries import ENTRY_VERSION, Entry, decode_entry, encode_entry
from namestore.core.commands.fields import MalformedCommand
from namestore.core.commands.values import (
    AbandonPolicy,
    Command,
    Confirm,
    Expire,
    ExpireItem,
    IndexNames,
    Judgement,
    KeepEvents,
    PutNamespace,
    Register,
    RegisterAll,
    RegisterEach,
    RegisterTogether,
    Release,
    Rename,
    UniqueKey,
    Update,
    Wanted,
)

__all__ = [
    "ENTRY_VERSION",
    "AbandonPolicy",
    "Command",
    "Confirm",
    "Entry",
    "Expire",
    "ExpireItem",
    "IndexNames",
    "Judgement",
    "KeepEvents",
    "MalformedCommand",
    "PutNamespace",
    "Register",
    "RegisterAll",
    "RegisterEach",
    "RegisterTogether",
    "Release",
    "Rename",
    "UniqueKey",
    "Update",
    "Wanted",
    "as_all",
    "decode_command",
    "decode_entry",
    "encode_command",
    "encode_entry",
    "fingerprint",
    "mark",
    "marks",
    "member_id",
    "member_ids",
    "members",
    "names_asked",
    "names_count",
    "spelled_out",
]
