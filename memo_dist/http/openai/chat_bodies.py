"""ChatBody: what clients send to /v1/chat/completions, checked.

Covers: fields, messages, what is refused. Does not cover: wrappers around questions (wrappers.py), answers (chat.py).

The last message of the user is the question; those before it are no part of it, as a memory holds no conversations.
What tells a model how to draw and how long to go on changes nothing: an answer is given whole, or not at all.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator

from memo_dist.http.openai.bodies import StreamOptions
from memo_dist.http.openai.wrappers import Wrapped, unwrapped

_MOST_FORMS = 64


class Message(BaseModel):
    """One message; its content is a text, or a list of parts, of which those of text count."""

    model_config = ConfigDict(extra="allow")

    role: StrictStr
    content: StrictStr | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            parts = (part.get("text") for part in self.content if part.get("type") == "text")
            return "\n".join(part for part in parts if isinstance(part, str))
        return self.content or ""


class ChatBody(BaseModel):
    """POST /v1/chat/completions. `forms` is ours: other ways to ask the question, each of which has a vote."""

    model_config = ConfigDict(extra="allow")

    model: StrictStr | None = None
    messages: list[Message]
    n: Annotated[StrictInt, Field(ge=1)] | None = 1
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    response_format: dict[str, Any] | None = None
    forms: Annotated[list[StrictStr], Field(max_length=_MOST_FORMS)] = []

    @model_validator(mode="after")
    def _refuse(self) -> "ChatBody":
        if self.n not in (None, 1):
            raise ValueError(f"n is {self.n}; a memory has one answer to a question, or none: expected 1")
        return self

    @property
    def message(self) -> str | None:
        """The last message of the user; None if there is none."""
        return next((one.text for one in reversed(self.messages) if one.role == "user"), None)

    def question(self) -> Wrapped:
        """The question, taken out of its wrapper; empty if there is no message of the user."""
        found = unwrapped(self.message or "")
        kind = (self.response_format or {}).get("type", "text")
        return found if kind == "text" else Wrapped(found.question, found.wrapper, in_json=True)
