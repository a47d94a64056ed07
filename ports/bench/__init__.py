"""What certification costs: measured interleaved, in ratios, each against its goal.

Two contestants of a ratio take turns in one process (A B A B ...), so that a busy machine slows both.
"""
