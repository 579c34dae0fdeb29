"""The machine underneath: files, signals, where a result comes from."""
