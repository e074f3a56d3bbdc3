"""HTML by functions. What is no `Markup` is text and is escaped: a folder may have any name.

>>> element("p", "a < b, ", element("em", "c"), class_="note")
'<p class="note">a &lt; b, <em>c</em></p>'
"""

import base64
import html
import io
import re

VOID = ("img", "link", "meta")  # elements that hold nothing


class Markup(str):
    """A string of HTML."""


def element(name, /, *children, **attributes):
    """An element with children, strings or `Markup`; attributes that Python has words for end in `_`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children):
    """Children one after another."""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(child) for child in children))


def sentences(text):
    """A text in which some words are code, between backticks."""
    return join(*(element("code", part) if i % 2 else part for i, part in enumerate(text.split("`"))))


def paragraph(text):
    return element("p", sentences(text))


def bullets(texts):
    return element("ul", *(element("li", sentences(text)) for text in texts))


def table(caption, titles, rows):
    """A table in a box in which it scrolls if it is wide; columns of numbers stand on the right.

    Args:
        caption: String.
        titles: Sequence of strings.
        rows: List of sequences of strings or `Markup`, one for each title; the first names the row.
    """
    sides = [_side(column) for column in zip(*rows, strict=True)] or [{}] * len(titles)
    head = element(
        "tr", *(element("th", title, scope="col", **side) for title, side in zip(titles, sides, strict=True))
    )
    body = [
        element(
            "tr",
            element("th", row[0], scope="row", **sides[0]),
            *(element("td", cell, **side) for cell, side in zip(row[1:], sides[1:], strict=True)),
        )
        for row in rows
    ]
    return _box(caption, element("table", element("thead", head), element("tbody", *body)))


def facts(caption, pairs):
    """A table without a head: names and what they are, strings."""
    rows = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in pairs]
    return _box(caption, element("table", element("tbody", *rows)))


def drawing(caption, alternative, figure):
    """A matplotlib figure, as part of the page; `alternative` says what is to be seen."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=120)
    source = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
    return _box(caption, element("img", src=source, alt=alternative))


def folded(summary, *children):
    """Something long that opens when it is asked for."""
    return element("details", element("summary", summary), *children)


def _box(caption, content):
    # One that scrolls is to be reached by keys.
    box = element("div", content, class_="box", role="region", aria_label=caption, tabindex="0")
    return element("figure", element("figcaption", caption), box)


def _side(column):
    filled = [cell for cell in column if cell]
    return {"class_": "number"} if filled and all(re.match(r"[-+]?\d", cell) for cell in filled) else {}
