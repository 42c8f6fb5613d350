"""Models out: how does a fitted model become a function that needs neither numdl nor JAX?"""

from numdl.export.description import DESCRIBERS, CannotExport, Description, describe

__all__ = ["DESCRIBERS", "CannotExport", "Description", "describe"]
