"""A ledger of published numbers beside ours, cell by cell: ``gradreach reproduce``, ``results/published``."""
