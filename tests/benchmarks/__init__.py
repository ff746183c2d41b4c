"""Measurements, not tests: `python -m tests.benchmarks memory`. Nothing here decides whether a build passes."""
