"""Records as one DataFrame, one row per run."""
