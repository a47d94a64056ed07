"""What "agrees" means: the reference's own code, run on numbers that carry their rounding error."""
