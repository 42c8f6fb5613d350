"""How do raw files and known formulas become ``x (n, d)`` and ``c (n, k)`` that a model can learn from?"""

from numdl.data.chunks import row_chunks
from numdl.data.column import guess_task
from numdl.data.dataset import Dataset, split
from numdl.data.encode import TableEncoder
from numdl.data.files import check_writable, read_table, write_predictions
from numdl.data.images import read_cifar10, read_idx
from numdl.data.pieces import ArrayPieces, row_pieces
from numdl.data.scale import Scaler
from numdl.data.table import Table
from numdl.data.toys import TOYS

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
