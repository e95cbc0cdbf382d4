"""Folded sections of notebooks."""

import re

HEADING = re.compile(r"(#+) ")


def folds(cells):
    """For each cell, the folded heading that it is or that it stands under, or None. A fold ends in front of the next
    heading that is not deeper."""
    fold, depth = None, 0
    for cell in cells:
        heading = HEADING.match(cell.source) if cell.cell_type == "markdown" else None
        if heading and len(heading[1]) <= depth:
            fold, depth = None, 0
        if heading and not fold and cell.metadata.get("jp-MarkdownHeadingCollapsed"):
            fold, depth = cell, len(heading[1])
        yield fold
