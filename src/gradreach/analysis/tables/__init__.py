"""Tables: specified, aggregated, laid out, written in several formats."""
