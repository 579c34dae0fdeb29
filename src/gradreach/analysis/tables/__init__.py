"""Specified, aggregated, laid out, written in several formats."""
