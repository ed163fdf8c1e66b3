"""The protocol's models in TLA+, and what checks them.

What belongs here: specifications, their configurations, and the list of what each must do (`check`).
What does not: code of the product, which imports nothing from here.
"""
