"""Many runs: planned, done, surveyed, summarized."""
