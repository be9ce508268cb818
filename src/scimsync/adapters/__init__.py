"""Technology: each module fits one port and knows no other; named `<port>_<technology>`."""
