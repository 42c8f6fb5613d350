"""Reading of files: CSV, TSV, Parquet, NPZ, MAT and images to named columns or arrays."""
