"""A declared study: its rule, verdict, tables, captions and page follow from its parts."""
