"""Benchmarks: figures of one run on one machine, as ratios wherever a figure alone would say little."""

import runtime as runtime  # first of all: it says how numpy asks for memory, and benchmarks ask as the program does
