"""The engines: they choose the cells, run them in lockstep or free, and collect the results."""
