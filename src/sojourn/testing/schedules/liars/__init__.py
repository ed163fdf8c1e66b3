"""Liars: anchors and hosts that have their keys and do not follow the protocol; one small module for each kind.

All liars of a schedule work together: what one of them sees all know, and with each one's key any of them signs
(`cabal`). A liar tells several kinds of lies (`lie.Lie`), each now and then; in between it does what others do,
since who only talks nonsense is soon of no consequence. What a lie has come to is counted: "liar: double votes".

What belongs here: kinds of lies, and what liars know. What does not: what must hold in spite of them
(`sojourn.testing.checkers`), and how many there are of which kinds (`profile`).
"""
