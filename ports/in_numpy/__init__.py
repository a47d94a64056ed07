"""The note in NumPy: the reference as a port of itself, and the host of ports without one."""
