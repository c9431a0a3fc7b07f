"""Bodies: what clients send, as OpenAI's completions API spells it, checked.

Covers: fields, their ranges, what is refused. Does not cover: answers (spelling.py), tokens (completing.py).

Recall is deterministic: `temperature`, `top_p`, `seed`, `best_of` and `user` are taken and change nothing; penalties,
`logit_bias` and `suffix` would change what is asked, so they are refused.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from memo_dist.http.errors import BodyError
from memo_dist.http.limits import Limits
from memo_dist.http.openai.choices import PromptAsk
from memo_dist.http.openai.prompts import checked_prompt
from memo_dist.recalling.options import DEFAULTS, READS, RecallOptions

MOST_RIVALS = 5  # logprobs, as OpenAI has it
_MOST_CHOICES, _MOST_STOPS, _MOST_BEAM = 16, 4, 64
_REFUSED = {
    "suffix": (None, ""),
    "logit_bias": (None, {}),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
}

TokenId = Annotated[StrictInt, Field(ge=0, lt=1 << 32)]
Prompt = Annotated[StrictStr | list[TokenId] | list[StrictStr] | list[list[TokenId]], BeforeValidator(checked_prompt)]


class StreamOptions(BaseModel):
    include_usage: bool = False


class CompletionBody(BaseModel):
    """POST /v1/completions. `min_confidence`, `beam`, `from_start`, `read`, `exact_prompt` are ours."""

    model_config = ConfigDict(extra="allow")  # clients send fields that a memory has no use for

    model: StrictStr | None = None
    prompt: Prompt
    max_tokens: Annotated[StrictInt, Field(ge=0)] | None = 16
    n: Annotated[StrictInt, Field(ge=1, le=_MOST_CHOICES)] | None = 1
    stop: StrictStr | Annotated[list[StrictStr], Field(max_length=_MOST_STOPS)] | None = None
    logprobs: Annotated[StrictInt, Field(ge=0, le=MOST_RIVALS)] | None = None
    echo: bool | None = False
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    min_confidence: Annotated[float, Field(ge=0, le=1)] = DEFAULTS.min_confidence
    beam: Annotated[StrictInt, Field(ge=1, le=_MOST_BEAM)] = DEFAULTS.beam
    from_start: StrictBool = DEFAULTS.from_start
    read: StrictStr = DEFAULTS.read
    exact_prompt: StrictBool = DEFAULTS.exact_prompt

    @model_validator(mode="after")
    def _refuse(self) -> "CompletionBody":
        if self.read not in READS:
            raise ValueError(f"read is {self.read!r}; expected one of {', '.join(READS)}")
        given: dict[str, Any] = self.model_extra or {}
        for name, neutral in _REFUSED.items():
            if given.get(name) not in neutral:
                raise ValueError(f"{name} is not supported: a memory gives what it holds, or nothing")
        return self

    def stops(self) -> list[str]:
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [one for one in stops if one]  # an empty one would stop everything before its first token

    def asks(self, limits: Limits) -> list[PromptAsk]:
        """One ask for each prompt.

        Raises:
            BodyError: more is asked than the limits allow.
        """
        prompts = _several(self.prompt)
        if len(prompts) > limits.prompts:
            raise BodyError(f"prompt has {len(prompts):,} prompts; this service takes {limits.prompts:,} a request")
        wanted = 16 if self.max_tokens is None else self.max_tokens
        if wanted > limits.max_tokens:
            raise BodyError(f"max_tokens is {wanted:,}; this service gives {limits.max_tokens:,} at most")
        several = len(prompts) * (self.n or 1) * wanted
        if several > limits.request_tokens:
            raise BodyError(
                f"{len(prompts):,} prompts, n of {self.n or 1} and max_tokens of {wanted:,} are {several:,} tokens; "
                f"this service gives {limits.request_tokens:,} a request: send several"
            )
        scored, echoed = self.logprobs is not None, bool(self.echo)
        options = RecallOptions(
            max_tokens=wanted,
            min_confidence=self.min_confidence,
            beam=self.beam,
            from_start=self.from_start,
            count=self.n or 1,
            read=self.read,
            exact_prompt=self.exact_prompt,
        )
        names = ["the prompt"] if prompts == [self.prompt] else [f"prompt[{place}]" for place in range(len(prompts))]
        return [
            PromptAsk(prompt=prompt, options=options, name=name, scored=scored, echoed=echoed)
            for prompt, name in zip(prompts, names, strict=True)
        ]


def _several(prompt: Any) -> list[Any]:
    if isinstance(prompt, str) or (prompt and isinstance(prompt[0], int)):
        return [prompt]
    return list(prompt)
