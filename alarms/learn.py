"""Keeps memories up to date with the readings of a wave."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from alarms.memory import FOREVER_S, Highest, Memory, Remembered, Tally
from alarms.readings import Known, Readings, Where
from lift.batch import Batch

Failed = Callable[[Memory, Exception], None]


def learn(memories: Sequence[Memory], known: Known, now: Readings, wave: Batch, here: Where, failed: Failed) -> None:
    """Take in what these readings show of every memory; each lift is in the wave once, at `here`.

    A memory that raises is handed to `failed`, and the others are kept all the same.
    """
    for memory in memories:
        try:
            match memory:
                case Remembered():
                    before = now.flag(known.bit[memory])
                    after = (before | memory.begins(now)) & ~memory.ends(now)
                    changed = (before ^ after).nonzero()[0]
                    if changed.size:
                        now.turn(known.bit[memory], changed)
                    now.hold(memory, after)
                case Tally():
                    _count(memory, known, now, wave)
                case Highest():
                    some = memory.when(now).nonzero()[0]
                    if some.size:
                        lifts, reached = wave.lift[some], known.reached[known.row[memory]]
                        reached[lifts] = np.fmax(reached[lifts], memory.of(now.part(some)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the rules must still be asked
            failed(memory, error)
    for row, word in zip(known.words, now.words, strict=True):
        row[here] = word


def _count(tally: Tally, known: Known, now: Readings, wave: Batch) -> None:
    row, going_on = known.row[tally], known.bit[tally]
    counted = going_on + 1
    before, after = now.flag(going_on), tally.counts(now)
    changed = (before ^ after).nonzero()[0]
    if changed.size:
        now.turn(going_on, changed)
        begun = changed[after[changed]]
        lifts, at = wave.lift[begun], wave.at[begun]
        meant = now.flag(counted)[begun]
        level = np.where(meant, known.levels[row, lifts], np.float32(0.0))
        if tally.forgets_s < FOREVER_S:
            since = (at - known.stamps[row, lifts]).astype(np.float32)
            level = np.maximum(level - since / np.float32(1e6 * tally.forgets_s), np.float32(0.0))
        known.levels[row, lifts] = np.minimum(level + np.float32(1.0), np.float32(tally.most))
        known.stamps[row, lifts] = at
        now.turn(counted, begun[~meant])
    if tally.resets is not None and now.perhaps(counted):
        now.turn(counted, (now.flag(counted) & tally.resets(now)).nonzero()[0])
