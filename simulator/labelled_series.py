"""Labelled series of many kinds: what a score of anomalies is tried on, with the truth beside it.

Two sets of makers that share no base signal: one to develop on, one held out. Up to three anomalies are put into each
series: a spike, a level shift, more or less noise, a changed period, missing cycles, a value stuck flat, a slow drift.
Some series have irregular times, gaps, repeated times or several columns. The kinds are those that the public
collections for streaming detection hold (NAB, the Yahoo S5 and UCR archives); not one value is taken from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from simulator.arrays import Floats, Whole

Chance = np.random.Generator
# A Monday, 00:00 UTC.
_START_S: Final = 1_735_516_800
_FIVE_MINUTES_S: Final = 300.0
_HALF_HOUR_S: Final = 1_800.0
_HOUR_S: Final = 3_600.0
_DAY_S: Final = 86_400.0
# Anomalies lie in the later part, as in the public collections: the first 15 % is for learning.
_LEARN: Final = 0.25
# Bursts of work and missing values: one row in a hundred; a repeated time in a fifth as many.
_RARE: Final = 0.01


class Change(StrEnum):
    """What is put into a series."""

    SPIKE = "spike"
    SHIFT = "shift"
    NOISE = "noise"
    CALM = "calm"
    PERIOD = "period"
    MISSING = "missing"
    STUCK = "stuck"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One series: `times` in s since 1970 UTC, `values` [rows, columns], and `windows` (first, end) of anomalous rows.

    `clean` rows at the start hold no anomaly.
    """

    maker: str
    times: Floats
    values: Floats
    windows: tuple[tuple[int, int], ...]
    changes: tuple[Change, ...]
    clean: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """A signal as a function of its own phase in rows, so that time itself can be bent; noise comes on top."""

    signal: Callable[[Floats], Floats]
    noise: Floats
    step_s: float
    period: int
    changes: tuple[Change, ...]
    scale: float
    columns: int = 1


def _walk(chance: Chance, rows: int, memory: float, size: float) -> Floats:
    """Give noise with memory: each value keeps a part of the one before."""
    steps = chance.normal(0.0, size * np.sqrt(1.0 - memory**2), rows)
    out = np.empty(rows)
    last = 0.0
    for row, step in enumerate(steps.tolist()):
        last = memory * last + step
        out[row] = last
    return out


# ------------------------------------------------------------------------------------------- to develop on


def _server(chance: Chance, rows: int) -> _Base:
    """A machine's load, every five minutes: a daily hump, noise with memory, short bursts of work."""
    day = int(_DAY_S / _FIVE_MINUTES_S)
    height, phase = chance.uniform(0.0, 15.0), chance.uniform(0, day)
    noise = _walk(chance, rows, chance.uniform(0.2, 0.9), 2.0)
    bursts = chance.random(rows) < _RARE
    noise += bursts * chance.exponential(5.0, rows)

    def signal(at: Floats) -> Floats:
        return 40.0 + height * np.maximum(np.sin(2 * np.pi * (at + phase) / day), -0.3)

    changes = (Change.SPIKE, Change.SHIFT, Change.NOISE, Change.STUCK, Change.DRIFT)
    return _Base(signal=signal, noise=noise, step_s=_FIVE_MINUTES_S, period=day, changes=changes, scale=4.0)


def _seasons(chance: Chance, rows: int) -> _Base:
    """An hourly count of visitors: trend, day and week, small white noise."""
    slope, day, week = chance.uniform(-0.02, 0.05), chance.uniform(20, 80), chance.uniform(5, 30)
    noise = chance.normal(0.0, chance.uniform(2.0, 8.0), rows)

    def signal(at: Floats) -> Floats:
        return 300 + slope * at + day * np.sin(2 * np.pi * at / 24) + week * np.sin(2 * np.pi * at / 168)

    changes = (Change.SPIKE, Change.SPIKE, Change.SHIFT, Change.NOISE)
    return _Base(signal=signal, noise=noise, step_s=_HOUR_S, period=24, changes=changes, scale=float(noise.std()) * 2)


def _rides(chance: Chance, rows: int) -> _Base:
    """Trips of a town every half hour: two peaks on work days, one on the others; a holiday looks like a Sunday."""
    size = chance.uniform(500, 5_000)

    def signal(at: Floats) -> Floats:
        hour = (at % 48) / 2
        free = (at // 48) % 7 >= 5  # noqa: PLR2004 - Saturday and Sunday
        peaks = np.exp(-(((hour - 8.5) / 1.8) ** 2)) + 1.2 * np.exp(-(((hour - 18) / 2.5) ** 2))
        return size * (0.25 + np.where(free, 0.8 * np.exp(-(((hour - 15) / 4) ** 2)), peaks))

    noise = chance.normal(0.0, 0.04 * size, rows)
    changes = (Change.MISSING, Change.SHIFT, Change.SPIKE)
    return _Base(signal=signal, noise=noise, step_s=_HALF_HOUR_S, period=48, changes=changes, scale=0.35 * size)


def _machine(chance: Chance, rows: int) -> _Base:
    """The temperature of a machine every five minutes: it wanders, and runs warm before it fails."""
    noise = _walk(chance, rows, 0.995, 4.0) + chance.normal(0.0, 0.4, rows)

    def signal(at: Floats) -> Floats:
        return 80.0 + 0.0 * at

    changes = (Change.DRIFT, Change.SHIFT, Change.SPIKE, Change.STUCK)
    return _Base(signal=signal, noise=noise, step_s=_FIVE_MINUTES_S, period=288, changes=changes, scale=9.0)


def _pulses(chance: Chance, rows: int) -> _Base:
    """A quick rhythm of sharp pulses, as a heart or a pump has, without any hour of the day."""
    period = int(chance.integers(40, 120))
    dip = chance.uniform(0.2, 0.5)

    def signal(at: Floats) -> Floats:
        part = (at % period) / period
        return np.exp(-(((part - 0.3) / 0.03) ** 2)) - dip * np.exp(-(((part - 0.5) / 0.08) ** 2))

    noise = chance.normal(0.0, chance.uniform(0.01, 0.04), rows)
    changes = (Change.MISSING, Change.PERIOD, Change.NOISE, Change.SPIKE, Change.STUCK)
    return _Base(signal=signal, noise=noise, step_s=1.0, period=period, changes=changes, scale=0.4)


def _switch(chance: Chance, rows: int) -> _Base:
    """Something that is on or off, with a duty of its own."""
    period, duty = int(chance.integers(60, 200)), chance.uniform(0.2, 0.6)

    def signal(at: Floats) -> Floats:
        return 10.0 * ((at % period) < duty * period)

    noise = chance.normal(0.0, 0.3, rows)
    changes = (Change.SPIKE, Change.SHIFT, Change.MISSING, Change.STUCK, Change.NOISE)
    return _Base(signal=signal, noise=noise, step_s=60.0, period=period, changes=changes, scale=5.0)


# ------------------------------------------------------------------------------------------------ held out


def _latency(chance: Chance, rows: int) -> _Base:
    """Response times: long-tailed, with a mild day."""
    noise = np.exp(_walk(chance, rows, 0.5, chance.uniform(0.2, 0.5))) * 20 + chance.standard_t(3, rows)

    def signal(at: Floats) -> Floats:
        return 30 + 4 * np.sin(2 * np.pi * at / 144)

    changes = (Change.SPIKE, Change.SHIFT, Change.NOISE, Change.DRIFT)
    return _Base(signal=signal, noise=noise, step_s=600.0, period=144, changes=changes, scale=25.0)


def _filling(chance: Chance, rows: int) -> _Base:
    """A disk or a tank that fills and is emptied: a saw."""
    period = int(chance.integers(150, 400))

    def signal(at: Floats) -> Floats:
        return 100.0 * ((at % period) / period)

    noise = _walk(chance, rows, 0.8, 0.8)
    changes = (Change.STUCK, Change.MISSING, Change.PERIOD, Change.SPIKE)
    return _Base(signal=signal, noise=noise, step_s=900.0, period=period, changes=changes, scale=20.0)


def _tide(chance: Chance, rows: int) -> _Base:
    """A smooth wave of no round period with an overtone."""
    period, overtone = chance.uniform(55, 150), chance.uniform(0.1, 0.5)
    wander = np.cumsum(chance.normal(0.0, 0.02, rows + 1))

    def signal(at: Floats) -> Floats:
        turns = 2 * np.pi * (at + wander[np.clip(at, 0, rows).astype(np.int64)]) / period
        return np.sin(turns) + overtone * np.sin(2 * turns + 1)

    noise = chance.normal(0.0, chance.uniform(0.03, 0.12), rows)
    changes = (Change.MISSING, Change.PERIOD, Change.NOISE, Change.CALM, Change.SPIKE, Change.STUCK)
    return _Base(signal=signal, noise=noise, step_s=447.0, period=int(period), changes=changes, scale=0.8)


def _chaos(chance: Chance, rows: int) -> _Base:
    """The Mackey-Glass equation: never the same twice, yet of one kind."""
    lag, total = 17, rows * 2 + 800
    track = np.empty(total)
    track[: lag + 1] = 1.2 + 0.1 * chance.random(lag + 1)
    for row in range(lag, total - 1):
        back = track[row - lag]
        track[row + 1] = track[row] + 0.2 * back / (1 + back**10) - 0.1 * track[row]

    def signal(at: Floats) -> Floats:
        return np.asarray(np.interp(at + 400, np.arange(total), track), np.float64)

    noise = chance.normal(0.0, 0.01, rows)
    changes = (Change.NOISE, Change.STUCK, Change.SPIKE, Change.PERIOD, Change.SHIFT)
    return _Base(signal=signal, noise=noise, step_s=1.0, period=50, changes=changes, scale=0.25)


def _office(chance: Chance, rows: int) -> _Base:
    """The electricity of an office every quarter of an hour: work days by the clock, quiet nights and week-ends."""
    night, work = chance.uniform(20, 40), chance.uniform(60, 160)

    def signal(at: Floats) -> Floats:
        hour, free = (at % 96) / 4, (at // 96) % 7 >= 5  # noqa: PLR2004 - Saturday and Sunday
        load: Floats = night + work * np.where(free, 0.1, 1.0) / (1 + np.exp(-2 * (5.5 - np.abs(hour - 13))))
        return load

    noise = chance.normal(0.0, 3.0, rows) + _walk(chance, rows, 0.97, 3.0)
    changes = (Change.MISSING, Change.SHIFT, Change.STUCK, Change.SPIKE, Change.DRIFT)
    return _Base(signal=signal, noise=noise, step_s=900.0, period=96, changes=changes, scale=30.0)


def _plant(chance: Chance, rows: int) -> _Base:
    """Six sensors of one small plant, once a second: a fault moves some of them, and it lasts."""

    def signal(at: Floats) -> Floats:
        return 0.3 * np.sin(2 * np.pi * at / 333)

    noise = _walk(chance, rows, 0.7, 1.0)
    changes = (Change.SHIFT, Change.DRIFT, Change.NOISE)
    return _Base(signal=signal, noise=noise, step_s=1.0, period=100, changes=changes, scale=1.5, columns=6)


DEVELOPMENT: Final[dict[str, Callable[[Chance, int], _Base]]] = {
    "server": _server,
    "seasons": _seasons,
    "rides": _rides,
    "machine": _machine,
    "pulses": _pulses,
    "switch": _switch,
}
HELD_OUT: Final[dict[str, Callable[[Chance, int], _Base]]] = {
    "latency": _latency,
    "filling": _filling,
    "tide": _tide,
    "chaos": _chaos,
    "office": _office,
    "plant": _plant,
}


def make(maker: str, seed: int, *, rows: int = 4_000) -> Labelled:
    """Make one series; the same maker, seed and rows give the same."""
    makers = DEVELOPMENT | HELD_OUT
    chance = np.random.default_rng(np.random.SeedSequence([seed, list(makers).index(maker)]))
    base = makers[maker](chance, rows)
    count = int(chance.choice([0, 1, 2, 3], p=[0.1, 0.4, 0.3, 0.2]))
    first = int(_LEARN * rows)
    share = (rows - first) // max(count, 1)
    phase = np.arange(rows, dtype=np.float64)
    bends: list[Callable[[Floats], None]] = []
    windows: list[tuple[int, int]] = []
    changes: list[Change] = []
    for number in range(count):
        change = base.changes[int(chance.integers(len(base.changes)))]
        lasts = _length(change, base, chance)
        room = max(1, share - lasts - 10)
        onset = first + number * share + int(chance.integers(room))
        end = min(rows, onset + lasts)
        bends.append(_bend(change, base, onset, end, phase, chance))
        windows.append((onset, end))
        changes.append(change)
    values = np.stack([base.signal(phase) + base.noise] * base.columns, axis=1)
    if base.columns > 1:
        values = values * chance.uniform(0.5, 2.0, base.columns) + 0.6 * chance.standard_normal(values.shape)
    for number, bend in enumerate(bends):
        touched = range(base.columns) if number % 2 == 0 else range(0, base.columns, 2)
        for column in touched:
            bend(values[:, column])
    times = _times(base, rows, chance, values)
    return Labelled(
        maker=maker,
        times=times,
        values=values,
        windows=tuple(windows),
        changes=tuple(changes),
        clean=first,
    )


def _length(change: Change, base: _Base, chance: Chance) -> int:
    """Give how many rows it lasts."""
    match change:
        case Change.SPIKE:
            return int(chance.integers(1, 4))
        case Change.MISSING:
            return base.period
        case Change.STUCK:
            return max(30, int(base.period * chance.uniform(0.7, 1.5)))
        case Change.PERIOD:
            return int(base.period * chance.uniform(2.0, 4.0))
        case Change.DRIFT:
            return int(chance.integers(200, 500))
        case _:
            return int(chance.integers(60, 250))


def _bend(change: Change, base: _Base, onset: int, end: int, phase: Floats, chance: Chance) -> Callable[[Floats], None]:
    """Bend time at once, or give what is to be done to the values afterwards."""
    sign = float(chance.choice([-1.0, 1.0]))
    size = base.scale * float(chance.uniform(1.5, 3.5))
    rows = np.arange(onset, end)
    here = slice(onset, end)
    if change is Change.PERIOD:
        # Faster or slower for a while; what follows goes on from there.
        factor = float(chance.choice([0.5, 0.67, 1.5, 2.0]))
        phase[onset:] += np.minimum(np.arange(len(phase) - onset), end - onset) * (factor - 1.0)
        return _nothing

    def act(values: Floats) -> None:
        match change:
            case Change.SPIKE:
                values[here] += sign * 1.8 * size
            case Change.SHIFT:
                values[here] += sign * size
            case Change.NOISE:
                values[here] += chance.normal(0.0, size, end - onset)
            case Change.CALM:
                values[here] = values[here].mean() + 0.1 * (values[here] - values[here].mean())
            case Change.MISSING:
                values[here] = np.quantile(values[:onset], 0.2) + (values[here] - np.median(values[here])) * 0.05
            case Change.STUCK:
                values[here] = values[onset]
            case _:
                values[here] += sign * 1.5 * size * (rows - onset) / (end - onset)

    return act


def _nothing(_values: Floats) -> None:
    """Time was bent already."""


def _times(base: _Base, rows: int, chance: Chance, values: Floats) -> Floats:
    """Give the times; a third of the series have irregular ones, a third gaps in the values."""
    times: Floats = _START_S + base.step_s * np.arange(rows)
    habit = int(chance.integers(3))
    if habit == 1:
        times = times + base.step_s * chance.uniform(-0.3, 0.3, rows)
        again: Whole = 1 + np.flatnonzero(chance.random(rows - 1) < 0.2 * _RARE)
        times[again] = times[again - 1]
    if habit == 2:  # noqa: PLR2004 - the second habit
        values[chance.random(values.shape) < _RARE] = np.nan
    return times
