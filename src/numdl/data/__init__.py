"""Data sets and preprocessing.

How do raw files and known formulas become ``x (n, d)`` and ``c (n, k)`` that a model can learn from?
"""

from numdl.data.large.chunks import row_chunks
from numdl.data.large.pieces import ArrayPieces, row_pieces
from numdl.data.problems.toys import TOYS
from numdl.data.read.files import check_writable, read_table, write_predictions
from numdl.data.read.images import read_cifar10, read_idx
from numdl.data.table.column import guess_task
from numdl.data.table.dataset import Dataset, split
from numdl.data.table.encode import TableEncoder
from numdl.data.table.scale import Scaler
from numdl.data.table.table import Table

__all__ = [
    "TOYS",
    "ArrayPieces",
    "Dataset",
    "Scaler",
    "Table",
    "TableEncoder",
    "check_writable",
    "guess_task",
    "read_cifar10",
    "read_idx",
    "read_table",
    "row_chunks",
    "row_pieces",
    "split",
    "write_predictions",
]
