"""Permission: what is asked, what the policies say, and why. Cedar stands behind one door.

What belongs here: the vocabulary of policies (`schema`), the request, the check of a policy's text,
evaluation, the decision and how it reads, the memo of decisions, and what a new policy changes.
What does not: who signed a policy and when it holds (`core.agent.governance`), capability and trust
(judged apart from permission, joined only in the `Assessment`), and when a decision is asked for.
"""
