"""How do numdl's estimators compare with the alternatives: ``python -m benchmarks NAME|all``?"""
