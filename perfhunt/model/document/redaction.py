"""A whole run as it may be kept or shown: the one place that decides what of it could be secret."""

from __future__ import annotations

from dataclasses import replace

from perfhunt.model import redact
from perfhunt.model.profile import FrameKind, Profile, Stack, regrouped
from perfhunt.model.run import Run, TargetProcess


def redacted(run: Run) -> Run:
    """The run without what may be secret in its question, in the command lines of its target, and
    in the frames that tools make of command lines. Redacting twice changes nothing.
    """
    return replace(
        run,
        question=run.question.redacted(),
        target=None if run.target is None else _target(run.target),
        profiles={span: redacted_profile(profile) for span, profile in run.profiles.items()},
    )


def redacted_profile(profile: Profile) -> Profile:
    """The profile without command lines in the frames that tools make of processes."""

    def named(stack: Stack) -> Stack:
        return tuple(
            replace(f, function=redact.frame_name(f.function)) if f.kind == FrameKind.THREAD else f
            for f in stack
        )

    return replace(profile, stacks=regrouped(profile.stacks, named))


def _target(target: TargetProcess) -> TargetProcess:
    processes = tuple(replace(p, cmdline=redact.command(p.cmdline)) for p in target.processes)
    return replace(target, processes=processes)
