"""What the lesson shows: cut from the sources, and computed by a certified run on this machine."""
