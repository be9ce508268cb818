"""The vocabulary: frozen values that travel between the layers. No decisions."""
