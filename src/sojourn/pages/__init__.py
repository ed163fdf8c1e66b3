"""Pages for people: HTML files that need nothing else.

What belongs here: how markup is made so that whatever is not markup is escaped. What does not: any page. Those stand
beside what they show.
"""
