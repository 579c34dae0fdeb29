"""The machine underneath: files, signals, provenance."""
