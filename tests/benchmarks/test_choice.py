"""Which peers take part: what is not installed is left out, with what it would need."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import parse, plan_of
from benchmarks.fleet import choose
from benchmarks.peers.catalogue import missing
from benchmarks.peers.interface import BenchmarkError, Needs


def test_missing_programs_name_their_packages() -> None:
    """Debian packages for programs, packages of the index for modules; each once."""
    needs = Needs(
        programs={"no-such-program": "etcd-server", "no-such-tool": "etcd-server", "sh": "dash"},
        modules={"no_such_module": "kazoo", "json": "never"},
    )
    assert missing(needs) == (["etcd-server"], ["kazoo"])


def test_a_peer_that_is_missing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others still run, and the line says how to have it next time."""
    monkeypatch.setattr("benchmarks.processes.shutil.which", lambda name: None)
    able, skipped = choose(["namestore", "etcd"])
    assert able == ["namestore"]
    assert skipped["etcd"].startswith("apt install etcd-client etcd-server")


def test_an_unknown_peer_is_refused() -> None:
    """A name that was mistyped is not silently left out."""
    with pytest.raises(BenchmarkError, match="no peer 'ectd'"):
        choose(["ectd"])


def test_quick_is_shorter_in_every_way() -> None:
    """What --quick leaves open, the command line may still say."""
    full, quick = (plan_of(parse(arguments)) for arguments in ([], ["--quick"]))
    assert quick.rounds * quick.seconds < full.rounds * full.seconds
    assert max(quick.sizes) < max(full.sizes)
    chosen = plan_of(parse(["--quick", "--rounds", "7", "--preload", "10_000,0"]))
    assert (chosen.rounds, chosen.sizes) == (7, (0, 10_000))
