"""Records as one DataFrame, a row a run."""
