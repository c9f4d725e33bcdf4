"""A verdict as text: the word first, every number with its unit and interval, the next step
last.
"""

from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.interval import Interval
from perfhunt.model.verdict.change import Atom, Change, Kind, OneChange, Piece
from perfhunt.model.verdict.verdict import Effect, EffectDirection, Verdict, Word
from perfhunt.reports.verdict_text import verdict_lines

CPU = Effect(
    "cpu",
    "CPU per request",
    "s",
    0.0042,
    0.0038,
    Interval(0.105, 0.09, 0.12, 8),
    1e-6,
    EffectDirection.BETTER,
    0.01,
    0.02,
)
KNEE = Effect(
    "knee",
    "requests over the limit, near the knee",
    "share",
    0.031,
    0.012,
    Interval(0.09, -0.02, 0.2, 8),
    0.1,
)
DOUBT = Caution(CautionCode.OUTLIER, "a doubt.", "do this")
VERDICT = Verdict(
    Word.KEEP,
    "CPU per request is 10.5 % lower, and nothing is worse",
    "paired",
    (CPU, KNEE),
    8,
    2,
    320.0,
    smallest=0.021,
    noise="calibrated",
    cautions=(DOUBT,),
    next_step="commit it",
)
ATOM = Atom(Kind.CODE, "shop/stock.py", "level", line=7)


def test_the_word_comes_first_and_the_next_step_last() -> None:
    lines = verdict_lines(VERDICT)
    assert lines[0] == "VERDICT KEEP"
    assert lines[-1] == "next: commit it"


def test_numbers_stand_in_columns_with_units_intervals_and_n() -> None:
    text = verdict_lines(VERDICT)
    cpu = next(line for line in text if "CPU per request" in line and "ms" in line)
    knee = next(line for line in text if "near the knee" in line)
    assert cpu.split() == [
        "+",
        "CPU",
        "per",
        "request",
        "4.2",
        "ms",
        "3.8",
        "ms",
        "+10.5",
        "%",
        "(+9.0",
        "to",
        "+12.0),",
        "n=8",
    ]
    assert "3.1" in knee and "%" in knee
    assert cpu.index("+10.5") == knee.index("+9.0")


def test_how_it_was_reached_and_what_it_could_have_seen_are_said() -> None:
    text = "\n".join(verdict_lines(VERDICT))
    assert "8 rounds, both versions restarted side by side in each, 2 looks in 5m20s" in text
    assert "smallest change it would see nine times in ten: 2.1 %" in text
    assert "caution: a doubt.  -> do this" in text


def test_a_compound_change_is_labelled_beside_the_word() -> None:
    one = OneChange(
        Change("", "a", "", (ATOM,)), (Piece((ATOM,)),), "compound", "", (), "released together"
    )
    lines = verdict_lines(VERDICT, one)
    assert lines[0] == "VERDICT KEEP  (compound, not attributable: released together)"
    assert "  code  shop/stock.py:7  level  changed" in lines


def test_nothing_measured_leaves_out_the_table() -> None:
    lines = verdict_lines(Verdict(Word.INVALID, "the kernel was 6.8, and is 6.9", "rerun"))
    assert lines == ["VERDICT INVALID", "  the kernel was 6.8, and is 6.9"]
