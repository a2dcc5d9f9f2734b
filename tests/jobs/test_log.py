"""A log that gets long is shortened, and who follows it sees all that is kept, once."""

from __future__ import annotations

import random

import pytest

from daskfer.jobs import log
from daskfer.jobs.log import shortened, unseen


@pytest.fixture(autouse=True)
def few_bytes(monkeypatch):
    monkeypatch.setattr(log, "FIRST_BYTES", 20)
    monkeypatch.setattr(log, "LAST_BYTES", 30)


TEXT = b"".join(b"%03d\n" % number for number in range(250))


def test_a_short_log_is_kept():
    assert shortened(TEXT[:50]) == TEXT[:50]
    assert shortened(b"") == b""


def test_the_middle_is_left_out_and_counted():
    once = shortened(TEXT[:200])
    assert once == TEXT[:20] + "\n… 150 bytes left out …\n".encode() + TEXT[170:200]
    twice = shortened(once + TEXT[200:300])
    assert twice == TEXT[:20] + "\n… 250 bytes left out …\n".encode() + TEXT[270:300]
    assert shortened(twice) == twice


@pytest.mark.parametrize(
    ("seen", "new"),
    [
        (0, TEXT[:20] + "\n… 150 bytes left out …\n".encode() + TEXT[170:200]),
        (10, TEXT[10:20] + "\n… 150 bytes left out …\n".encode() + TEXT[170:200]),
        (20, "\n… 150 bytes left out …\n".encode() + TEXT[170:200]),
        (100, "\n… 150 bytes left out …\n".encode() + TEXT[170:200]),
        (170, TEXT[170:200]),
        (190, TEXT[190:200]),
        (200, b""),
        (220, b""),
    ],
)
def test_what_is_new_of_a_shortened_log(seen, new):
    assert unseen(shortened(TEXT[:200]), seen) == (new, 200)


@pytest.mark.parametrize("seen", [0, 10, 20, 45, 50])
def test_what_is_new_of_a_whole_log(seen):
    assert unseen(TEXT[:50], seen) == (TEXT[seen:50], 50)


@pytest.mark.parametrize("seed", range(20))
def test_who_looks_often_misses_nothing(seed):
    """Never less often than the last bytes that are kept are printed."""
    draw = random.Random(seed)
    kept, shown, seen, at = b"", b"", 0, 0
    while at < len(TEXT):
        more = draw.randint(1, 30)
        kept, at = kept + TEXT[at : at + more], at + more
        if len(kept) > 100 or draw.random() < 0.2:
            kept = shortened(kept)
        new, seen = unseen(kept, seen)
        shown += new
    assert shown == TEXT
