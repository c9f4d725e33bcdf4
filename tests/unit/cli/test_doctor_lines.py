"""How a check of `perfhunt doctor` is told."""

from __future__ import annotations

import sys

from perfhunt.cli.verbs.doctor import check_lines
from perfhunt.target.host.check import Check, CheckStatus

SENTENCE = "the stacks of 1 thread were read from its memory, without stopping it; " * 2
MEND = "sudo sysctl kernel.yama.ptrace_scope=0, or: docker run --cap-add SYS_PTRACE IMAGE"
CHECK = Check("looks", CheckStatus.WARN, SENTENCE.strip(), MEND)


def test_a_sentence_keeps_to_the_terminal_and_a_command_stays_whole() -> None:
    *told, mend = check_lines(CHECK, 80)
    assert len(told) > 1
    assert all(len(line) <= 80 for line in told)
    assert all(line.startswith(" " * 23) for line in told[1:])
    assert mend.endswith(MEND)


def test_a_pipe_has_a_line_for_a_check() -> None:
    assert len(check_lines(CHECK, sys.maxsize)) == 2
