"""Agents with bound memory travel at random between jurisdictions; what is bound must be nowhere else."""
