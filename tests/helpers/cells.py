"""Cells of the matrix, as the tests run them."""


def group_of(planned):
    """Cells that share the reference's work run together: one model, framework and dtype."""
    cell, framework = planned.cell, planned.port.framework.name
    return f"{cell.model}-{framework}-{cell.device}-{cell.dtype}"
