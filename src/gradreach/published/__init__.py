"""A ledger of published numbers and ours, cell by cell: ``gradreach reproduce``, ``results/published``."""
