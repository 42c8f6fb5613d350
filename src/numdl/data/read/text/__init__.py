"""Text tables: encoding, quotes and layout of CSV, TSV and white-space separated files."""
