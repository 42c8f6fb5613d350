"""Each file of `hostile` comes out right or is refused in one sentence with line, column or cell."""

import numpy as np
import pytest
from hostile import CASES

from numdl.data import TableEncoder, read_table


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_right_values_or_a_right_refusal(tmp_path, case):
    path = tmp_path / case.name
    path.write_bytes(case.content)
    if case.refused:
        with pytest.raises(
            ValueError, match=case.refused.replace("(", r"\(") if "\\" not in case.refused else case.refused
        ) as error:
            table = read_table(path)
            TableEncoder.fit(table, case.target or table.names[-1])
        assert "\n" not in str(error.value) and len(str(error.value)) < 450
        return
    table = read_table(path)
    for name, values in case.columns.items():
        if isinstance(values[0], str):
            assert table.column(name).tolist() == list(values)
        else:
            np.testing.assert_array_equal(table.column(name), values)
    assert case.note in " ".join(table.notes)
    assert case.note or not table.notes
