"""A whole run as it may be kept or shown: the one place that decides what of it could be secret."""

from __future__ import annotations

from dataclasses import replace

from perfhunt.model import redact
from perfhunt.model.inside.look import StartedService
from perfhunt.model.profile import Frame, FrameKind, Profile, Stack, regrouped
from perfhunt.model.run import Run, TargetProcess
from perfhunt.model.states import States


def redacted(run: Run) -> Run:
    """The run without what may be secret in its question, in the command lines of its target, and
    in what tools and the kernel make of command lines. Redacting twice changes nothing.
    """
    return replace(
        run,
        question=run.question.redacted(),
        target=None if run.target is None else _target(run.target),
        launched=None if run.launched is None else _started(run.launched),
        states={span: _states(states) for span, states in run.states.items()},
        profiles={span: redacted_profile(profile) for span, profile in run.profiles.items()},
    )


def _started(launched: StartedService) -> StartedService:
    return replace(launched, command=redact.command(launched.command))


def redacted_profile(profile: Profile) -> Profile:
    """The profile without command lines in the frames that tools make of processes, and without
    code in the places of frames.
    """

    def named(stack: Stack) -> Stack:
        return tuple(map(_frame, stack))

    return replace(profile, stacks=regrouped(profile.stacks, named))


def _frame(frame: Frame) -> Frame:
    if frame.kind == FrameKind.THREAD:
        return replace(frame, function=redact.frame_name(frame.function))
    file = redact.file_name(frame.file)
    return frame if file == frame.file else replace(frame, file=file)


def _states(states: States) -> States:
    # A row of several threads has no tid, and a name of ours.
    threads = tuple(replace(t, name=redact.thread(t.name)) if t.tid else t for t in states.threads)
    return replace(states, threads=threads)


def _target(target: TargetProcess) -> TargetProcess:
    processes = tuple(
        replace(p, cmdline=redact.command(p.cmdline, p.exe)) for p in target.processes
    )
    return replace(target, processes=processes)
