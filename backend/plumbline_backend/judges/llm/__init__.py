"""Language models behind an OpenAI-compatible endpoint: calls with a budget, answers that are checked."""
