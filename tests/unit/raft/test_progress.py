"""What a leader knows of one follower, and how much it has under way to it."""

from __future__ import annotations

import pytest

from namestore.raft.progress import Phase, Progress

WIDE = (10**6, 100)


def _replicating(match: int = 5) -> Progress:
    progress = Progress(next_index=match + 1, now=0.0)
    progress.acknowledged(match)
    return progress


def test_a_new_leader_probes_from_its_own_end() -> None:
    """Nothing is known to match, and the first try is the leader's next entry (paper, fig. 2)."""
    progress = Progress(next_index=8, now=3.0)
    assert (progress.match, progress.next_index, progress.phase) == (0, 8, Phase.PROBE)
    assert progress.answered_at == 3.0


def test_a_probe_is_one_message() -> None:
    """While a follower's log is not known, nothing more is sent before the answer."""
    progress = Progress(next_index=8, now=0.0)
    assert progress.may_send(*WIDE)
    progress.sent(9, 100)
    assert not progress.may_send(*WIDE)
    assert progress.next_index == 8


def test_an_acknowledged_probe_begins_the_stream() -> None:
    """From then on entries are sent behind each other."""
    progress = Progress(next_index=8, now=0.0)
    progress.sent(9, 100)
    progress.acknowledged(9)
    assert (progress.match, progress.next_index, progress.phase) == (9, 10, Phase.REPLICATE)
    progress.sent(10, 1)
    progress.sent(12, 1)
    assert progress.next_index == 13


@pytest.mark.parametrize("window", ((100, 50), (10**6, 2)), ids=("bytes", "messages"))
def test_the_stream_is_bounded(window: tuple[int, int]) -> None:
    """In bytes and in messages; an acknowledgement of any of them makes room."""
    progress = _replicating(5)
    for last in (6, 7):
        assert progress.may_send(*window)
        progress.sent(last, 60)
    assert not progress.may_send(*window)
    progress.acknowledged(6)
    assert progress.may_send(*window)


def test_an_acknowledgement_covers_everything_before_it() -> None:
    """One for the last message makes room for all."""
    progress = _replicating(5)
    for last in (6, 7, 8):
        progress.sent(last, 60)
    progress.acknowledged(8)
    assert progress.may_send(61, 1)
    assert progress.match == 8


def test_match_never_goes_back() -> None:
    """An older acknowledgement that comes late takes nothing away."""
    progress = _replicating(5)
    progress.acknowledged(9)
    progress.acknowledged(7)
    assert (progress.match, progress.next_index) == (9, 10)


def test_a_rejection_moves_the_next_index_backwards() -> None:
    """To where the follower's log may agree, one probe at a time."""
    progress = Progress(next_index=20, now=0.0)
    assert progress.rejected(prev_index=19, next_index=11)
    assert (progress.next_index, progress.phase) == (11, Phase.PROBE)
    assert progress.may_send(*WIDE)


def test_a_rejection_always_moves_backwards() -> None:
    """A hint beyond what was rejected cannot keep the probe where it is."""
    progress = Progress(next_index=20, now=0.0)
    assert progress.rejected(prev_index=19, next_index=50)
    assert progress.next_index == 19


def test_a_rejection_never_moves_below_what_matches() -> None:
    """What the follower acknowledged in this term it holds."""
    progress = _replicating(5)
    progress.sent(9, 1)
    assert progress.rejected(prev_index=9, next_index=2)
    assert progress.next_index == 6
    assert not progress.rejected(prev_index=5, next_index=1)
    assert progress.next_index == 6


def test_a_second_rejection_of_one_gap_says_nothing_new() -> None:
    """Several messages behind one gap are all rejected; only the first moves anything (the
    library's livelock, and the entries it sends twice)."""
    progress = _replicating(5)
    for last in (6, 7, 8):
        progress.sent(last, 1)
    assert progress.rejected(prev_index=6, next_index=6)
    progress.sent(8, 1)
    assert not progress.rejected(prev_index=7, next_index=6)
    assert not progress.may_send(*WIDE)


def test_a_lost_connection_means_probing_from_what_matches() -> None:
    """What was under way may be lost, and need not be waited for."""
    progress = _replicating(5)
    progress.sent(9, 10**6)
    progress.lost_contact()
    assert (progress.next_index, progress.phase) == (6, Phase.PROBE)
    assert progress.may_send(1, 1)


def test_a_snapshot_is_not_interrupted_by_a_lost_connection() -> None:
    """Its entries are gone all the same: it goes on fetching where it stopped."""
    progress = _replicating(5)
    progress.needs_snapshot()
    progress.lost_contact()
    assert progress.phase is Phase.SNAPSHOT
    assert not progress.may_send(*WIDE)


def test_rejections_during_a_snapshot_change_nothing() -> None:
    """It is known already that the follower lacks entries."""
    progress = _replicating(5)
    progress.needs_snapshot()
    assert not progress.rejected(prev_index=9, next_index=3)
    assert progress.phase is Phase.SNAPSHOT


def test_an_installed_snapshot_counts_for_what_it_covers() -> None:
    """Exactly that, and what comes next is probed (paper, figure 13)."""
    progress = _replicating(5)
    progress.needs_snapshot()
    progress.installed(40)
    assert (progress.match, progress.next_index, progress.phase) == (40, 41, Phase.PROBE)
    progress.installed(30)
    assert progress.match == 40


def test_a_snapshot_ends_when_the_follower_turns_out_to_hold_the_entries() -> None:
    """Its word that a snapshot was installed may be lost; an acknowledgement says as much."""
    progress = _replicating(5)
    progress.needs_snapshot()
    progress.acknowledged(40)
    assert (progress.next_index, progress.phase) == (41, Phase.REPLICATE)
