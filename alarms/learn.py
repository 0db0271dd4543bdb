"""Keeps memories up to date with the readings of a wave."""

from __future__ import annotations

import numpy as np

from alarms.memory import FOREVER_S, Highest, Memory, Remembered, Tally
from alarms.readings import Known, Readings, Where
from lift.batch import Batch, Mask


def learn(memory: Memory, known: Known, now: Readings, wave: Batch, here: Where) -> None:
    """Take in what these readings show of one memory; each lift is in the wave once, at `here`."""
    match memory:
        case Remembered():
            before = known.flag(memory)[here]
            after = (before | memory.begins(now)) & ~memory.ends(now)
            _turn(known.flag(memory), before, after, wave)
            now.hold(memory, after)
        case Tally():
            _count(memory, known, now, wave, here)
        case Highest():
            row = known.reached[known.row[memory]]
            row[here] = np.fmax(row[here], memory.of(now))


def _turn(row: Mask, before: Mask, after: Mask, wave: Batch) -> None:
    """Write flags where they have changed, which is in few lifts."""
    changed = np.flatnonzero(before != after)
    if changed.size:
        row[wave.lift[changed]] = after[changed]


def _count(tally: Tally, known: Known, now: Readings, wave: Batch, here: Where) -> None:
    flags, row = known.flag(tally), known.row[tally]
    before, after = flags[here], tally.counts(now)
    begun = np.flatnonzero(after > before)
    _turn(flags, before, after, wave)
    if begun.size:
        lifts, at = wave.lift[begun], wave.at[begun]
        level = known.levels[row, lifts]
        if tally.forgets_s < FOREVER_S:
            since = (at - known.stamps[row, lifts]).astype(np.float32)
            level = np.maximum(level - since / np.float32(1e6 * tally.forgets_s), np.float32(0.0))
        known.levels[row, lifts] = np.minimum(level + np.float32(1.0), np.float32(tally.most))
        known.stamps[row, lifts] = at
    if tally.resets is not None:
        over = np.flatnonzero(tally.resets(now) & (known.levels[row][here] > 0))
        if over.size:
            known.levels[row, wave.lift[over]] = 0.0
