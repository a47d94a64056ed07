"""The mathematics of the study note ("the note") in NumPy, and what it means to agree with it."""
