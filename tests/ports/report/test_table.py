"""The renderer of tables: widths, alignment, heads of two lines, rows that end early."""

from ports.report.table import Column, Table, in_digits

COLUMNS = Column("name", "<", before=""), Column("a_\nfigure"), Column("why", "<", least=4, before=" | ")


def test_columns_are_as_wide_as_what_is_widest():
    """A head, an entry or the least width decides; each column is aligned on its right or its left."""
    rows = [["torch_manual", "1", "x"], ["np", "12345678", "y"]]
    assert list(Table(COLUMNS, rows).lines()) == [
        "                    a_ | ",
        "name            figure | why",
        "torch_manual         1 | x",
        "np            12345678 | y",
    ]


def test_row_that_ends_early_leaves_no_spaces():
    """A last entry that is aligned left is not padded."""
    table = Table(COLUMNS, [["np", "1", "x"]])
    assert table.line(["np", "1"]) == "np         1"
    assert table.line(["np"]) == "np"


def test_entry_wider_than_its_column_stays_whole():
    """An entry that was not known beforehand is not cut."""
    assert Table(COLUMNS).line(["torch_manual", "123456789", "x"]) == "torch_manual  123456789 | x"


def test_share_just_over_the_bound_is_not_told_as_1():
    """Three digits, unless they hide which side of the bound it is on."""
    told = [in_digits(share) for share in (0.5, 2 / 3, 1.0004, 0.9999, 1.24e5)]
    assert told == ["0.5", "0.667", "1.0004", "0.9999", "1.24e+05"]
