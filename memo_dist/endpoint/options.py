"""EndpointOptions, Sampling: how a language model is asked, and how it replies."""

from dataclasses import dataclass

from memo_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class EndpointOptions:
    """How an endpoint is asked.

    Attributes:
        url: "http://127.0.0.1:8000" or "http://127.0.0.1:8000/v1". model: None: the first that it lists.
        key: sent as a bearer's token. concurrency: questions at once. per_minute: requests a minute; None: no limit.
        timeout: seconds of a request. hedge_after: seconds after which the same request is sent again beside the first,
            and so again. requests: so many at once for one question, at most. trials: of a question that failed.
        backoff: seconds before the second trial, doubled for each further one.

    Raises:
        ConfigError: the URL is none of HTTP.
    """

    url: str
    model: str | None = None
    key: str | None = None
    concurrency: int = 8
    per_minute: float | None = None
    timeout: float = 300.0
    hedge_after: float = 180.0
    requests: int = 3
    trials: int = 5
    backoff: float = 1.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"the endpoint is {self.url!r}; expected a URL such as http://127.0.0.1:8000/v1")


@dataclass(frozen=True)
class Sampling:
    """How a reply is drawn."""

    temperature: float = 0.0
    max_tokens: int = 4096
    top_p: float = 0.95
