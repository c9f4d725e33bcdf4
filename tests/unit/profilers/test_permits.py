"""Who waits for permits of tokio's and who has them, told from calls: against a semaphore that
makes those calls, as tokio's does, and knows the truth.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import pytest

from perfhunt.profilers.native.calls import SeenCall
from perfhunt.profilers.native.unwind import Registers
from perfhunt.profilers.tokio.permits import PermitQueue

SEMAPHORE = 0x5000
WORKERS = 2
A_CALL = 2e-6  # seconds from one call of a poll to the next


@dataclass
class FairSemaphore:
    """Permits by turn; each call that is seen of it goes into `calls`."""

    free: int
    calls: list[SeenCall] = field(default_factory=list)
    queue: deque[int] = field(default_factory=deque)
    woken: list[int] = field(default_factory=list)
    having: list[int] = field(default_factory=list)
    at: float = 1.0
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def see(
        self, function: str, first: int, second: int = 0, third: int = 0, state: int = 0
    ) -> None:
        self.at += A_CALL
        thread = random.Random(first).randrange(WORKERS)
        registers = Registers(0x1000, 0x7000, {})
        # What is on the stack leads to the state of the task that runs.
        raw = b"".join(word.to_bytes(8, "little") for word in (0x7FFF00000000, state))
        self.calls.append(
            SeenCall(function, self.at, thread, (first, second, third), registers, raw)
        )

    def ask(self, future: int) -> None:
        """A task's first poll: it has a permit now, or stands in line."""
        self.see("asked", future, SEMAPHORE, 1)
        self.see("polled", future)
        if self.free and not self.queue:
            self.free -= 1
            self._got(future)
        else:
            self.queue.append(future)

    def go_on(self, future: int) -> None:
        """A worker comes to a task that was handed a permit."""
        self.woken.remove(future)
        self.see("polled", future)
        self._got(future)

    def give_up(self, future: int) -> None:
        """A task that waited long enough: its timer polls it once more, and drops what asked."""
        self.queue.remove(future)
        self.see("polled", future)
        self.see("dropped", future)

    def give_back(self) -> None:
        future = self.having.pop(self.chance.randrange(len(self.having)))
        self.see("released", SEMAPHORE, 1, state=future - 0x40)
        if self.queue:
            self.woken.append(self.queue.popleft())
        else:
            self.free += 1

    def _got(self, future: int) -> None:
        self.see("released", SEMAPHORE, 0)  # as tokio does on its way
        self.see("dropped", future)
        self.having.append(future)


def lived(semaphore: FairSemaphore, chance: random.Random, steps: int, *, patient: bool) -> None:
    """So many things happen, in any order that can be."""
    for _ in range(steps):
        semaphore.at += chance.expovariate(1000)
        ways = [lambda: semaphore.ask(0x9000 + 0x200 * chance.randrange(1 << 20))]
        if semaphore.woken:
            ways.append(lambda: semaphore.go_on(chance.choice(semaphore.woken)))
        if semaphore.having:
            ways += [semaphore.give_back] * 2
        if semaphore.queue and not patient:
            ways.append(lambda: semaphore.give_up(chance.choice(list(semaphore.queue))))
        chance.choice(ways)()


def seen(queue: PermitQueue) -> tuple[list[int], list[int], list[int]]:
    """(who waits, who was handed a permit, who has one)."""
    use = queue.semaphores[SEMAPHORE]
    waiting = [future for future, wait in use.waiting.items() if not wait.handed]
    handed = [future for future, wait in use.waiting.items() if wait.handed]
    return waiting, handed, [wait.call.arguments[0] for wait in use.holding]


@pytest.mark.parametrize("permits", [1, 3])
@pytest.mark.parametrize("patient", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_who_waits_and_who_has_one_is_known_at_every_moment(
    permits: int, patient: bool, seed: int
) -> None:
    semaphore, chance, queue = FairSemaphore(permits), random.Random(seed), PermitQueue()
    for _ in range(100):
        lived(semaphore, chance, 5, patient=patient)
        queue.take(semaphore.calls)
        semaphore.calls.clear()
        waiting, handed, having = seen(queue)
        assert waiting == list(semaphore.queue)
        assert sorted(handed) == sorted(semaphore.woken)
        assert having == semaphore.having


@pytest.mark.parametrize("permits", [1, 3])
@pytest.mark.parametrize("seed", range(20))
def test_who_began_to_wait_before_anybody_looked_leaves_no_mark_once_it_is_through(
    permits: int, seed: int
) -> None:
    semaphore, chance, queue = FairSemaphore(permits), random.Random(seed), PermitQueue()
    lived(semaphore, chance, 40, patient=True)
    before = {*semaphore.queue, *semaphore.woken, *semaphore.having}
    semaphore.calls.clear()
    while before & {*semaphore.queue, *semaphore.woken, *semaphore.having}:
        lived(semaphore, chance, 5, patient=True)
    lived(semaphore, chance, 50, patient=True)
    queue.take(semaphore.calls)
    waiting, handed, having = seen(queue)
    assert waiting == list(semaphore.queue)
    assert sorted(handed) == sorted(semaphore.woken)
    assert having == semaphore.having


def test_after_a_loss_nobody_waits_who_may_have_gone_on() -> None:
    semaphore, queue = FairSemaphore(1), PermitQueue()
    for future in (0x100, 0x200, 0x300):
        semaphore.ask(future)
    queue.take(semaphore.calls)
    assert seen(queue) == ([0x200, 0x300], [], [0x100])
    queue.forget()
    assert not queue.semaphores
    semaphore.calls.clear()
    semaphore.give_back()
    semaphore.go_on(0x200)
    semaphore.ask(0x400)
    queue.take(semaphore.calls)
    assert seen(queue)[0] == [0x400]
