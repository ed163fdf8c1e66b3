"""Checkers: what must be true of every run, one module for each promise (protocol §0)."""
