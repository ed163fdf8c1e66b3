"""Agents that the system tests launch. Each is one file, as an author would write it."""
