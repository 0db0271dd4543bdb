"""Benchmarks: figures of one run on one machine, as ratios wherever a figure alone would say little."""
