"""The one renderer of tables: every table that the command prints is laid out here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """How a column looks.

    Attributes:
        head: its title. "two_\\nlines" takes two lines; a shorter title stands on the last of them.
        align: "<" left or ">" right.
        least: its least width, in characters.
        before: the text between it and the column before.
    """

    head: str = ""
    align: str = ">"
    least: int = 0
    before: str = "  "


class Table:
    """Columns as wide as their heads, their `least`, and the rows that are known beforehand.

    A row may end early. A last entry that is aligned left is not padded.
    """

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[str]] = ()) -> None:
        self.columns = columns
        self.rows = rows
        self.widths = [
            max(
                column.least,
                *map(len, column.head.split("\n")),
                *(len(r[i]) for r in rows if i < len(r)),
            )
            for i, column in enumerate(columns)
        ]

    def heads(self) -> list[str]:
        """The lines above the rows."""
        heads = [column.head.split("\n") for column in self.columns]
        height = max(map(len, heads))
        padded = [[""] * (height - len(head)) + head for head in heads]
        return [self.line(texts) for texts in zip(*padded, strict=True)]

    def line(self, entries: Sequence[str]) -> str:
        """One row."""
        pieces = [
            f"{column.before}{entry:{column.align}{width}}"
            for column, entry, width in zip(self.columns, entries, self.widths, strict=False)
        ]
        last = self.columns[len(pieces) - 1]
        if last.align == "<":
            pieces[-1] = last.before + entries[-1]
        return "".join(pieces)

    def lines(self) -> Iterator[str]:
        """Heads and rows."""
        yield from self.heads()
        yield from map(self.line, self.rows)


def in_digits(share: float) -> str:
    """A share in three digits, or in all if three would not show on which side of 1 it is."""
    short = f"{share:.3g}"
    return repr(share) if short == "1" else short
