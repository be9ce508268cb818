"""Benchmarks: ratios taken in one run, beside a plain way of doing the same. See docs/benchmarks.md."""
