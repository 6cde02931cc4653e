"""Benchmarks, one module each; `scripts/bench NAME`."""
