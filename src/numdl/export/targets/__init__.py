"""One module for each language that programs are printed in."""
