"""The hosts: precision settings come and go, transfer copies, and an absence is told in a sentence."""
