"""Deliberate faults, one at a time in namestore itself: does the simulator find each of them?"""

from __future__ import annotations

from namestore.raft.engine import Engine
from tests.simulation import mutants_agreement as agreement
from tests.simulation import mutants_batches as batches
from tests.simulation import mutants_callers as callers
from tests.simulation import mutants_disk as disk
from tests.simulation import mutants_feeds as feeds
from tests.simulation import mutants_members as members
from tests.simulation import mutants_names as names
from tests.simulation import mutants_service as service
from tests.simulation.mutants_callers import Planted

MUTANTS: tuple[type[Engine] | type[Planted], ...] = (
    agreement.SaysBeforeSync,
    agreement.VoteNotKept,
    agreement.VoteForgotten,
    agreement.CountsUnsynced,
    agreement.ShortensTooEarly,
    agreement.VotesTwice,
    agreement.VotesForAnyLog,
    agreement.TrustsOldLeader,
    agreement.CountsOldAnswers,
    agreement.CutsOnEveryAppend,
    agreement.CutsCommitted,
    agreement.CommitsWhatItHas,
    agreement.AcknowledgesWhatItHas,
    agreement.CommitsOlderTerms,
    service.ReadsUnconfirmed,
    service.ReadsTooEarly,
    service.ReadsUnapplied,
    service.SaysCertainlyNot,
    service.AppliesTwice,
    service.SkipsOne,
    service.RequestsForgotten,
    service.SnapshotWithoutRequests,
    service.SnapshotKeepsLog,
    callers.DeniesHandedOn,
    callers.ReadsWithoutBarrier,
    callers.JoinsIssuedBarrier,
    callers.KeepsRoomOfGivenUp,
    callers.AnswersAnother,
    callers.RetriesAsAnother,
    callers.BelievesTheChannel,
    callers.ForgetsItsDoubt,
    callers.SaysUnsent,
    members.LearnersCount,
    members.StrangersVote,
    members.TwoChangesAtOnce,
    members.ChangesTooEarly,
    members.KeepsLostMembership,
    members.SnapshotWithoutMembers,
    members.GoesOnRemoved,
    members.NeverToldRemoved,
    members.BelievesRemovalAtOnce,
    members.EmptiedNodeVotes,
    disk.EntriesUnchecked,
    disk.DamagePassesForTorn,
    disk.DropsSegmentInUse,
    disk.ReplacedEntriesStay,
    names.ExpiresByOwnClock,
    names.BelievesOneClock,
    names.EndsForgetRequests,
    names.ConfirmIgnored,
    names.ReadsExpired,
    names.ReservationsBurn,
    names.NobodyFrees,
    names.FreesBySlowClock,
    names.FenceIgnored,
    names.OwnerIgnored,
    names.HeirsRefused,
    names.RenameInTwoSteps,
    names.TakesSomeOfAll,
    names.HistoryForgetsOwners,
    names.PagesSkip,
    names.HoldBackForgotten,
    names.LooksUnchecked,
    names.JudgedByAnyPolicy,
    names.PolicyAtOnce,
    names.RedirectsToAnybody,
    names.NobodyCarriesOn,
    names.DeniesTakenPolicy,
    batches.BatchesTakeHeld,
    batches.BatchesShareIds,
    batches.TogetherForgotten,
    batches.BatchesCountOneUp,
    feeds.WatchSkipsOnResume,
    feeds.WatchRepeats,
    feeds.TailSkips,
    feeds.SquashForgetsEnds,
    feeds.NowIsThePast,
    feeds.CompactedUnsaid,
)

# They need so much to come together that no few seeds find them: each has a test of its own.
RARE: tuple[type[Engine] | type[Planted], ...] = (
    members.LateOrdersCount,
    members.LeftOutJudgesNobody,
    members.LeftOutOnlyAsks,
    members.MembersUnconfirmed,
    names.StandsUntilClocksComeUp,
    feeds.SquashWhereOneLags,
)
