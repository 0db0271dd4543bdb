"""Raw three-axis acceleration of trips: cut into trips, told by direction and phase, and made into features.

Features are logarithms of levels and shares, so that units, gravity and gain drop out: RMS, kurtosis, how far the
loudest half second stands out, the shares of energy on a logarithmic frequency grid (a bearing or an imbalance moves
energy between bands), and the strongest line of the envelope spectrum (impacts that repeat; Randall and Antoni,
Mechanical Systems and Signal Processing 25, 2011). They are taken where the car runs at constant speed, if it does
for two seconds, since ISO 18738-1 measures there too and acceleration hides the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from lift.batch import Floats, Mask
from lift.errors import Invalid

BANDS: Final = 10
LOWEST_HZ: Final = 1.0
PER_AXIS: Final = 4 + BANDS
FEATURES: Final = 3 * PER_AXIS + 2
RATE_LEAST_HZ: Final = 20.0
TRIP_LEAST_S: Final = 3.0
_AXES: Final = 3
_CRUISE_LEAST_S: Final = 2.0
_PAUSE_S: Final = 2.0
# Moving and standing are told apart where the loud part is this many times the quiet part.
_STANDS_OUT: Final = 4.0
_MOTION_HZ: Final = 0.7
_LOBE: Final = 0.3
_WINDOW_S: Final = 0.5
_SEGMENT_S: Final = 4.0
_ENVELOPE_HZ: Final = (2.0, 150.0)
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class TripFeatures:
    """One trip: start in the time of its file, duration in s, direction (+1, -1, 0 = unknown) and features."""

    start: float
    duration: float
    direction: int
    features: Floats


def features_of(time: Floats, axes: Floats) -> list[TripFeatures]:
    """Cut a recording into trips and measure each; `time` [samples] in s, `axes` [samples, 3]. Raises Invalid."""
    time, axes = _checked(time, axes)
    steps = np.diff(time)
    rate = 1.0 / float(np.median(steps[steps > 0]))
    if rate < RATE_LEAST_HZ:
        raise Invalid("time", f"{rate:.1f} samples a second; vibration needs {RATE_LEAST_HZ:.0f} or more")
    trips = []
    for first, end in _uninterrupted(time, rate):
        piece = axes[first:end] - np.median(axes[first:end], axis=0)
        for start, stop in _moving(piece, rate):
            part = piece[start:stop]
            direction, cruise = _phases(part, rate)
            trips.append(
                TripFeatures(float(time[first + start]), len(part) / rate, direction, _measure(part, cruise, rate))
            )
    return trips


def _checked(time: Floats, axes: Floats) -> tuple[Floats, Floats]:
    time, axes = np.asarray(time, np.float64), np.asarray(axes, np.float64)
    if axes.ndim != 2 or axes.shape[1] != _AXES or len(axes) != len(time):  # noqa: PLR2004 - samples and axes
        raise Invalid("axes", f"have the shape {axes.shape} beside {len(time)} times; [samples, 3] is wanted")
    good = np.isfinite(time) & np.isfinite(axes).all(axis=1)
    time, axes = time[good], axes[good]
    if len(time) > 1 and (np.diff(time) < 0).any():
        order = np.argsort(time, kind="stable")
        time, axes = time[order], axes[order]
    if len(time) < RATE_LEAST_HZ or not time[-1] > time[0]:
        raise Invalid("time", f"{len(time)} samples that can be read; a trip has more")
    return time, axes


def _uninterrupted(time: Floats, rate: float) -> list[tuple[int, int]]:
    """Cut where samples are missing for a second or more, or for many samples."""
    cuts = 1 + np.flatnonzero(np.diff(time) > max(1.0, 20.0 / rate))
    edges = [0, *cuts.tolist(), len(time)]
    least = max(RATE_LEAST_HZ, TRIP_LEAST_S * rate)
    pieces = [(a, b) for a, b in pairwise(edges) if b - a >= least]
    return pieces or [(0, len(time))]


def _moving(axes: Floats, rate: float) -> list[tuple[int, int]]:
    """Give the parts in which the car runs; the whole where standing and running are not told apart."""
    whole = [(0, len(axes))]
    window = max(2, round(rate))
    shaken = np.diff(axes, axis=0, prepend=axes[:1])
    level = np.sqrt(_smooth((shaken * shaken).sum(axis=1), window)) + _TINY
    quiet, loud = np.quantile(level, (0.05, 0.9))
    if loud < _STANDS_OUT * quiet:
        return whole
    runs = _stretches(level > np.sqrt(quiet * loud))
    joined: list[tuple[int, int]] = []
    for start, stop in runs:
        if joined and start - joined[-1][1] < _PAUSE_S * rate:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((start, stop))
    return [(a, b) for a, b in joined if b - a >= TRIP_LEAST_S * rate] or whole


def _stretches(mask: Mask) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _smooth(values: Floats, window: int) -> Floats:
    """Give the running mean over a window, as long as the values."""
    padded = np.concatenate([np.full(window // 2, values[0]), values, np.full(window - window // 2, values[-1])])
    total = np.cumsum(np.concatenate([[0.0], padded]))
    mean: Floats = (total[window:] - total[:-window])[: len(values)] / window
    return mean


def _phases(axes: Floats, rate: float) -> tuple[int, Mask]:
    """Tell the direction (the sign of the first push along the most accelerated axis) and where speed is constant."""
    window = max(2, round(rate / _MOTION_HZ / 2))
    slow = np.stack([_smooth(_smooth(axes[:, axis], window), window) for axis in range(_AXES)], axis=1)
    along = slow[:, int(np.argmax(slow.std(axis=0)))]
    strongest = float(np.abs(along).max())
    rest = axes - slow
    cruise = np.abs(along) < _LOBE * strongest
    lobes = _stretches(~cruise)
    # Without a clear push and a clear brake it is no whole trip, or the sensor does not see them.
    if len(lobes) < 2 or strongest < 2.0 * float(rest.std()) / np.sqrt(window):  # noqa: PLR2004
        return 0, np.ones(len(axes), np.bool_)
    cruise[: lobes[0][1]] = False
    cruise[lobes[-1][0] :] = False
    return int(np.sign(along[lobes[0][0] : lobes[0][1]].mean())), cruise


def _measure(axes: Floats, cruise: Mask, rate: float) -> Floats:
    used = axes[cruise] if cruise.sum() >= _CRUISE_LEAST_S * rate else axes
    window = max(2, round(_WINDOW_S * rate))
    features: list[float] = []
    for axis in range(_AXES):
        signal = used[:, axis] - _smooth(used[:, axis], max(2, round(rate / LOWEST_HZ)))
        power = float((signal * signal).mean()) + _TINY
        local = np.sqrt(_smooth(signal * signal, window)) + _TINY
        features += [
            0.5 * np.log(power),
            np.log(float((signal**4).mean()) / power**2 + _TINY),
            np.log(float(local.max() / np.median(local))),
            _envelope_line(signal, rate),
            *_bands(signal, rate),
        ]
    slow = np.stack([_smooth(axes[:, axis], max(2, round(rate / 10.0))) for axis in range(_AXES)], axis=1)
    jerk = np.diff(slow, axis=0) * rate
    level = features[0::PER_AXIS][:_AXES]
    features += [0.5 * np.log(float((jerk * jerk).sum(axis=1).mean()) + _TINY), level[0] - level[1]]
    return np.array(features)


def _bands(signal: Floats, rate: float) -> Floats:
    """Give the log share of energy in each band from 1 Hz to the Nyquist frequency, evenly spaced in logarithm."""
    frequency, power = _spectrum(signal, rate)
    edges = np.geomspace(LOWEST_HZ, 0.5 * rate, BANDS + 1)
    band = np.digitize(frequency, edges) - 1
    inside = (band >= 0) & (band < BANDS)
    energy = np.bincount(band[inside], power[inside], minlength=BANDS)
    # A share below a ten thousandth is as good as none: its logarithm would only shout.
    share: Floats = np.log(energy / (energy.sum() + _TINY) + 1e-4)
    return share


def _spectrum(signal: Floats, rate: float) -> tuple[Floats, Floats]:
    """Average the power of half-overlapping Hann windows (Welch, IEEE Trans. Audio Electroacoustics 15, 1967)."""
    length = min(len(signal), max(16, round(_SEGMENT_S * rate)))
    starts = range(0, len(signal) - length + 1, max(1, length // 2))
    window = np.hanning(length)
    power = np.zeros(length // 2 + 1)
    for start in starts:
        power += np.abs(np.fft.rfft(signal[start : start + length] * window)) ** 2
    return np.fft.rfftfreq(length, 1.0 / rate), power / len(starts)


def _envelope_line(signal: Floats, rate: float) -> float:
    """Give the log of the strongest line over the median of the envelope spectrum of the upper frequencies."""
    spectrum = np.fft.fft(signal)
    frequency = np.fft.fftfreq(len(signal), 1.0 / rate)
    # One side, upper three quarters of the band: the analytic signal whose size is the envelope.
    spectrum[(frequency < rate / 8.0)] = 0.0
    envelope = np.abs(np.fft.ifft(spectrum))
    lines, power = _spectrum(envelope - envelope.mean(), rate)
    wanted = (lines >= _ENVELOPE_HZ[0]) & (lines <= min(_ENVELOPE_HZ[1], rate / 4.0))
    if wanted.sum() < 4:  # noqa: PLR2004 - too few lines to have a median
        return 0.0
    chosen = power[wanted]
    return float(np.log((chosen.max() + _TINY) / (np.median(chosen) + _TINY)))
