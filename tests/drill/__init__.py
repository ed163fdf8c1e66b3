"""Thousands of workflows in zones of real processes, which a nemesis kills every few seconds; and their judge."""
