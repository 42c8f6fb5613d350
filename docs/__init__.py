"""The documentation: Markdown here, what is generated in ``make``."""
