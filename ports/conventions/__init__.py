"""Conventions: other problems than the note's, which people's code solves consistently.

A convention holds for a whole step. The reference's own step is edited into the convention's, so that
the same analysis gives exact bounds and both certificates: a step that follows a convention is judged
as strictly as one that follows the note.
"""
