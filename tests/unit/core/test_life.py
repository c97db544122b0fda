"""What becomes of a name: reserved, confirmed, handed over, renamed, let go, held back."""

from __future__ import annotations

import pytest

from namestore.core import reading
from namestore.core.commands import Expire, ExpireItem, Register, RegisterAll, Rename, Wanted
from namestore.core.outcomes import Outcome, Verdict
from namestore.core.policies import HoldBack, Policy
from tests.support.lives import Life
from tests.support.registry_driver import register, release

HOUR_S = 3600
MINUTE_MS = 60_000


def _let_go(life: Life, name: str, owner: str = "ann") -> str:
    command = release(life.request_id().decode(), name, owner)
    return life.registry.decide(command)[0].verdict.name


# -- reservations -----------------------------------------------------------------------------


def test_a_reservation_is_free_again_at_its_end_and_not_before() -> None:
    """Until its last millisecond it is held; from its end on it is anybody's."""
    life = Life()
    assert life.take("user:a", "ann", MINUTE_MS) == "GRANTED"
    life.pass_seconds(59.999)
    assert life.take("user:a", "bob") == "TAKEN"
    life.pass_seconds(0.001)
    assert life.owner_of("user:a") is None
    assert life.take("user:a", "bob") == "GRANTED"
    assert life.owner_of("user:a") == "bob"


def test_a_reservation_that_is_over_ends_with_an_event_of_its_own() -> None:
    """Whoever meets it writes its end first: watchers see it go before it is taken anew."""
    life = Life()
    life.take("user:a", "ann", MINUTE_MS)
    life.pass_seconds(60)
    life.take("user:a", "bob")
    feed = reading.events(life.registry.view(), 1, 10).events
    assert [(event.revision, event.kind.name) for event in feed] == [
        (1, "REGISTERED"),
        (2, "EXPIRED"),
        (3, "REGISTERED"),
    ]
    assert life.registry.meta.name_count == 1


def test_a_confirmed_reservation_stays() -> None:
    """Confirming takes the end away, once; confirming again is answered the same."""
    life = Life()
    life.take("user:a", "ann", MINUTE_MS)
    assert life.confirm("user:a", "bob") == "NOT_OWNER"
    assert life.confirm("user:a") == "CONFIRMED"
    revision = life.registry.meta.revision
    assert life.confirm("user:a") == "CONFIRMED"
    assert life.registry.meta.revision == revision
    life.pass_seconds(HOUR_S)
    assert life.owner_of("user:a") == "ann"
    assert reading.due_expirations(life.registry.view(), life.registry.clock_ms) is None


def test_a_confirmation_that_comes_too_late_finds_nothing() -> None:
    """The name may be somebody else's by then: it is never given back by confirming."""
    life = Life()
    life.take("user:a", "ann", MINUTE_MS)
    life.pass_seconds(60)
    assert life.confirm("user:a") == "NAME_NOT_FOUND"


@pytest.mark.parametrize(("asked_ms", "lasts_ms"), ((0, 30_000), (10, 10), (10**12, 90_000)))
def test_how_long_a_reservation_lasts(asked_ms: int, lasts_ms: int) -> None:
    """0 is the policy's default, and nothing lasts longer than its longest."""
    life = Life(Policy(reservation_default_s=30, reservation_longest_s=90))
    life.take("user:a", ttl_ms=asked_ms)
    (record,) = reading.lookup(life.registry.view(), ["user:a"])
    assert record is not None
    assert record.expire_time_ms == record.create_time_ms + lasts_ms


def test_due_reservations_are_listed_in_order_and_freed_once() -> None:
    """The leader asks what is due by its clock, proposes that, and twice is as good as once."""
    life = Life()
    for number, ttl_ms in enumerate((3000, 1000, 2000, 9000)):
        life.take(f"user:{number}", ttl_ms=ttl_ms)
    view, now_ms = life.registry.view(), life.registry.clock_ms
    assert reading.next_expiration_ms(view) == now_ms + 1000
    assert reading.due_expirations(view, now_ms + 999) is None
    due = reading.due_expirations(view, now_ms + 3000)
    assert due is not None
    assert [item.name for item in due.items] == ["user:1", "user:2", "user:0"]
    assert [outcome.verdict for outcome in life.registry.decide(due)] == [Verdict.NOT_EXPIRED] * 3
    life.registry.clock_ms += 3000
    assert [outcome.verdict for outcome in life.registry.decide(due)] == [Verdict.EXPIRED] * 3
    assert [outcome.verdict for outcome in life.registry.decide(due)] == [Verdict.NOT_EXPIRED] * 3
    assert life.registry.names() == {"user:3"}


def test_expire_leaves_another_holding_alone() -> None:
    """It means one reservation: neither a confirmed one nor a later one of that name."""
    life = Life()
    life.take("user:a", ttl_ms=MINUTE_MS)
    due = reading.due_expirations(life.registry.view(), life.registry.clock_ms + MINUTE_MS)
    assert due is not None
    life.confirm("user:a")
    life.pass_seconds(HOUR_S)
    assert life.registry.decide(due)[0].verdict is Verdict.NOT_EXPIRED
    assert life.owner_of("user:a") == "ann"


@pytest.mark.parametrize(("revision_off", "time_off"), ((1, 0), (0, 1), (0, -1)))
def test_expire_means_one_reservation(revision_off: int, time_off: int) -> None:
    """By its revision and its end, also when that is over."""
    life = Life()
    life.take("user:a", ttl_ms=MINUTE_MS)
    ends_ms = life.registry.clock_ms + MINUTE_MS
    life.pass_seconds(HOUR_S)
    wrong = Expire((ExpireItem("user:a", 1 + revision_off, ends_ms + time_off),))
    assert life.registry.decide(wrong)[0].verdict is Verdict.NOT_EXPIRED


def test_what_was_only_reserved_is_not_held_back() -> None:
    """A sign-up that broke off burns no name, however it ended."""
    life = Life(Policy(hold_back=HoldBack.fixed(HOUR_S)))
    life.take("user:a", ttl_ms=MINUTE_MS)
    life.pass_seconds(60)
    assert life.take("user:a", "bob", MINUTE_MS) == "GRANTED"
    _let_go(life, "user:a", "bob")
    assert life.take("user:a", "eve") == "GRANTED"


# -- requests ---------------------------------------------------------------------------------


def test_the_answer_to_a_reservation_is_remembered_as_it_was() -> None:
    """A retry hears of the same end, also when the reservation is over."""
    life = Life()
    command = Register(b"r", life.wanted("user:a", "ann", MINUTE_MS))
    first = life.registry.decide(command)
    life.pass_seconds(HOUR_S)
    assert life.registry.decide(command) == first
    assert life.owner_of("user:a") is None


def test_late_duplicates_of_every_change_change_nothing() -> None:
    """Each is answered as it was, after others have changed the name again."""
    life = Life()
    life.take("user:a", ttl_ms=MINUTE_MS)
    rename = Rename(b"rename", "user:a", "user:b", "user:b", "ann")
    first = life.registry.decide(rename)
    life.rename("user:b", "user:a")
    revision = life.registry.meta.revision
    assert life.registry.decide(rename) == first
    assert life.registry.meta.revision == revision
    assert life.owner_of("user:a") == "ann"


def test_a_rename_is_recognised_by_its_holding() -> None:
    """Long after the outcome is forgotten, as long as the name is held: nothing moves again."""
    life = Life()
    life.take("user:a")
    rename = Rename(b"rename", "user:a", "user:b", "user:b", "ann")
    (first,) = life.registry.decide(rename)
    life.pass_seconds(26 * HOUR_S)
    life.take("user:a")
    life.take("user:c")
    (late,) = life.registry.decide(rename)
    assert (late.verdict, late.record) == (Verdict.RENAMED, first.record)
    assert life.owner_of("user:a") == "ann"


# -- hold-back --------------------------------------------------------------------------------


def test_a_released_name_waits_for_its_last_owner() -> None:
    """Others hear until when; the last owner may take it; at the end anybody may."""
    life = Life(Policy(hold_back=HoldBack.fixed(HOUR_S)))
    life.take("user:a")
    _let_go(life, "user:a")
    until_ms = life.registry.clock_ms + HOUR_S * 1000
    (refused,) = life.registry.decide(Register(b"r", life.wanted("user:a", "bob")))
    assert refused == Outcome(Verdict.HELD_BACK, life.registry.meta.revision, None, until_ms)
    assert life.take("user:a", "ann") == "GRANTED"
    _let_go(life, "user:a")
    life.pass_seconds(HOUR_S - 0.001)
    assert life.take("user:a", "bob") == "HELD_BACK"
    life.pass_seconds(0.001)
    assert reading.held_back(life.registry.view(), "user:a") is None
    assert life.take("user:a", "bob") == "GRANTED"


@pytest.mark.parametrize(("held_s", "waits_s"), ((10, 60), (1000, 500), (10_000, 900)))
def test_a_hold_back_in_proportion_to_the_time_held(held_s: int, waits_s: int) -> None:
    """Half of it, within the bounds."""
    life = Life(Policy(hold_back=HoldBack(50, 60, 900)))
    life.take("user:a")
    life.pass_seconds(held_s)
    _let_go(life, "user:a")
    held = reading.held_back(life.registry.view(), "user:a")
    assert held is not None
    assert held.until_ms == life.registry.clock_ms + waits_s * 1000


def test_the_look_alike_of_a_name_held_back_waits_too() -> None:
    """Otherwise an impersonator would take the twin the same second."""
    life = Life(Policy(look_alikes=True, hold_back=HoldBack.fixed(HOUR_S)))
    life.take("user:lo")
    _let_go(life, "user:lo")
    (refused,) = life.registry.decide(Register(b"r", life.wanted("user:10", "bob")))
    assert (refused.verdict, refused.in_way) == (Verdict.HELD_BACK, "user:lo")
    assert life.take("user:10", "ann") == "GRANTED"
    assert life.take("user:lo", "ann") == "CONFUSABLE"


def test_a_look_alike_of_the_last_owner_leaves_the_hold_back_as_it_was() -> None:
    """He may take one meanwhile; once that is gone, what waits for him keeps others out again."""
    life = Life(Policy(look_alikes=True, hold_back=HoldBack.fixed(HOUR_S)))
    life.take("user:lo")
    _let_go(life, "user:lo")
    assert life.take("user:l0", ttl_ms=1000) == "GRANTED"
    assert life.take("user:1o", "bob") == "CONFUSABLE"
    life.pass_seconds(2)
    for name in ("user:lo", "user:l0", "user:1o"):
        assert life.take(name, "bob") == "HELD_BACK"
    assert life.take("user:lo") == "GRANTED"
    assert life.take("user:l0", "bob") == "CONFUSABLE"


def test_the_newest_hold_back_of_look_alikes_decides_and_then_the_one_before() -> None:
    """A renamed name and its look-alike wait for different owners, each for its own time."""
    life = Life(Policy(look_alikes=True, hold_back=HoldBack(100, 0, 10 * HOUR_S)))
    life.take("user:lo")
    life.pass_seconds(HOUR_S)
    life.rename("user:lo", "user:l0")  # the old one waits an hour for ann
    life.update("user:l0", new_owner="eve")
    life.pass_seconds(60)
    life.registry.decide(release("gone", "user:l0", "eve"))  # and this one a minute for eve
    assert life.take("user:1o", "ann") == "HELD_BACK"
    assert life.take("user:1o", "eve", ttl_ms=1000) == "GRANTED"
    life.pass_seconds(90)
    assert life.take("user:1o", "eve") == "HELD_BACK"
    assert life.take("user:1o", "ann", ttl_ms=1000) == "GRANTED"
    life.pass_seconds(2 * HOUR_S)
    assert life.take("user:10", "bob") == "GRANTED"


def test_a_hold_back_that_ends_takes_no_key_from_a_name_that_is_held() -> None:
    """Its last owner took the look-alike meanwhile: that one excludes others from then on."""
    life = Life(Policy(look_alikes=True, hold_back=HoldBack.fixed(60)))
    life.take("user:lo")
    _let_go(life, "user:lo")
    assert life.take("user:10", "ann") == "GRANTED"
    life.pass_seconds(61)
    life.pass_seconds(1)
    assert life.take("user:lo", "bob") == "CONFUSABLE"


def test_hold_backs_that_are_over_leave_nothing_behind() -> None:
    """They are forgotten a few at a time, with their keys, also when nobody asks for the name."""
    life = Life(Policy(look_alikes=True, hold_back=HoldBack.fixed(60)))
    for number in range(10):
        life.take(f"user:{number}x")
        _let_go(life, f"user:{number}x")
        life.pass_seconds(1)
    life.pass_seconds(HOUR_S)
    life.pass_seconds(1)
    life.pass_seconds(1)
    left = {key[:1] for key in life.registry.state.content}
    assert not left & {b"b", b"d", b"k"}
    assert life.registry.meta.next_hold_end_ms == 0


# -- update, rename, limits -------------------------------------------------------------------


def test_update_needs_owner_and_fence() -> None:
    """And changes nothing where there is nothing to change."""
    life = Life()
    life.take("user:a")
    assert life.update("user:a", "bob") == "NOT_OWNER"
    assert life.update("user:a", fence=7) == "STALE_FENCE"
    assert life.update("user:b") == "NAME_NOT_FOUND"
    assert life.update("user:a", fence=1) == "UPDATED"
    assert life.registry.meta.revision == 1
    assert life.update("user:a", new_owner="bob", fence=1) == "UPDATED"
    assert life.owner_of("user:a") == "bob"


def test_history_says_who_held_a_name_and_when() -> None:
    """Also when it was handed over within one holding, and who holds it now."""
    life = Life()
    times = [life.registry.clock_ms]
    life.take("user:a")
    for change in (
        lambda: life.update("user:a", "ann", "bob"),
        lambda: _let_go(life, "user:a", "bob"),
        lambda: life.take("user:a", "eve"),
    ):
        life.pass_seconds(10)
        times.append(life.registry.clock_ms)
        change()
    past = reading.history(life.registry.view(), "user:a")
    assert [(item.owner, item.from_ms, item.to_ms) for item in past] == [
        ("ann", times[0], times[1]),
        ("bob", times[1], times[2]),
        ("eve", times[3], 0),
    ]
    assert [item.ended_by and item.ended_by.name for item in past] == [
        "HANDED_OVER",
        "RELEASED",
        None,
    ]
    assert reading.history(life.registry.view(), "user:") == []


def test_rename_takes_the_new_name_and_lets_go_of_the_old_one() -> None:
    """In one step, with payload; the old name waits for its owner, and leads to the new one."""
    life = Life(Policy(hold_back=HoldBack.fixed(HOUR_S), redirect_after_rename=True))
    life.take("user:a")
    assert life.rename("user:a", "user:b") == "RENAMED"
    view = life.registry.view()
    assert life.registry.names() == {"user:b"}
    assert life.take("user:a", "bob") == "HELD_BACK"
    found = reading.redirected(view, "user:a")
    assert found is not None
    assert found.name == "user:b"
    life.rename("user:b", "user:c")
    further = reading.redirected(life.registry.view(), "user:a")
    assert further is not None
    assert further.name == "user:c"


def test_a_redirect_never_leads_to_somebody_else() -> None:
    """It means one holding: when that ended, a stranger under the same name is no answer."""
    life = Life(Policy(redirect_after_rename=True))
    life.take("user:a")
    life.rename("user:a", "user:b")
    _let_go(life, "user:b")
    life.take("user:b", "eve")
    assert reading.redirected(life.registry.view(), "user:a") is None


def test_a_redirect_ends_when_the_name_is_taken() -> None:
    """And it outlives the hold-back until then."""
    life = Life(Policy(hold_back=HoldBack.fixed(60), redirect_after_rename=True))
    life.take("user:a")
    life.rename("user:a", "user:b")
    life.pass_seconds(61)
    assert reading.redirected(life.registry.view(), "user:a") is not None
    assert life.take("user:a", "bob") == "GRANTED"
    assert reading.redirected(life.registry.view(), "user:a") is None


@pytest.mark.parametrize(
    ("to_name", "owner", "verdict"),
    (
        ("user:held", "ann", "TAKEN"),
        ("user:he1d", "ann", "CONFUSABLE"),
        ("user:waits", "ann", "HELD_BACK"),
        ("user:new", "bob", "NOT_OWNER"),
        ("user:a", "ann", "TAKEN"),
        ("user:0", "ann", "RENAMED"),
    ),
)
def test_rename_does_both_or_neither(to_name: str, owner: str, verdict: str) -> None:
    """What is in the way of the new name leaves the old one where it is; a name's own look-alike
    is not in its way.
    """
    life = Life(Policy(look_alikes=True, hold_back=HoldBack.fixed(HOUR_S)))
    life.take("user:o" if to_name == "user:0" else "user:a")
    life.take("user:held", "eve")
    life.take("user:waits", "eve")
    _let_go(life, "user:waits", "eve")
    before = life.registry.names()
    assert life.rename("user:o" if to_name == "user:0" else "user:a", to_name, owner) == verdict
    moved = {"user:0", "user:held"} if verdict == "RENAMED" else before
    assert life.registry.names() == moved


def test_an_owner_has_no_more_names_than_the_policy_lets_him() -> None:
    """Counted per namespace; released names count no more; handing over counts as taking."""
    life = Life(Policy(names_per_owner_max=2))
    assert [life.take(f"user:{number}") for number in range(3)] == [
        "GRANTED",
        "GRANTED",
        "OWNER_LIMIT",
    ]
    assert life.take("post:1") == "GRANTED"
    assert life.take("user:b", "bob") == "GRANTED"
    assert life.update("user:b", "bob", "ann") == "OWNER_LIMIT"
    assert life.rename("user:0", "user:9") == "RENAMED"
    assert life.rename("post:1", "user:8") == "OWNER_LIMIT"
    _let_go(life, "user:1")
    assert life.update("user:b", "bob", "ann") == "UPDATED"
    assert reading.owner_count(life.registry.view(), "user", "ann") == 2
    assert reading.owner_count(life.registry.view(), "user", "bob") == 0


def test_names_of_one_request_exclude_each_other() -> None:
    """Look-alikes of one request, and more names than the owner may have: all or nothing."""
    life = Life(Policy(look_alikes=True, names_per_owner_max=2))

    def take_all(*names: str) -> list[Outcome]:
        many: tuple[Wanted, ...] = tuple(map(life.wanted, names))
        return list(life.registry.decide(RegisterAll(life.request_id(), many)))

    refused = take_all("user:lo", "user:x", "user:10")
    assert [outcome.verdict.name for outcome in refused] == ["NOT_TRIED", "NOT_TRIED", "CONFUSABLE"]
    assert refused[2].in_way == "user:lo"
    limited = take_all("user:1", "user:2", "user:3", "post:1")
    assert [outcome.verdict.name for outcome in limited] == [
        "NOT_TRIED",
        "NOT_TRIED",
        "OWNER_LIMIT",
        "NOT_TRIED",
    ]
    assert [outcome.verdict.name for outcome in take_all("user:x", "post:1")] == ["GRANTED"] * 2


def test_a_name_that_nobody_gave_a_policy_lives_as_before() -> None:
    """No hold-back, no limit, no redirect: released is free."""
    life = Life(Policy(hold_back=HoldBack.fixed(HOUR_S), names_per_owner_max=1))
    life.registry.decide(register("p1", "post:a"))
    life.registry.decide(register("p2", "post:b"))
    life.rename("post:a", "post:c")
    assert life.take("post:a", "bob") == "GRANTED"
