"""A study, declared: from its parts follow rule, verdict, tables, captions and the page."""
