"""What training writes: a folder per run, and what is in it."""
