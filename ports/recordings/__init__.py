"""Recordings: what a port computed elsewhere, in a documented file, judged here (docs/recordings.md)."""
