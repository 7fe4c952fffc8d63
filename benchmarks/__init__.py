"""Measurements: each prints a table and, with --out, writes JSON. They are no tests."""
