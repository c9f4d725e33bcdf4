"""The parts of a request template: rows that fill it, its body, and what counts as its answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from perfhunt.model import redact


@dataclass(frozen=True, slots=True)
class Feed:
    """Rows that fill `{placeholders}`; a request picks its row by the seed. `sha256` pins the
    content to the question.
    """

    path: str
    columns: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Expect:
    """What counts as success. Empty `status`: any code below 400. `body` is text the response must
    contain.
    """

    status: tuple[int, ...] = ()
    body: str | None = None


BELOW_400 = Expect()


@dataclass(frozen=True, slots=True)
class BodyFile:
    """A file whose bytes are sent as they are. `sha256` pins the content to the question."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One field of a multipart form: a text, or a file with the `filename` it is sent under (""
    for its own). A body that is one file is one part without a name.
    """

    name: str = ""
    text: str = ""
    file: BodyFile | None = None
    type: str = ""
    filename: str = ""

    def redacted(self) -> BodyPart:
        """The part as it may be stored: no text, and names only where they are words."""
        return replace(
            self,
            name=redact.field_name(self.name),
            text=redact.body(self.text) or "",
            type=redact.header("content-type", self.type),
            filename=redact.marked(self.filename),
        )

    def pinned(self, path: str = "", sha256: str = "") -> BodyPart:
        """The part with that path and hash instead of its file's own, if it has a file."""
        return replace(self, file=self.file and BodyFile(path, sha256))
