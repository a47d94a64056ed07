"""What certification costs, measured in ratios, each against its goal.

The two contestants of a ratio take turns in one process (A B A B ...), so a busy machine slows both.
"""
