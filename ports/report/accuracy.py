"""The certified accuracy of each quantity as a table."""

from collections.abc import Collection

from ports.engine.accuracy import Accuracy


def print_accuracy(rows: Collection[Accuracy]) -> None:
    """Print the rows as a table a step and dtype."""
    for step, dtype in dict.fromkeys((row.step, row.dtype) for row in rows):
        print(f"\nstep {step}, {dtype}")
        print(f"{'quantity':18}{'largest':>11}", end="")
        print(
            "".join(f"{head:>17}" for head in ("local", "end to end", "assert_allclose", "assert_close"))
        )
        for row in rows:
            if (row.step, row.dtype) == (step, dtype):
                figures = "".join(f"{figure:17.1e}" for figure in row[4:])
                print(f"{row.quantity:18}{row.largest:11.2e}{figures}")
