"""What the doors that show pages have in common: values, figures, findings, charts, the look. Reads nothing."""
