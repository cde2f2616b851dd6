"""Arrays on disk: checkpoints, Hugging Face folders, PEFT folders. The only room that transposes a weight."""
