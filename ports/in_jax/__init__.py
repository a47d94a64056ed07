"""The note in JAX."""
