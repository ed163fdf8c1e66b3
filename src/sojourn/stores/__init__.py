"""Adapters of the storage port (`sojourn.runtime.store`), one module or package each.

What belongs here: code that keeps rows and blocks somewhere, and knows that place. `sqlite` is what
an anchor or host runs on; `memory` is for tests and the simulator; `shares` keeps an anchor's shares of keys
(`sojourn.runtime.share_keep`), which a store could not destroy. What does not: what the rows
mean (their owner says), and any word of another adapter.
"""
