"""Tests, intervals, verdicts, model selection."""
