"""What stands in a page."""

import base64
import html.parser

VOID = {"img", "link", "meta"}


class HtmlPage(html.parser.HTMLParser):
    """Parses a page, and refuses elements that are closed in another order than they were opened.

    Attributes:
        elements: List of `(name, attributes, text)`, in order; text is that of all that is inside.
    """

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self._open = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes)
        self.elements.append([tag, dict(attributes), ""])
        if tag not in VOID:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for element in self._open:
            element[2] += data

    def of(self, name):
        """The elements of this name, as `(attributes, text)`."""
        return [(attributes, text) for tag, attributes, text in self.elements if tag == name]

    def images(self):
        """The bytes of the images, which are all in the page."""
        prefix = "data:image/png;base64,"
        sources = [attributes["src"] for attributes, _ in self.of("img")]
        assert all(source.startswith(prefix) for source in sources)
        return [base64.b64decode(source.removeprefix(prefix)) for source in sources]
