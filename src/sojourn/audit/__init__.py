"""Evidence for an auditor: a capsule read as a report, every line of which names what proves it.

What belongs here: reading a verified capsule (`evidence`), the report's form (`report`), deriving it line by line
(`deriving` and what it joins), the exit drill (`drill`), holding a report against a capsule (`verifying`), and the
page for people (`page`). What does not: asking zones, files, clocks. A report is a function of a capsule, and of
the statements about places that an exit drill was made with: so whoever has them has the report again.
"""
