#!/usr/bin/env python3
"""Measures programs in turn, so that whatever else the machine does meanwhile meets all of them, and prints the medians.

interleaved.py RUNS NAME=PROGRAM [NAME=PROGRAM ...]: the last one is what the others are held against."""

import statistics
import subprocess
import sys
import time


def seconds(program):
    start = time.monotonic()
    subprocess.run([program], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main():
    runs = int(sys.argv[1])
    programs = dict(argument.split("=", 1) for argument in sys.argv[2:])
    times = {name: [] for name in programs}
    for name, program in programs.items():
        seconds(program)
    for _ in range(runs):
        for name, program in programs.items():
            times[name].append(seconds(program))
    medians = {name: statistics.median(all_times) for name, all_times in times.items()}
    base = list(medians.values())[-1]
    for name, median in medians.items():
        low, high = min(times[name]), max(times[name])
        print(f"{name:32} median {median:6.3f} s of {runs} ({low:.3f} to {high:.3f}), {median / base:.2f} x")


main()
