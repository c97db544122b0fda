"""The simulation in its short form: new seeds each time, known ones always; and that it bites.

The long form is `make simulate`; docs/testing.md says how to read and shorten what it finds.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from namestore.core.deciding import changing
from namestore.errors import DiskFailed
from tests.simulation import mutants_names as names
from tests.simulation import sweep as sweep_module
from tests.simulation import world
from tests.simulation.attempt import PLAIN, PLAIN_POWER, attempt
from tests.simulation.crashes import HOLDING, plan_of
from tests.simulation.gateway_host import SimReplica
from tests.simulation.host import EngineHost
from tests.simulation.identities import seeded_identities
from tests.simulation.machine import Killed
from tests.simulation.network import Network
from tests.simulation.plain_watch import LIES
from tests.simulation.plan import LinkFaults, Plan
from tests.simulation.run import Run
from tests.simulation.scenes import SCENES
from tests.simulation.shrink import shrink
from tests.simulation.sweep import LostRuns, command, hunt, sweep
from tests.simulation.world import World
from tests.support.drawn import DRAWN

ROOT = Path(__file__).resolve().parents[2]

# Runs in which something goes wrong that was once not borne, or must always be, each with a planted
# fault that shows there, and by which check: so each is what it is called, whatever becomes of how
# plans are drawn.
# Where the code has changed so that it is another run, another seed of the same plan is near.
REGRESSIONS: dict[str, tuple[Plan, str, str]] = {
    "an answer of an older term arrives when its receiver leads again": (
        Plan.draw(17),
        "CountsOldAnswers",
        "no node stops itself",
    ),
    "a voter dies with its vote on its way, and is asked again": (
        Plan.draw(205),
        "VoteForgotten",
        "one vote a term",
    ),
    "a retry meets a node that was brought up by a snapshot": (
        Plan.draw(3),
        "SnapshotWithoutRequests",
        "equal states",
    ),
    "a policy is taken, and the majority is lost before it is read again": (
        Plan.draw(44),
        "DeniesTakenPolicy",
        "certainly not done",
    ),
    "a leader's disk fails with the removal of the other voter, who has it already": (
        replace(Plan.draw(50000325), seed=327),
        "LeftOutOnlyAsks",
        "liveness",
    ),
    "who is left out stands, and an emptied disk would vote for it": (
        replace(Plan.draw(150001449), calm_pause=0.0, seed=173),
        "LeftOutJudgesNobody",
        "voted in",
    ),
    "a removal comes when the node has been added again": (
        replace(
            Plan.draw(150007542),
            seed=504,
            official=0.0,
            shares=False,
            clients=2,
            links=replace(Plan.draw(150007542).links, slow_chance=0.1, slow_max=8.0),
        ),
        "LateOrdersCount",
        "liveness",
    ),
    "a deposed leader is asked to add who was removed meanwhile": (
        replace(Plan.draw(90001127), seed=1556),
        "MembersUnconfirmed",
        "liveness",
    ),
    "a squashed feed goes on at a node that is behind the one before it": (
        replace(Plan.draw(200000096), seed=95),
        "SquashWhereOneLags",
        "feeds",
    ),
    "a leader begins a change in the turn that commits what was before it": (
        Plan.draw(400000868),
        "TwoChangesAtOnce",
        "one change at a time",
    ),
    "a leader's clock is behind those of the others": (
        replace(Plan.draw(238), seed=1),
        "FreesBySlowClock",
        "liveness",
    ),
}


def test_new_seeds_find_nothing() -> None:
    """No invariant breaks, no caller is lied to, and every cluster serves again, on seeds nobody
    has seen; a failure prints how to see it again."""
    first = int(time.time()) * 1000
    told: list[str] = []
    tally = sweep(range(first, first + 40), 1, say=told.append, seconds_max=12.0)
    DRAWN.append(f"simulation from seed {first} on: {tally.summary()}")
    assert not tally.found, "\n".join(told)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_known_runs_find_nothing(name: str) -> None:
    """What was found once is not found again; and it would be, if it were there."""
    plan, fault, check = REGRESSIONS[name]
    ending = attempt(plan)
    assert not ending.check, f"{ending.told}\n{command('replay', ending.plan)} --trace"
    assert attempt(plan, fault).check == check


@pytest.mark.parametrize(
    ("subject", "seeds"),
    (
        ("SaysBeforeSync", 5),
        ("CutsCommitted", 5),
        ("AppliesTwice", 10),
        ("ReadsWithoutBarrier", 10),
        ("RetriesAsAnother", 10),
    ),
)
def test_planted_faults_are_found(subject: str, seeds: int) -> None:
    """The simulation bites: namestore with one rule broken, in its engine, a node's gateway or the
    client library, does not survive it."""
    ending = hunt(subject, 1, seeds, 1).ending
    assert ending is not None
    assert not ending.slipped, ending.told


def test_a_planted_fault_that_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """That it raises where it was planted says nothing of the judges."""
    monkeypatch.setattr(names.OwnerIgnored, "replaced", ((changing, "_held", lambda: None),))
    ending = attempt(Plan.draw(1), "OwnerIgnored")
    assert ending.slipped, ending.told


def test_a_planted_fault_that_does_not_exist_is_refused() -> None:
    """Else its name, misspelt, would count as found."""
    with pytest.raises(ValueError, match="BelievesEverybody"):
        attempt(Plan.draw(1), "BelievesEverybody")


def test_a_link_is_whole_when_no_fault_cuts_it_any_more() -> None:
    """Faults overlap: the first that is over does not end the others; calm ends all."""
    network = Network(World(1), LinkFaults())
    network.hosts = dict.fromkeys("ab", SimpleNamespace(running=False))
    seen = []
    for act in (network.cut, network.cut, network.heal, network.heal, network.heal, network.cut):
        act("a", "b")
        seen.append(network.link("a", "b").cut)
    network.calm()
    assert seen == [True, True, True, False, False, True]
    assert not network.link("a", "b").cut


def test_an_error_in_the_log_fails_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine survives what its callers raise, who then hear "unknown": no judge objects."""
    propose = SimReplica.propose

    def raising(self: Any, commands: Any, timeout: float, done: Any) -> None:
        asking = True

        def answered(answer: Any) -> None:
            done(answer)
            if not asking:
                raise RuntimeError("a fault of the caller")

        propose(self, commands, timeout, answered)
        asking = False

    monkeypatch.setattr(SimReplica, "propose", raising)
    ending = attempt(Plan.draw(8))
    assert ending.check == "no error is logged"
    assert "a fault of the caller" in ending.told


def test_a_run_that_goes_round_in_circles_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a finding, not never."""
    monkeypatch.setattr(world, "_EVENTS_MAX", 100)
    assert "events by" in attempt(Plan.draw(8)).told


def test_a_process_that_dies_while_it_starts_comes_back() -> None:
    """Also at the disk operations of its first steps; and on a disk that is still full."""
    run = Run(Plan.draw(8))
    host = run.founders[0]
    boots = [Killed(), DiskFailed("no space left on device"), None]

    def boot() -> None:
        ending = boots.pop(0)
        if isinstance(ending, DiskFailed):
            host.drive.fill()
        if ending is not None:
            raise ending
        EngineHost._boot(host)

    host._boot = boot
    with seeded_identities(8):
        host.start()
        run.world.run(run.world.now + 20.0, lambda: host.running)
    host.put_away()
    assert (host.running, host.kills, host.lives) == (True, 2, 3)


def test_a_run_that_never_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was killed, or hangs: not a clean sweep of fewer seeds."""
    monkeypatch.setattr(sweep_module, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(sweep_module, "attempt", lambda plan, subject: time.sleep(60))
    with pytest.raises(LostRuns):
        sweep(range(2), 2)


def test_a_death_between_reserve_and_confirm_burns_no_name() -> None:
    """Applications die with a reserved name in hand, while nodes die as well: each name is free
    again, or its holder's, and nobody else's. `python -m tests.simulation crashes`: a thousand."""
    plan = plan_of(int(time.time()), applications=12)
    again = f"{command('replay', plan)} --trace"
    DRAWN.append(f"deaths between reserve and confirm: {again}")
    ending = attempt(plan)
    assert not ending.check, f"{ending.told}\n{again}"
    assert ending.result is not None
    assert sum(ending.result.counts.get(when, 0) for when in HOLDING) > 20, again


def test_plain_pysyncobj_lies_to_its_callers() -> None:
    """What namestore's layers are there for shows without them: a name is granted twice, or an
    acknowledged one is lost, or answers contradict each other otherwise."""
    found = hunt(PLAIN_POWER, 1, 48, 1, LIES).ending
    assert found is not None
    assert found.check in LIES
    again = attempt(found.plan, PLAIN_POWER)
    assert (again.told, again.broken) == (found.told, found.broken)


def test_plain_pysyncobj_breaks_without_power_cuts() -> None:
    """Nor is it the power alone: where nothing that was written is lost, states part and
    committed entries change."""
    checks = (*LIES, "committed for good", "equal states", "commit on a majority")
    assert hunt(PLAIN, 1, 48, 1, checks).ending is not None


def test_a_seed_is_one_run() -> None:
    """Neither another process, nor another order of hashes, nor other runs before make a run
    differ."""
    code = (
        "import sys\n"
        "from tests.simulation.attempt import attempt\n"
        "from tests.simulation.plan import Plan\n"
        "for seed in map(int, sys.argv[1:]): print(attempt(Plan.draw(seed)).result)"
    )
    printed = []
    # 25 has policies, whose judges a process makes once.
    for hash_seed, seeds in (("1", ["25", "3", "8"]), ("2", ["8", "25"])):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        finished = subprocess.run(
            [sys.executable, "-c", code, *seeds],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        printed.append(finished.stdout.splitlines())
    assert printed[0][2] == printed[1][0]
    assert printed[0][0] == printed[1][1]
    assert "trail" in printed[0][1]


def test_a_trace_changes_nothing() -> None:
    """Looking at a run does not disturb it."""
    lines: list[str] = []
    seen, unseen = attempt(Plan.draw(8), trace=lines.append), attempt(Plan.draw(8))
    assert seen.result == unseen.result
    assert any("synced" in line for line in lines)
    assert any("append_entries" in line for line in lines)


def test_every_scene_is_drawn() -> None:
    """Swarm: seeds differ in what goes wrong, and a plan survives the way to a command line."""
    assert {Plan.draw(seed).scene for seed in range(200)} == set(SCENES)
    settings = {"scene": "sign-ups", "clients": 1, "links.loss": 0.5, "every.kill": None}
    plan = Plan.draw(4).changed(settings)
    words = shlex.split(plan.arguments())
    sets: dict[str, Any] = {}
    for word in words[2::2]:
        name, _, value = word.partition("=")
        sets[name] = json.loads(value)
    assert Plan.draw(int(words[0])).changed(sets) == plan


def test_a_failure_is_shortened() -> None:
    """What is left of a failing run still fails by the same check, with less going on."""
    plan = Plan.draw(1)
    ending = shrink(plan, "SaysBeforeSync", lambda line: None, runs_max=25)
    assert ending.check == attempt(plan, "SaysBeforeSync").check
    assert len(ending.plan.every) < len(plan.every) or ending.plan.clients < plan.clients
