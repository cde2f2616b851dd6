"""The comparisons need no network: nothing is fetched from a hub, and an attempt to do so fails at once."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, hence here, before any test file


def pytest_configure(config):
    """Two warnings that PEFT and transformers give while they work together, and that concern nobody else; any other is an error."""
    config.addinivalue_line("filterwarnings", "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
    config.addinivalue_line("filterwarnings", "ignore:Setting `save_embedding_layers` to `True`:UserWarning")
