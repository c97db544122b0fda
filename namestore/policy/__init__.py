"""Judging names by a namespace's policy: canonical forms, reserved words, look-alikes.

Pure: the same label, policy and tables give the same judgement. It reads its packaged data and
nothing else, keeps no clock and draws no chance. It judges labels and knows no names that exist;
the policy itself, its checks and its bytes are `namestore.core.policies`.
"""

from namestore.core.policies import HoldBack, KeyKind, Policy, Profile
from namestore.policy.checking import Conflict, Finding, check, check_held, check_spelled
from namestore.policy.forms import policy_from, policy_to
from namestore.policy.judging import Judge, Judged, Refusal
from namestore.policy.refusing import Reason
from namestore.policy.skeletons import SKELETON_BYTES_MAX, skeleton
from namestore.policy.tables import read_words, shipped_words, tables_version

__all__ = [
    "Policy",
    "Profile",
    "HoldBack",
    "KeyKind",
    "Judge",
    "Judged",
    "Refusal",
    "Reason",
    "check",
    "check_held",
    "check_spelled",
    "Finding",
    "Conflict",
    "policy_from",
    "policy_to",
    "read_words",
    "shipped_words",
    "skeleton",
    "SKELETON_BYTES_MAX",
    "tables_version",
]
