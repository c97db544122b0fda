"""What goes on and on is said ever less often, and never for the first time too late."""

from __future__ import annotations

from namestore.raft.transport.quiet_log import QuietLog


class Heard:
    """A logger that remembers when it was told, and how often it was not."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[tuple[float, object]] = []

    def warning(self, event: str, **details: object) -> None:
        del event
        self.lines.append((self.now, details.get("left_out")))

    def every_second(self, quiet: QuietLog, subject: str, seconds: int) -> list[float]:
        before = len(self.lines)
        for _ in range(seconds):
            quiet.warning("refused", subject)
            self.now += 1.0
        return [at for at, _ in self.lines[before:]]


def test_the_same_is_said_after_pauses_that_double() -> None:
    """At once, then after 5, 10, 20, … seconds, and how often it was left out."""
    heard = Heard()
    quiet = QuietLog(heard, lambda: heard.now)
    assert heard.every_second(quiet, "n1", 100) == [0.0, 5.0, 15.0, 35.0, 75.0]
    assert heard.lines[-1] == (75.0, 39)


def test_pauses_end_somewhere() -> None:
    """Whoever looks into the log finds it, however long it has gone on."""
    heard = Heard()
    quiet = QuietLog(heard, lambda: heard.now)
    said = heard.every_second(quiet, "n1", 2000)
    assert said[-1] - said[-2] == 320.0


def test_another_subject_is_said_at_once() -> None:
    """One noisy peer hides no other."""
    heard = Heard()
    quiet = QuietLog(heard, lambda: heard.now)
    heard.every_second(quiet, "n1", 50)
    assert heard.every_second(quiet, "n2", 1) == [50.0]


def test_what_had_ended_begins_anew() -> None:
    """After a long silence the first pause is the short one again."""
    heard = Heard()
    quiet = QuietLog(heard, lambda: heard.now)
    heard.every_second(quiet, "n1", 40)
    heard.now += 1000.0
    assert heard.every_second(quiet, "n1", 6) == [1040.0, 1045.0]
