"""The engines: which cells run, running them in lockstep or free, and what they come to."""
