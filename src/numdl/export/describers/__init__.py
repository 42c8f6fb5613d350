"""Each kind of model as a program; one module for each family, found by name in ``numdl.export.description``."""
