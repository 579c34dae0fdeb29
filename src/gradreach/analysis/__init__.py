"""Records -> DataFrame -> statistics -> tables and figures."""
