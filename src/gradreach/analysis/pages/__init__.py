"""The page of an experiment, ledger, findings, report."""
