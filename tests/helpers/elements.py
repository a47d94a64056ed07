"""The elements of a page, and whether its tags match."""

from html.parser import HTMLParser

#: Elements that have no end tag.
VOID = {"br", "img", "input", "link", "meta"}


class Elements(HTMLParser):
    """The elements of a page. Raises AssertionError where tags do not match."""

    def __init__(self, html):
        super().__init__()
        self.open, self.found, self.ids = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        """Note an element, and its id."""
        self.found.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close the innermost element."""
        assert self.open.pop() == tag

    def all(self, tag):
        """The attributes of all elements of a kind."""
        return [attrs for name, attrs in self.found if name == tag]
