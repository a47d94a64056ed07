"""`lockstep check`: a user's own file, run in a process of its own, judged and explained."""
