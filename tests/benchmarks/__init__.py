"""Measurements, not tests: `python -m tests.benchmarks memory|long`. Nothing here decides whether a build passes."""
