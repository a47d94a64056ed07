"""The note in PyTorch."""
