"""The campaign: `pytest -m slow -s tests/attack` attacks what people rely on, and prints what was tried."""
