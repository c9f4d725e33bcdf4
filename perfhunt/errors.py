"""Everything perfhunt can refuse or fail at, with the exit code each carries.

    PerfhuntError                1    something inside perfhunt went wrong
    |-- UsageError               2    the command line does not make sense
    |   `-- TargetNotFound       2    no such process, or it listens on nothing
    |-- ChangeRefused           92    no change, or more than one
    |-- UnsafeTarget            93    load there was not allowed
    |-- TargetBusy              94    another load test is on this target
    |-- AttachFailed            95    a profile was required and no profiler could attach
    |-- TargetDied              96    the service went away or was killed while under load
    |-- CommandOverran          91    a command that is timed took longer than it may
    |-- QuestionError          104    the test file is bad, missing, or has no SLO
    |-- Stopped                105    a signal or the killswitch ended the run
    `-- LoadFailed               1    the load child could not do its work
        |-- TrafficError       104    what was to be sent cannot be: the locustfile, a feed
        StoreError               1    a run directory or the ledger cannot be read or written
        Unreadable               1    what others wrote is no such thing, or more than is read

Verdicts have codes too, but a verdict is an answer, not an error: see `ExitCode`.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The process exit code of every verb. Public and stable; shared meanings with k6 where k6 has
    them.
    """

    OK = 0
    INTERNAL = 1
    USAGE = 2
    REGRESSION = 90
    INCONCLUSIVE = 91
    CHANGE_REFUSED = 92
    UNSAFE_TARGET = 93
    TARGET_BUSY = 94
    ATTACH_FAILED = 95
    TARGET_DIED = 96
    SLO_MISSED = 99
    BAD_TEST_FILE = 104
    STOPPED = 105


# What each code says, as --help, the man page and docs/reference/exit-codes.md have it.
EXIT_MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "SLO met, nothing regressed",
    ExitCode.INTERNAL: "internal error",
    ExitCode.USAGE: "usage",
    ExitCode.REGRESSION: "regression",
    ExitCode.INCONCLUSIVE: "inconclusive",
    ExitCode.CHANGE_REFUSED: "change refused",
    ExitCode.UNSAFE_TARGET: "unsafe target refused",
    ExitCode.TARGET_BUSY: "target busy",
    ExitCode.ATTACH_FAILED: "attach failed",
    ExitCode.TARGET_DIED: "target died",
    ExitCode.SLO_MISSED: "SLO missed",
    ExitCode.BAD_TEST_FILE: "bad or missing test file",
    ExitCode.STOPPED: "stopped by signal or killswitch",
}


class PerfhuntError(Exception):
    """Something inside perfhunt went wrong.

    `message` says what and where; `hint` says what to do next, as a sentence or a command.
    """

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:  # a traceback shows it as well: the end of a log may be all that says why
            self.add_note(hint)


class UsageError(PerfhuntError):
    """The command line did not make sense."""

    exit_code = ExitCode.USAGE


class TargetNotFound(UsageError):
    """The process named does not exist, or listens on nothing that load could be sent to."""


class ChangeRefused(PerfhuntError):
    """The working tree held no change, or more than one."""

    exit_code = ExitCode.CHANGE_REFUSED


class UnsafeTarget(PerfhuntError):
    """Load on that target was not allowed."""

    exit_code = ExitCode.UNSAFE_TARGET


class TargetBusy(PerfhuntError):
    """Another load test held the target."""

    exit_code = ExitCode.TARGET_BUSY


class AttachFailed(PerfhuntError):
    """A profile was required and no profiler could attach."""

    exit_code = ExitCode.ATTACH_FAILED


class TargetDied(PerfhuntError):
    """The service went away, or was killed, while it was under load."""

    exit_code = ExitCode.TARGET_DIED


class CommandOverran(PerfhuntError):
    """A command that is timed took longer than it may."""

    exit_code = ExitCode.INCONCLUSIVE


class QuestionError(PerfhuntError):
    """The test file was bad, missing, or held no SLO."""

    exit_code = ExitCode.BAD_TEST_FILE


class Stopped(PerfhuntError):
    """A signal or the killswitch ended the run."""

    exit_code = ExitCode.STOPPED


class LoadFailed(PerfhuntError):
    """The load child could not do its work."""


class TrafficError(LoadFailed):
    """What the user wrote to be sent cannot be: a locustfile, its options or classes, a feed."""

    exit_code = ExitCode.BAD_TEST_FILE


class StoreError(PerfhuntError):
    """A run directory or the ledger could not be read or written."""


class OwnWords(Exception):
    """A kind of error that is raised amid code of others, and whose text is ours all the same: it
    holds nothing that may not be kept.
    """


class Unreadable(PerfhuntError):
    """What others wrote (a profile, a lock file, an answer) was not what it should be, or was
    larger, longer or deeper than is read. The readers' own errors are of this kind.
    """
