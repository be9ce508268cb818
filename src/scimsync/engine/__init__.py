"""The use cases: order of work, journal, cancellation."""
