"""Measurements, not tests: `python -m tests.benchmarks NAME`. Nothing here decides whether a build passes."""
