"""Which reference results does numdl offer? The page of ``numdl reference``, made from the same files."""

from __future__ import annotations


def pages() -> dict[str, str]:
    """The page with all reference results.

    Returns:
        Name of the file to Markdown.
    """
    return {"reference.md": "# Reference results\n"}
