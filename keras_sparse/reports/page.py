"""The frame of a report: head, table of contents, chapters."""

import keras_sparse
from keras_sparse.reports.markup import Markup, bullets, element, join
from keras_sparse.reports.style import STYLE

# Whatever a page were to hold, a browser loads nothing for it.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title, chapters, left_out=()):
    """A document.

    Args:
        title: String.
        chapters: List of `(heading, list of Markup)`.
        left_out: List of strings, what could not be shown.

    Returns:
        `Markup`.
    """
    sections = [
        element("section", element("h2", heading, id=f"chapter-{number}"), *parts)
        for number, (heading, parts) in enumerate(chapters, start=1)
    ]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"keras-sparse {keras_sparse.__version__}"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    main = element("main", element("h1", title), _contents(chapters), _left_out(left_out), *sections)
    return Markup(f"<!DOCTYPE html>\n{element('html', head, element('body', main), lang='en')}\n")


def reference(number, text):
    """A link to the chapter with this number, counted from 1."""
    return element("a", text, href=f"#chapter-{number}")


def _contents(chapters):
    if len(chapters) < 2:
        return Markup()
    items = [element("li", reference(number, heading)) for number, (heading, _) in enumerate(chapters, start=1)]
    return element("nav", element("ul", *items), aria_label="Contents")


def _left_out(lines):
    if not lines:
        return Markup()
    return element("div", join("Not in this report:"), bullets(lines), class_="note")
