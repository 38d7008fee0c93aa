"""Node classes: what the catalogue says of each, and what each built-in one does in the stub."""
