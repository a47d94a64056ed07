"""The document's mathematics in NumPy, and what it means to agree with it."""
