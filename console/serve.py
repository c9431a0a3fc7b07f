"""memo-dist serve: a memory as a service, spoken to as OpenAI's completions API."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from console.flags import Address, AsJson, AskedMemory, BankServerCount, ConfigFile, RangeReplicas
from console.output import print_json
from memo_dist.remote.address import refuse_address
from memo_dist.sizes import parse_bytes

_LOOPBACK = ("127.", "localhost", "::1")


def serve_command(
    memory: AskedMemory,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    name: Annotated[str | None, typer.Option(help="The model's name; else the directory's.")] = None,
    replicas: Annotated[
        int | None, typer.Option(min=1, help="Processes that answer; else one for each processor.")
    ] = None,
    bank_servers: BankServerCount = 0,
    range_replicas: RangeReplicas = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="A file of the keys that are let in, one key on each line.")
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(help="Pages whose scripts may ask, as https://notes.example; * for all."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Other names by which the service is asked, where there are no keys; * for all."),
    ] = None,
    max_body: Annotated[str, typer.Option(help="Largest body of a request.")] = "1MB",
    max_prompts: Annotated[int, typer.Option(min=1, help="Most prompts in one request.")] = 128,
    max_prompt_tokens: Annotated[int, typer.Option(min=1, help="Longest prompt, in tokens.")] = 8192,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest continuation of a prompt, in tokens.")] = 2048,
    max_request_tokens: Annotated[int, typer.Option(min=1, help="Most tokens that one request may get.")] = 65536,
    max_waiting: Annotated[int, typer.Option(min=1, help="Requests under way before others are sent away.")] = 512,
    address: Address = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Serve a memory over HTTP, as OpenAI's clients speak, until SIGTERM or Ctrl-C."""
    from cluster.serve.service import ServeOptions, serve_memory
    from memo_dist.http.limits import Limits

    if bank_servers:
        refuse_address(memory)
    limits = Limits(
        body_bytes=parse_bytes(max_body),
        prompts=max_prompts,
        prompt_tokens=max_prompt_tokens,
        max_tokens=max_tokens,
        request_tokens=max_request_tokens,
        waiting=max_waiting,
    )
    options = ServeOptions(
        host=host,
        port=port,
        name=name,
        replicas=replicas,
        bank_servers=bank_servers,
        range_replicas=range_replicas,
        address=address,
        api_key_file=api_key_file,
        cors_origins=tuple(cors_origin or ()),
        hosts=tuple(allow_host or ()),
        limits=limits,
    )
    if api_key_file is None and not host.startswith(_LOOPBACK):
        print(f"memo-dist: warning: {host} can be reached by others and there is no --api-key-file", file=sys.stderr)

    stdout = sys.stdout  # a Ray session turns what is printed to stderr

    def ready(url: str, model: str) -> None:
        if as_json:
            print_json({"url": url, "model": model}, stdout)
        print(f"serving {model!r}: {url} for people, {url}/v1 for programs; Ctrl-C or SIGTERM ends it", file=sys.stderr)
        sys.stderr.flush()

    print("starting replicas", file=sys.stderr, flush=True)
    serve_memory(Path(memory), options, ready)
    print("ended; everything under way was answered", file=sys.stderr)
