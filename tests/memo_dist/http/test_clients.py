"""Real clients ask the service, where they are installed (the extra `clients`); what is not there is said.

Covers: openai, lm_eval, litellm, langchain-openai, LlamaIndex, llm. What each of them sends is tested without them, in
test_what_clients_found.py.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from local_service import over_http

from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.http.limits import Limits

TEXT = "".join(f"entry {i}: {i * i % 977} beside {i * 31 % 889};\n" for i in range(150))
PROMPT, REST = TEXT[500:570], TEXT[570:580]


def client(name: str) -> Any:
    """The module of a client."""
    reason = f"NO {name}, NOT TESTED: install the extra clients to ask the service with it"
    pytest.importorskip(name.partition(".")[0], reason=reason, exc_type=ImportError)
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("clients") / "m.memo"
    made = Memory(TextConfig(num_banks=30, vocab_size=256, inner_dim=128), Tokenizer.bytes())
    made.memorize("text", np.frombuffer(TEXT.encode(), np.uint8))
    made.save(path)
    with over_http(path, Limits()) as url:
        yield url


def test_openai(url: str) -> None:
    openai = client("openai")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as service:
        both = service.completions.create(model="m", prompt=[PROMPT, "Hi"], max_tokens=10, logprobs=2)
        assert [choice.text for choice in both.choices] == [REST, ""]
        stream = service.completions.create(model="m", prompt=PROMPT, max_tokens=10, stream=True)
        assert "".join(part.choices[0].text for part in stream) == REST
        with pytest.raises(openai.NotFoundError, match="POST /v1/completions"):
            service.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        with pytest.raises(openai.NotFoundError, match="POST /v1/completions"):
            service.responses.create(model="m", input="Hi")
        with pytest.raises(openai.NotFoundError, match="POST /v1/trace"):
            service.embeddings.create(model="m", input="Hi")
        with pytest.raises(openai.BadRequestError, match=r"prompt\[1\] is the number 5"):
            service.completions.create(model="m", prompt=[PROMPT, 5])


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 4])
def test_lm_eval(url: str, at_once: int) -> None:
    """Multiple choice, perplexity, generation; it finds the tokenizer by itself."""
    instance = client("lm_eval.api.instance").Instance
    api = client("lm_eval.models.openai_completions").LocalCompletionsAPI
    model = api(model="m", base_url=f"{url}/v1/completions", batch_size=at_once)

    def asked(kind: str, *arguments: Any) -> Any:
        return instance(request_type=kind, doc={}, arguments=arguments, idx=0)

    pairs = [(PROMPT, REST), (PROMPT, "otherwise!"), ("a", "b"), ("", "entry 0"), ("nothing like it", " is known")]
    likely = [one for one, _ in model.loglikelihood([asked("loglikelihood", *pair) for pair in pairs])]
    assert likely[0] > -2 > -20 > likely[1]
    assert likely[3] > -2
    held, unknown = model.loglikelihood_rolling(
        [asked("loglikelihood_rolling", one) for one in (TEXT[:300], "of this nothing is known" * 12)]
    )
    assert held > -30 > -300 > unknown
    words = {"until": [";"], "max_gen_toks": 40}
    said = model.generate_until([asked("generate_until", one, words) for one in (PROMPT, "Hi")])
    assert said == [TEXT[570:].partition(";")[0][:40], ""]


@pytest.mark.slow
def test_litellm(url: str) -> None:
    complete = client("litellm").text_completion
    found = complete(model="text-completion-openai/m", prompt=PROMPT, max_tokens=10, api_base=f"{url}/v1", api_key="x")
    assert found.choices[0].text == REST


@pytest.mark.slow
def test_langchain(url: str) -> None:
    model = client("langchain_openai").OpenAI(model="m", base_url=f"{url}/v1", api_key="x", max_tokens=10)
    assert model.invoke(PROMPT) == REST
    assert model.batch([PROMPT, "Hi"]) == [REST, ""]
    assert "".join(model.stream(PROMPT)) == REST


@pytest.mark.slow
def test_llama_index(url: str) -> None:
    like = client("llama_index.llms.openai_like").OpenAILike
    model = like(model="m", api_base=f"{url}/v1", api_key="x", is_chat_model=False, max_tokens=10)
    assert model.complete(PROMPT).text == REST
    assert [part.text for part in model.stream_complete(PROMPT)][-1] == REST


@pytest.mark.slow
def test_llm(url: str) -> None:
    kind = client("llm.default_plugins.openai_models").Completion
    model = kind("m", model_name="m", api_base=f"{url}/v1")
    model.key = "x"
    assert model.prompt(PROMPT, max_tokens=10, stream=False).text() == REST
    assert "".join(model.prompt(PROMPT, max_tokens=10)) == REST
